//! A forwarded response body with an idle timeout.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::concurrency_limit::Permit;

/// A body that fails with [`TimedOut`](std::io::ErrorKind::TimedOut) if no frame arrives for too long.
///
/// Holds its message's [`Permit`] until it is dropped, so a message counts as in progress until its body has been forwarded.
pub(super) struct IdleTimeoutBody {
    body: Body,
    patience: Duration,
    /// Deadline for the next frame.
    due: Pin<Box<Sleep>>,
    _under_way: Permit,
}

impl IdleTimeoutBody {
    /// Wraps a body. `patience` is the longest time between two frames, and before the first.
    pub(super) fn new(body: Body, patience: Duration, permit: Permit) -> Self {
        IdleTimeoutBody { body, patience, due: Box::pin(tokio::time::sleep(patience)), _under_way: permit }
    }
}

impl HttpBody for IdleTimeoutBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            let next = Instant::now() + self.patience;
            self.due.as_mut().reset(next);
            return Poll::Ready(frame);
        }
        ready!(self.due.as_mut().poll(context));
        Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
