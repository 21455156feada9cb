//! The HTTP client for upstreams, callbacks and next hops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderName, TE,
    TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use portcullis_process_metrics::exchanges::{self, Outcome, To};
use portcullis_process_metrics::http::Reason;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tracing::Instrument as _;

use super::breakdown::Breakdown;
use super::resolver::Resolver;

/// Timeout for establishing a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection stays in the pool.
const IDLE: Duration = Duration::from_secs(60);

/// The most bytes of a response that are buffered while a client does not take them. Also the most of a response's head.
const MOST_BUFFERED: usize = 64 << 10;
/// The same over HTTP/2. A megabyte a second, if the upstream is an eighth of a second away.
const WINDOW: u32 = 128 << 10;
/// The same of all responses on one connection of HTTP/2. Large enough for a thousand that nobody takes: fewer must not stop the rest.
const WINDOW_OF_ALL: u32 = 128 << 20;

/// An HTTP client with pooled connections.
///
/// Uses HTTP/2 if the server offers it over TLS, and HTTP/1.1 otherwise. Certificates are verified by the operating system's
/// verifier.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector<Resolver>>, Body>,
}

/// Why a request got no response. Says nothing of the address: the caller knows it, and who may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// The connection could not be established, or it failed before the response head arrived.
    #[error("the connection failed: {0}")]
    Unreachable(Breakdown),
    /// The response head did not arrive within the timeout.
    #[error("the response timed out")]
    Late,
}

impl Unanswered {
    /// Its name in metrics and logs of the gateway's own requests' answers.
    pub(crate) const fn reason(self) -> Reason {
        match self {
            Unanswered::Unreachable(_) => Reason("next_hop_failed"),
            Unanswered::Late => Reason("next_hop_late"),
        }
    }
}

impl Client {
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let mut http = HttpConnector::new_with_resolver(Resolver::new());
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(http);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(MOST_BUFFERED)
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(WINDOW_OF_ALL)
            .build(connector);
        Ok(Client { pool })
    }

    /// Sends a request and waits up to `patience` for the response head. The body is not covered by this timeout.
    pub(crate) async fn send(
        &self,
        to: To,
        mut request: Request<Body>,
        patience: Duration,
    ) -> Result<Response, Unanswered> {
        let start = Instant::now();
        let span = portcullis_telemetry::outgoing(to.as_str());
        portcullis_telemetry::pass_on(&span, request.headers_mut());
        let asking = tokio::time::timeout(patience, self.pool.request(request)).instrument(span.clone());
        let answered = match asking.await {
            Ok(Ok(response)) => Ok(response.map(Body::new)),
            Ok(Err(error)) => Err(Unanswered::Unreachable(Breakdown::of(&error))),
            Err(_) => Err(Unanswered::Late),
        };
        let outcome = match &answered {
            Ok(response) => Outcome::Answered(response.status().as_u16()),
            Err(Unanswered::Unreachable(_)) => Outcome::Unreachable,
            Err(Unanswered::Late) => Outcome::Late,
        };
        exchanges::made(to, outcome, start.elapsed());
        match outcome {
            Outcome::Answered(status) => span.record("http.response.status_code", status),
            Outcome::Unreachable => span.record("outcome", "unreachable").record("otel.status_code", "ERROR"),
            Outcome::Late => span.record("outcome", "late").record("otel.status_code", "ERROR"),
        };
        answered
    }
}

/// Connection-specific headers, which must not be forwarded (RFC 9110, section 7.6.1).
const OF_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    EXPECT,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("proxy-authorization"),
];

/// Headers that stay even if `Connection` names them, because they are meant for all recipients (RFC 9110, section 7.6.1).
/// Without them, the next hop would interpret the body differently from the gateway, or attribute it to someone else.
const OF_CONTENT: [HeaderName; 4] = [AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE];

/// Removes hop-by-hop headers: the standard ones and those that `Connection` names.
pub(crate) fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name| !OF_CONTENT.contains(name))
        .collect();
    for name in named.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

/// Prepares headers for forwarding over another connection: removes hop-by-hop headers and `Host`.
///
/// The client sets the host itself: as `Host` in HTTP/1.1, and as `:authority` in HTTP/2, where some servers reject an additional
/// `Host`.
pub(crate) fn for_another(mut headers: HeaderMap) -> HeaderMap {
    end_to_end(&mut headers);
    headers.remove(HOST);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_one_connection_goes_no_further() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "keep-alive, X-Mine, Content-Type ,AUTHORIZATION"),
            ("content-type", "application/json"),
            ("keep-alive", "timeout=5"),
            ("x-mine", "1"),
            ("transfer-encoding", "chunked"),
            ("authorization", "Bearer x"),
            ("host", "gateway:8480"),
            ("x-other", "2"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        let headers = for_another(headers);
        let mut left: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [("authorization", "Bearer x"), ("content-type", "application/json"), ("x-other", "2")]
        );
    }
}
