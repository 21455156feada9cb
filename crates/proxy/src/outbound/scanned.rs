//! Bodies that are checked while they are forwarded.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::admission::Refused;

/// A streaming check of a body. Holds back bytes that are not checked yet, so that the upstream never receives the end of a
/// rejected body.
pub(super) trait Scan {
    type Error: Into<Refused>;

    /// Accepts the next chunk and returns the bytes that may be forwarded.
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Self::Error>;

    /// Ends the body and returns the remaining bytes.
    fn finish(&mut self) -> Result<Bytes, Self::Error>;

    /// Returns how many bytes are held back.
    fn held(&self) -> usize;
}

/// A body that is checked while it is polled, and that fails when it is rejected.
pub(super) struct Scanned<S> {
    body: Body,
    scan: S,
    is_done: bool,
    refusal: Refusal,
}

/// Why a body was rejected, shared with the code that responds to the client.
pub(super) type Refusal = Arc<OnceLock<Refused>>;

impl<S: Scan> Scanned<S> {
    /// Wraps a body. The returned [`Refusal`] is set if the body is rejected.
    pub(super) fn new(body: Body, scan: S) -> (Self, Refusal) {
        let refusal = Refusal::default();
        (Scanned { body, scan, is_done: false, refusal: Arc::clone(&refusal) }, refusal)
    }
}

impl<S: Scan + Unpin> HttpBody for Scanned<S> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while !self.is_done {
            let scanned = match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.scan.push(&data),
                    // Trailers are not forwarded.
                    Err(_) => continue,
                },
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => {
                    self.is_done = true;
                    self.scan.finish()
                }
            };
            match scanned {
                Ok(clear) if clear.is_empty() => {}
                Ok(clear) => return Poll::Ready(Some(Ok(Frame::data(clear)))),
                Err(why) => {
                    self.is_done = true;
                    let why: Refused = why.into();
                    let _ = self.refusal.set(why.clone());
                    return Poll::Ready(Some(Err(axum::Error::new(why))));
                }
            }
        }
        Poll::Ready(None)
    }

    fn size_hint(&self) -> SizeHint {
        // The output has the same length as the input.
        let held = self.scan.held() as u64;
        let rest = self.body.size_hint();
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper + held);
        }
        hint.set_lower(rest.lower() + held);
        hint
    }
}
