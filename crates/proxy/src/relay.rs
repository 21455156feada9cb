//! Passing a response on to the client, without letting a client that does not take it keep a place for messages.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Version;
use axum::response::Response;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::client::end_to_end;
use super::concurrency_limit::Permit;

/// Maximum length in bytes of a body that is read to its end before the response is passed on. Responses to messages are much
/// shorter.
const MOST_GATHERED: usize = 64 << 10;
/// How long a body may take to arrive before the response is passed on without its end.
const SOON: Duration = Duration::from_secs(1);

/// Returns a response without its hop-by-hop headers.
///
/// A short body is read to its end first: then the message is no longer in progress, and its `permit` is released, whatever time the
/// client takes. A longer body is passed on at the client's pace, under a permit of `streams`. If that has none, the response is
/// dropped if it `may_be_asked_again`, and keeps the message's own permit otherwise.
///
/// `patience` is the longest time between two pieces of the body. Returns `None` if the response was dropped.
pub(super) async fn relayed(
    response: Response,
    patience: Duration,
    permit: Permit,
    streams: impl FnOnce() -> Option<Permit>,
    may_be_asked_again: bool,
) -> Option<Response> {
    let (mut parts, body) = response.into_parts();
    end_to_end(&mut parts.headers);
    parts.version = Version::HTTP_11;
    let body = match gathered(body).await {
        Gathered::Whole(bytes) => Body::from(bytes),
        Gathered::Broken(front, error) => Body::new(Relayed { front, rest: Rest::Broken(Some(error)) }),
        Gathered::Part(front, body) => {
            let permit = match streams() {
                Some(permit) => permit,
                None if may_be_asked_again => return None,
                None => permit,
            };
            let due = Box::pin(tokio::time::sleep(patience));
            Body::new(Relayed { front, rest: Rest::Coming { body, patience, due, _permit: permit } })
        }
    };
    Some(Response::from_parts(parts, body))
}

/// What arrived of a body soon.
enum Gathered {
    Whole(Bytes),
    /// The beginning, and what is to come.
    Part(Bytes, Body),
    /// The beginning, and why there is no more.
    Broken(Bytes, axum::Error),
}

async fn gathered(mut body: Body) -> Gathered {
    if body.size_hint().exact().is_some_and(|length| length > MOST_GATHERED as u64) {
        return Gathered::Part(Bytes::new(), body);
    }
    let until = Instant::now() + SOON;
    let (mut first, mut all) = (Bytes::new(), Vec::new());
    loop {
        let frame =
            if body.is_end_stream() { Ok(None) } else { tokio::time::timeout_at(until, body.frame()).await };
        let front = |first: Bytes, all: Vec<u8>| if all.is_empty() { first } else { all.into() };
        match frame {
            Ok(None) => return Gathered::Whole(front(first, all)),
            Err(_) => return Gathered::Part(front(first, all), body),
            Ok(Some(Err(error))) => return Gathered::Broken(front(first, all), error),
            Ok(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else { continue };
                if first.is_empty() && all.is_empty() {
                    first = data;
                } else {
                    if all.is_empty() {
                        all.extend_from_slice(&std::mem::take(&mut first));
                    }
                    all.extend_from_slice(&data);
                }
                if first.len().max(all.len()) > MOST_GATHERED {
                    return Gathered::Part(front(first, all), body);
                }
            }
        }
    }
}

/// A body whose beginning has arrived.
struct Relayed {
    front: Bytes,
    rest: Rest,
}

enum Rest {
    /// Fails with [`TimedOut`](std::io::ErrorKind::TimedOut) if no piece arrives for too long.
    Coming {
        body: Body,
        patience: Duration,
        /// Deadline for the next piece.
        due: Pin<Box<Sleep>>,
        _permit: Permit,
    },
    Broken(Option<axum::Error>),
}

impl HttpBody for Relayed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.front.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.front)))));
        }
        match &mut self.rest {
            Rest::Broken(error) => Poll::Ready(error.take().map(Err)),
            Rest::Coming { body, patience, due, .. } => {
                if let Poll::Ready(frame) = Pin::new(body).poll_frame(context) {
                    due.as_mut().reset(Instant::now() + *patience);
                    return Poll::Ready(frame);
                }
                ready!(due.as_mut().poll(context));
                Poll::Ready(Some(Err(axum::Error::new(std::io::Error::from(std::io::ErrorKind::TimedOut)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.front.is_empty()
            && match &self.rest {
                Rest::Broken(error) => error.is_none(),
                Rest::Coming { body, .. } => body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let Rest::Coming { body, .. } = &self.rest else { return SizeHint::default() };
        let (of_rest, front) = (body.size_hint(), self.front.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(of_rest.lower() + front);
        if let Some(upper) = of_rest.upper() {
            hint.set_upper(upper + front);
        }
        hint
    }
}
