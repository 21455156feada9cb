//! Bodies that are looked at while they pass.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};

use super::admission::Refused;

/// Checks a body in pieces. It keeps back what it has not judged yet, so that the upstream never gets the end of a body that is
/// refused.
pub(super) trait Scan {
    type Error: Into<Refused>;

    /// Takes the next bytes of the body, and gives those that may go on.
    fn push(&mut self, chunk: &[u8]) -> Result<Bytes, Self::Error>;

    /// Gives what is left at the end of the body.
    fn finish(&mut self) -> Result<Bytes, Self::Error>;

    /// How many bytes it keeps back.
    fn held(&self) -> usize;
}

/// A body under way, which breaks off where it is refused.
pub(super) struct Scanned<S> {
    body: Body,
    scan: S,
    is_done: bool,
    refusal: Refusal,
}

/// Why a body broke off, for the answer.
pub(super) type Refusal = Arc<OnceLock<Refused>>;

impl<S: Scan> Scanned<S> {
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
                    // Trailers, which don't go on.
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
        // As much comes out as goes in, later.
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
