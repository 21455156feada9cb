//! Work that may block: on the disk, or for as long as a plugin may take.

use tracing::error;

use super::Refusal;

/// A defect: work on a blocking thread panicked. The log says so; what the panic said stays out of it, as it may hold anything.
#[derive(Clone, Copy, Debug)]
pub struct Panicked;

/// Does work that may block on a thread that may.
///
/// # Errors
///
/// As `work`, and where it panics.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Panicked> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|failed| {
        error!(panicked = failed.is_panic(), "a request was not answered because of a defect");
        Err(Panicked.into())
    })
}

impl From<Panicked> for Refusal {
    fn from(_: Panicked) -> Self {
        Refusal::Defect
    }
}
