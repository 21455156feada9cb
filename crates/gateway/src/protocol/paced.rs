//! The body of a response over HTTP/2.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use super::pace::Pace;
use crate::connections::{Busy, Stream};

/// The largest piece that is given at once, in bytes: as much as a frame of HTTP/2 has by default.
const PIECE: usize = 16 << 10;

/// What a response keeps until all of it is sent: its connection is busy, and it counts as a request in progress.
pub(super) struct Held {
    pub(super) _busy: Busy,
    pub(super) _stream: Option<Stream>,
}

/// A body that is given in pieces, so that it shows how fast the client takes it. Each piece keeps what is [`Held`] until it has been sent.
pub(super) struct Paced<B> {
    body: B,
    /// What the body gave, and was not asked for yet.
    rest: Bytes,
    held: Arc<Held>,
    pace: Option<Arc<Pace>>,
}

/// A piece of a response.
struct Piece {
    bytes: Bytes,
    _held: Arc<Held>,
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<B> Paced<B> {
    pub(super) fn new(body: B, held: Arc<Held>, pace: Option<Arc<Pace>>) -> Self {
        Paced { body, rest: Bytes::new(), held, pace }
    }

    fn piece(&mut self) -> Bytes {
        let bytes = self.rest.split_to(self.rest.len().min(PIECE));
        if let Some(pace) = &self.pace {
            pace.gave(bytes.len());
        }
        Bytes::from_owner(Piece { bytes, _held: Arc::clone(&self.held) })
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Paced<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if let Some(pace) = &self.pace {
            pace.asked();
        }
        if !self.rest.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(self.piece()))));
        }
        let Some(frame) = ready!(Pin::new(&mut self.body).poll_frame(context)?) else {
            return Poll::Ready(None);
        };
        match frame.into_data() {
            Ok(bytes) if !bytes.is_empty() => {
                self.rest = bytes;
                Poll::Ready(Some(Ok(Frame::data(self.piece()))))
            }
            Ok(empty) => Poll::Ready(Some(Ok(Frame::data(empty)))),
            Err(trailers) => Poll::Ready(Some(Ok(trailers))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (hint, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower().saturating_add(rest));
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper.saturating_add(rest));
        }
        whole
    }
}
