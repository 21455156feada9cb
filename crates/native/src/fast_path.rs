//! A fast path for a sender's check, the request made for every message. It bypasses the router, whose matching and boxing take a
//! tenth of the time of a check.
//!
//! The responses are the same as those of the route, because the same functions create them. Paths in any other spelling than the
//! plain one go to the router.

use std::convert::Infallible;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::request::Parts;
use axum::http::{HeaderName, Method, Request, Response, StatusCode};
use axum::response::IntoResponse as _;
use http_body_util::{Either, Full};
use hyper::body::{Body as _, Incoming};
use portcullis_correlation::{Correlation, REQUEST_ID};
use portcullis_process_metrics::http::{self, Reason};
use tower_service::Service as _;
use tracing::{Instrument as _, Span};

use portcullis_edge::AppState;
use portcullis_edge::attribution::Attribution;
use portcullis_edge::http::body::JsonBody;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::http::peer::Peer;
use portcullis_edge::http::position::Since;
use portcullis_edge::http::request_log::{AccessLog, Line, Pattern};
use portcullis_edge::http::unread::{self, Watched};
use portcullis_edge::http::{answer, auth};
use portcullis_edge::ops::Target;

use super::check;

/// The path of a sender's check consists of [`BEFORE`], the sender's name, and [`AFTER`].
const BEFORE: &str = "/portcullis/v1/senders/";
const AFTER: &str = "/check";
const STALENESS: HeaderName = HeaderName::from_static("portcullis-staleness-ms");
/// The route as the router spells it, for logs.
const ROUTE: &str = "/portcullis/v1/senders/{sender}/check";
/// The metrics of that route.
static CHECKS: LazyLock<Arc<http::Route>> = LazyLock::new(|| http::route(ROUTE));

/// A response with a complete body, or with the body of a handler.
pub type Answered = Response<Either<Full<Bytes>, Body>>;

/// The HTTP service of the gateway: the router, with a fast path for a sender's check.
#[derive(Clone)]
pub struct Service {
    app: Arc<AppState>,
    router: Router,
    access_log: AccessLog,
}

impl Service {
    /// Creates a service that sends all other requests to `router`. `access_log` says which requests are logged.
    pub fn new(app: Arc<AppState>, router: Router, access_log: AccessLog) -> Self {
        Service { app, router, access_log }
    }

    /// Handles one request from `peer`, counts and logs it, and puts its id into the response. A stale gateway says so in the response.
    /// `patience` is how long to wait for a short body that nobody reads, so that the connection can go on.
    ///
    /// # Errors
    ///
    /// Never. Errors become responses.
    pub async fn call(
        self,
        mut request: Request<Incoming>,
        peer: Peer,
        patience: Duration,
    ) -> Result<Answered, Infallible> {
        let correlation = Correlation::of(request.headers());
        let client = self.app.address(Some(peer), request.headers());
        let line = Line::begin(request.method(), client, correlation);
        let is_check = request.method() == Method::POST && sender(request.uri().path()).is_some();
        let mut answered = if is_check {
            let (parts, body) = request.into_parts();
            let span = portcullis_telemetry::request(line.method(), correlation.trace);
            let checking = self.check(&parts, body, peer, patience);
            let answered = match span.is_disabled() {
                true => correlation.when_waiting(checking).await,
                false => correlation.when_waiting(checking.instrument(span.clone())).await,
            };
            let took = line.elapsed();
            recorded(&span, line.method(), ROUTE, answered.status());
            CHECKS.answered(line.method(), answered.status().as_u16(), took);
            let author =
                || auth::author(&self.app, &parts.headers, sender(parts.uri.path()).unwrap_or_default());
            line.end(&answered, ROUTE, took, self.access_log, author);
            answered
        } else {
            let attribution = Attribution::default();
            correlation.mark(request.headers_mut());
            let extensions = request.extensions_mut();
            extensions.insert(peer);
            extensions.insert(correlation.id);
            extensions.insert(attribution.clone());
            let span = portcullis_telemetry::request(line.method(), correlation.trace);
            let routed = Self::route(self.router, request, patience).instrument(span.clone());
            let mut answered = routed.instrument(correlation.span()).await?.map(Either::Right);
            let (took, route) = (line.elapsed(), Pattern::of(&mut answered));
            recorded(&span, line.method(), &route, answered.status());
            http::route(&route).answered(line.method(), answered.status().as_u16(), took);
            line.end(&answered, &route, took, self.access_log, || attribution.author());
            answered
        };
        answered.headers_mut().insert(REQUEST_ID, correlation.id.header());
        if let Some(age) = self.app.stale_for() {
            let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            answered.headers_mut().insert(STALENESS, age.into());
        }
        let status = answered.status();
        if status.is_client_error() || status.is_server_error() {
            let reason = answered.extensions().get().copied().unwrap_or(Reason::OTHER);
            http::refused(status.as_u16(), reason);
        }
        Ok(answered)
    }

    /// Handles one request from `peer` whose body has been read. [`call`](Self::call) is faster.
    pub async fn call_read(self, request: Request<Bytes>, peer: Peer) -> Response<Body> {
        let mut request = request.map(Body::from);
        request.extensions_mut().insert(peer);
        let mut router = self.router;
        match router.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    async fn route(
        mut router: Router,
        request: Request<Incoming>,
        patience: Duration,
    ) -> Result<Response<Body>, Infallible> {
        // A router is always ready.
        if request.body().is_end_stream() {
            return router.call(request).await;
        }
        let (parts, body) = request.into_parts();
        let (body, unread) = unread::watch(body);
        let mut response = router.call(Request::from_parts(parts, body)).await?;
        unread.settle(&mut response, patience).await;
        Ok(response)
    }

    async fn check(&self, parts: &Parts, body: Incoming, peer: Peer, patience: Duration) -> Answered {
        let (body, unread) = unread::watch(body);
        let mut answered = match self.target(parts, peer) {
            Ok(target) => self.checked(target, parts, body).await.unwrap_or_else(refused),
            Err(error) => {
                drop(body);
                refused(error)
            }
        };
        unread.settle(&mut answered, patience).await;
        answered
    }

    fn target(&self, parts: &Parts, peer: Peer) -> Result<Target, ApiError> {
        let sender = sender(parts.uri.path()).ok_or_else(ApiError::not_found)?;
        auth::target(&self.app, peer, &parts.headers, sender)
    }

    async fn checked(
        &self,
        target: Target,
        parts: &Parts,
        body: Watched<Incoming>,
    ) -> Result<Answered, ApiError> {
        let memory = self.app.verified(target.owner());
        let body = JsonBody::read(&parts.headers, body, self.app.max_body_bytes, memory).await?;
        let text = check::answer_text(target, &Since::of(&parts.headers), body).await?;
        Ok(answer::whole(Either::Left(Full::new(text))))
    }
}

/// Says in the span of a request what it was answered with.
fn recorded(span: &Span, method: &str, route: &str, status: StatusCode) {
    if span.is_disabled() {
        return;
    }
    portcullis_telemetry::name(span, format!("{method} {route}"));
    span.record("http.route", route);
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
}

fn refused(error: ApiError) -> Answered {
    error.into_response().map(Either::Right)
}

/// The sender in the path of a sender's check. `None` for other paths, and for names that are percent-encoded.
fn sender(path: &str) -> Option<&str> {
    let sender = path.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    (!sender.is_empty() && !sender.contains(['/', '%'])).then_some(sender)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_the_documented_one() {
        assert_eq!(STALENESS.as_str(), portcullis_api::STALENESS.to_lowercase());
    }

    #[test]
    fn the_route_is_one_of_the_routers() {
        assert_eq!(ROUTE, format!("{BEFORE}{{sender}}{AFTER}"));
        let mut routes = crate::routes::all().into_iter();
        assert!(routes.any(|route| route.path == ROUTE && route.method == Method::POST));
    }

    #[test]
    fn whatever_is_spelled_otherwise_is_the_routers() {
        assert_eq!(sender("/portcullis/v1/senders/support/check"), Some("support"));
        for other in [
            "/portcullis/v1/senders//check",
            "/portcullis/v1/senders/check",
            "/portcullis/v1/senders/support/check/",
            "/portcullis/v1/senders/a/b/check",
            "/portcullis/v1/senders/s%75pport/check",
            "/portcullis/v1/check",
        ] {
            assert_eq!(sender(other), None, "{other}");
        }
    }
}
