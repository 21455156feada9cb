//! Request logging.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::http::{Method, Response as HttpResponse};
use axum::response::Response;
use parking_lot::RwLock;
use portcullis_admission::LogLimit;
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

/// Wraps a handler to log its requests: method, route, status and duration in microseconds. Nothing that a client wrote is
/// logged: not the path, and of methods only those that [`method`] knows.
///
/// Successful checks, health checks and the OpenAPI documents are logged at level `debug`, everything else at `info`. At
/// `info`, checks would drown the log. Refused requests are counted, and logged at a bounded rate per status, because anybody
/// can cause them. Successful ones are logged at a bounded rate per route: a client can send as many as it likes, too. See
/// [`report_suppressed`].
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
    method: &'static str,
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
        enabled!(Level::INFO).then(|| Line {
            start: Instant::now(),
            method: self::method(method),
            route: route(),
        })
    }

    /// Logs the request with the status of its response, and its [`RequestId`] if it has one.
    pub fn log<B>(&self, response: &HttpResponse<B>) {
        let (method, route) = (self.method, &*self.route);
        let status = response.status().as_u16();
        let micros = u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX);
        let request_id = response.extensions().get::<RequestId>().map(tracing::field::display);
        let is_quiet = match status < 400 {
            true => is_frequent(route) || !admits_success(route),
            false => !limit(status).admits(),
        };
        if is_quiet {
            debug!(%method, route, status, micros, request_id, "request");
        } else {
            info!(%method, route, status, micros, request_id, "request");
        }
    }
}

/// Whether successful requests of a route are too many, or too easily had by anybody, for the level `info`.
fn is_frequent(route: &str) -> bool {
    route.ends_with("/check")
        || route.ends_with("/openapi.json")
        || matches!(route, "/healthz" | "/readyz" | "/metrics")
}

/// The name of a method in logs: that of a standard method, or `other`. Anything else is a client's text.
pub fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::HEAD => "HEAD",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "other",
    }
}

/// The most lines about refused requests with one status, in 10 seconds.
const LINES: u32 = 20;
/// The statuses of refused requests.
const STATUSES: std::ops::Range<u16> = 400..600;

/// The limits of lines, by status from 400 on: a flood of one status does not hide the others.
static LIMITS: LazyLock<Vec<LogLimit>> = LazyLock::new(|| STATUSES.map(|_| LogLimit::new(LINES)).collect());
/// Statuses out of range, which no handler uses.
static OF_OTHERS: LogLimit = LogLimit::new(LINES);

fn limit(status: u16) -> &'static LogLimit {
    let index = status.checked_sub(STATUSES.start).map(usize::from);
    index.and_then(|index| LIMITS.get(index)).unwrap_or(&OF_OTHERS)
}

/// The most lines about successful requests of one route, in 10 seconds.
const SUCCESSES: u32 = 100;

/// The limits of lines about successful requests, by route: a flood of one hides no changes by the administrator. Routes are patterns,
/// so they are few.
static OF_ROUTES: LazyLock<RwLock<HashMap<String, LogLimit>>> = LazyLock::new(RwLock::default);

/// Whether to write a line about a successful request of a route.
fn admits_success(route: &str) -> bool {
    if let Some(limit) = OF_ROUTES.read().get(route) {
        return limit.admits();
    }
    OF_ROUTES.write().entry(route.to_owned()).or_insert_with(|| LogLimit::new(SUCCESSES)).admits()
}

/// Logs how many requests were not logged since the last call, by status and route. To be called every few seconds.
pub fn report_suppressed() {
    for (route, limit) in &*OF_ROUTES.read() {
        let suppressed = limit.suppressed();
        if suppressed > 0 {
            info!(route, suppressed, "more requests of this route were successful, and not logged");
        }
    }
    for (status, limit) in STATUSES.zip(&*LIMITS) {
        let suppressed = limit.suppressed();
        if suppressed > 0 {
            info!(status, suppressed, "more requests were refused with this status, and not logged");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_successes_of_one_route_hide_none_of_another() {
        let logged = |route| (0..1000).filter(|_| admits_success(route)).count();
        // The second window may have begun.
        assert!((100..=200).contains(&logged("/flooded")));
        assert!(admits_success("/another"));
        assert!(OF_ROUTES.read()["/flooded"].suppressed() >= 800);
    }

    #[test]
    fn only_standard_methods_are_named() {
        for name in ["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PATCH"] {
            assert_eq!(method(&name.parse().unwrap()), name);
        }
        for other in ["46732001122", "get", "PROPFIND"] {
            assert_eq!(method(&other.parse().unwrap()), "other");
        }
    }
}
