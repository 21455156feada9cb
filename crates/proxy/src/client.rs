//! Requests to others: upstreams, callbacks, next hops.

use std::sync::Arc;
use std::time::Duration;

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
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(60);

/// Sends requests over connections that are kept, by HTTP/2 where the other side offers it with TLS, else by HTTP/1.1.
/// Certificates are checked as the operating system does.
#[derive(Clone)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Body>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    #[error("no connection could be made, or it broke off")]
    Unreachable,
    #[error("no answer came in time")]
    Late,
}

impl Client {
    pub(crate) fn new() -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let mut http = HttpConnector::new();
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
            .build(connector);
        Ok(Client { pool })
    }

    /// Sends a request, and waits for the head of its answer, but not longer than `patience`.
    pub(crate) async fn send(
        &self,
        request: Request<Body>,
        patience: Duration,
    ) -> Result<Response, Unanswered> {
        match tokio::time::timeout(patience, self.pool.request(request)).await {
            Ok(Ok(response)) => Ok(response.map(Body::new)),
            // What exactly, its text may tell with an address in it: whoever sends it on knows where it went.
            Ok(Err(_)) => Err(Unanswered::Unreachable),
            Err(_) => Err(Unanswered::Late),
        }
    }
}

/// Headers that are of one connection, and of no use beyond it (RFC 9110, section 7.6.1).
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

/// What a header `Connection` must not name, as it is for all recipients of the content (RFC 9110, section 7.6.1). Taken away, the
/// next one would read the body as something else than was looked at, or for somebody else.
const OF_CONTENT: [HeaderName; 4] = [AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE];

/// Takes away what is of one connection only.
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

/// The same headers, for another connection, whose host is told by who makes it: in its own header by HTTP/1.1, and by HTTP/2
/// elsewhere, where a header beside that is refused.
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
