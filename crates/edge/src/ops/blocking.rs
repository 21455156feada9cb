//! Running work that blocks: on the disk, or for as long as a plugin may take.

use tracing::error;

use super::Refusal;

/// Work on a blocking thread panicked, which is a bug. The panic message stays out of the log, because it may contain a number or a
/// token.
#[derive(Clone, Copy, Debug)]
pub struct Panicked;

/// Runs work that blocks on Tokio's pool of blocking threads. The work goes on if the client disconnects.
///
/// # Errors
///
/// The error of the work, or [`Panicked`] if it panics.
///
/// # Panics
///
/// If called outside a Tokio runtime.
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
