//! A response's body, which keeps its connection busy.

use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, SizeHint};

use super::Busy;

/// A body that keeps its connection from being closed as idle until it has been sent.
pub(crate) struct Watched<B> {
    body: B,
    _busy: Busy,
}

impl<B> Watched<B> {
    pub(crate) fn new(body: B, busy: Busy) -> Self {
        Watched { body, _busy: busy }
    }
}

impl<B: Body + Unpin> Body for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
