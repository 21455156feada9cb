//! Request logging.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::http::{Method, Response as HttpResponse};
use axum::response::Response;
use tracing::{Level, debug, enabled, info};
use uuid::Uuid;

/// The id of a request whose response contains it. Insert it as an extension of the response, and it is logged.
#[derive(Clone, Copy, Debug)]
pub struct RequestId(Uuid);

impl RequestId {
    /// Creates a random id.
    pub fn random() -> Self {
        RequestId(Uuid::new_v4())
    }

    /// The 16 bytes of the id.
    pub fn bytes(self) -> [u8; 16] {
        *self.0.as_bytes()
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Wraps a handler to log its requests: method, route, status and duration in microseconds. The path is not logged,
/// because it may contain a number.
///
/// Successful checks and health checks are logged at level `debug`, everything else at `info`. At `info`, checks would
/// drown the log.
///
/// This wraps the handler instead of adding a layer to the route, which would cost a tenth of a check.
#[derive(Clone)]
pub struct Logged<H>(pub H);

impl<H, T, S> Handler<T, S> for Logged<H>
where
    // The futures of axum's handler functions are `Unpin`.
    H: Handler<T, S, Future: Unpin>,
{
    type Future = LoggedFuture<H::Future>;

    fn call(self, request: Request, state: S) -> Self::Future {
        let line = Line::begin(request.method(), || match request.extensions().get::<MatchedPath>() {
            Some(path) => path.as_str().to_owned().into(),
            None => "(none)".into(),
        });
        LoggedFuture { handler: self.0.call(request, state), line }
    }
}

/// A log line in progress: what is known about a request before its response.
pub struct Line {
    start: Instant,
    method: Method,
    route: Cow<'static, str>,
}

/// The future of a [`Logged`] handler.
pub struct LoggedFuture<F> {
    handler: F,
    line: Option<Line>,
}

impl<F: Future<Output = Response> + Unpin> Future for LoggedFuture<F> {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let response = ready!(Pin::new(&mut self.handler).poll(context));
        if let Some(line) = self.line.take() {
            line.log(&response);
        }
        Poll::Ready(response)
    }
}

impl Line {
    /// Starts the clock. Returns `None` if the level `info` is disabled. `route` is the route's pattern, never the path.
    #[inline]
    pub fn begin(method: &Method, route: impl FnOnce() -> Cow<'static, str>) -> Option<Self> {
        enabled!(Level::INFO).then(|| Line { start: Instant::now(), method: method.clone(), route: route() })
    }

    /// Logs the request with the status of its response, and its [`RequestId`] if it has one.
    pub fn log<B>(&self, response: &HttpResponse<B>) {
        let (method, route) = (&self.method, &*self.route);
        let status = response.status().as_u16();
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let is_frequent = route.ends_with("/check") || matches!(route, "/healthz" | "/readyz" | "/metrics");
        let request_id = response.extensions().get::<RequestId>().map(tracing::field::display);
        if is_frequent && status < 400 {
            debug!(%method, route, status, micros, request_id, "request");
        } else {
            info!(%method, route, status, micros, request_id, "request");
        }
    }
}
