//! Bodies of requests that were answered without being read.
//!
//! The rest of such a body stands between the response and the next request of the connection. If it has not arrived when the response
//! is sent, the connection has to be closed, and the client's next request fails. So a short rest is waited for, and the client is told
//! when its connection ends.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Response};
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;

use super::body::discard;

/// How long the rest of a body is waited for, where nobody else needs the connection's place.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// A request body that goes to its [`Unread`] if it is dropped before its end.
pub struct Watched<B: HttpBody + Unpin> {
    body: Option<B>,
    left: Arc<Mutex<Option<B>>>,
}

/// What is left of a body.
pub struct Unread<B>(Arc<Mutex<Option<B>>>);

/// Watches what becomes of a body.
pub fn watch<B: HttpBody + Unpin>(body: B) -> (Watched<B>, Unread<B>) {
    let left = Arc::default();
    (Watched { body: Some(body), left: Arc::clone(&left) }, Unread(left))
}

impl<B: HttpBody<Data = Bytes> + Unpin> Unread<B> {
    /// Reads the rest, if it is short and arrives within `patience`, and otherwise says in the response that the connection ends.
    pub async fn settle<R>(self, response: &mut Response<R>, patience: Duration) {
        let Some(body) = self.0.lock().take() else { return };
        if !discard(body, patience).await {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

impl<B: HttpBody + Unpin> HttpBody for Watched<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let polled = Pin::new(body).poll_frame(context);
        if !matches!(polled, Poll::Pending | Poll::Ready(Some(Ok(_)))) {
            self.body = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: HttpBody + Unpin> Drop for Watched<B> {
    fn drop(&mut self) {
        if let Some(body) = self.body.take().filter(|body| !body.is_end_stream()) {
            *self.left.lock() = Some(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt as _, Empty, Full};

    use super::*;

    async fn connection(read: bool, body: impl HttpBody<Data = Bytes> + Unpin) -> bool {
        let (mut watched, unread) = watch(body);
        if read {
            while watched.frame().await.is_some() {}
        }
        drop(watched);
        let mut response = Response::new(());
        unread.settle(&mut response, PATIENCE).await;
        !response.headers().contains_key(CONNECTION)
    }

    #[tokio::test]
    async fn a_connection_goes_on_if_nothing_is_left_of_the_body() {
        let (short, long) =
            (Full::new(Bytes::from_static(b"{}")), Full::new(Bytes::from(vec![b' '; 100_000])));
        assert!(connection(false, Empty::new()).await);
        assert!(connection(false, short).await);
        assert!(!connection(false, long.clone()).await);
        assert!(connection(true, long).await);
    }
}
