//! Request logging.

use std::borrow::Cow;
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request};
use axum::handler::Handler;
use axum::http::{Method, Response as HttpResponse};
use axum::response::Response;
use parking_lot::RwLock;
use portcullis_admission::LogLimit;
use portcullis_correlation::Correlation;
use portcullis_process_metrics::http::Reason;
use serde::Deserialize;
use tracing::field::display;
use tracing::{Level, debug, enabled, info};

use crate::attribution::Author;

/// Which requests have a line in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessLog {
    /// None.
    Off,
    /// Those that were answered with an error, at a bounded rate.
    Errors,
    /// Those, and successful ones at a bounded rate, except checks, health checks, scrapes and documents.
    #[default]
    Usual,
    /// All, without a bound, except health checks that succeed.
    All,
}

/// Wraps a handler to tell which route it is of, for the log and the metrics. Nothing that a client wrote is in either: not the path,
/// and of methods only those that [`method`] knows.
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
        let route = request.extensions().get::<MatchedPath>().cloned();
        LoggedFuture { handler: self.0.call(request, state), route }
    }
}

/// The future of a [`Logged`] handler.
pub struct LoggedFuture<F> {
    handler: F,
    route: Option<MatchedPath>,
}

impl<F: Future<Output = Response> + Unpin> Future for LoggedFuture<F> {
    type Output = Response;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Response> {
        let mut response = ready!(Pin::new(&mut self.handler).poll(context));
        if let Some(route) = self.route.take() {
            response.extensions_mut().insert(Pattern(route));
        }
        Poll::Ready(response)
    }
}

/// The pattern of the route that answered. An extension of responses.
#[derive(Clone)]
pub struct Pattern(MatchedPath);

impl Pattern {
    /// The pattern of the route that created a response, such as `/portcullis/v1/senders/{sender}/entries`; `(none)` if no route did.
    pub fn of<B>(response: &mut HttpResponse<B>) -> Cow<'static, str> {
        match response.extensions_mut().remove::<Pattern>() {
            Some(Pattern(path)) => path.as_str().to_owned().into(),
            None => "(none)".into(),
        }
    }
}

/// A line in progress: what is known about a request before its response.
pub struct Line {
    start: Instant,
    method: &'static str,
    client: IpAddr,
    correlation: Correlation,
}

impl Line {
    /// Starts the clock. `client` is the address that the request comes from.
    #[inline]
    pub fn begin(method: &Method, client: IpAddr, correlation: Correlation) -> Self {
        Line { start: Instant::now(), method: self::method(method), client, correlation }
    }

    /// The method's name.
    pub fn method(&self) -> &'static str {
        self.method
    }

    /// The time since the request began.
    pub fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Logs the request, if requests of its kind are. `route` is the route's pattern, never the path. `author` is called only if a line is
    /// written.
    ///
    /// At `info`, successful checks would drown the log, so they are logged at `debug` unless all requests are to be. Refused requests are
    /// counted, and logged at a bounded rate per status, because anybody can cause them. Successful ones are logged at a bounded rate
    /// per route: a client can send as many as it likes, too. See [`report_suppressed`]. Health checks are asked for every second, also while
    /// the gateway is starting, so they are logged at `debug`.
    pub fn end<B: HttpBody>(
        &self,
        response: &HttpResponse<B>,
        route: &str,
        took: Duration,
        log: AccessLog,
        author: impl FnOnce() -> Author,
    ) {
        let status = response.status().as_u16();
        let is_quiet = match (log, status < 400) {
            (AccessLog::Off, _) => return,
            _ if is_health_check(route) && matches!(status, 200 | 503) => true,
            (AccessLog::All, _) => false,
            (AccessLog::Errors, true) => true,
            (AccessLog::Usual, true) => is_frequent(route) || !admits_success(route),
            (AccessLog::Errors | AccessLog::Usual, false) => !limit(status).admits(),
        };
        let is_written = if is_quiet { enabled!(Level::DEBUG) } else { enabled!(Level::INFO) };
        if !is_written {
            return;
        }
        let (method, author) = (self.method, author());
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bytes = response.body().size_hint().exact();
        let reason = response.extensions().get::<Reason>().map(|reason| display(reason.0));
        let Author { tenant, sender, token } = &author;
        let (tenant, sender, token) =
            (tenant.as_ref().map(display), sender.as_ref().map(display), token.as_ref().map(display));
        let (client, request_id) = (display(self.client), display(self.correlation.id));
        let trace_id = self.correlation.trace.map(|trace| display(trace.trace_id()));
        if is_quiet {
            debug!(
                %method, route, status, reason, micros, bytes, tenant, sender, token, client, request_id, trace_id, "request"
            );
        } else {
            info!(
                %method, route, status, reason, micros, bytes, tenant, sender, token, client, request_id, trace_id, "request"
            );
        }
    }
}

fn is_health_check(route: &str) -> bool {
    matches!(route, "/healthz" | "/readyz")
}

/// Whether successful requests of a route are too many, or too easily had by anybody, for the level `info`.
fn is_frequent(route: &str) -> bool {
    route.ends_with("/check") || route.ends_with("/openapi.json") || route == "/metrics"
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
