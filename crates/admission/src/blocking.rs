//! Work on Tokio's pool of blocking threads.

use tracing::{Span, error};

use crate::unfinished::Unfinished;

/// Runs work that blocks on Tokio's pool of blocking threads, in the span of the caller. The work goes on if the client disconnects. For the administrator's
/// requests: those of tenants go through [`Turns::run`](crate::Turns::run).
///
/// # Errors
///
/// The error of the work, or [`Unfinished::Panicked`] if it panics.
///
/// # Panics
///
/// If called outside a Tokio runtime.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Unfinished> + Send + 'static,
{
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work)).await.unwrap_or_else(|failed| {
        error!(panicked = failed.is_panic(), "a request was not answered because of a defect");
        Err(Unfinished::Panicked.into())
    })
}
