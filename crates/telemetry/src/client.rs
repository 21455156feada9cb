//! The HTTP client of the exporter.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client as Pool;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use opentelemetry_http::{HttpClient, HttpError};
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::runtime::Handle;

/// The longest answer of a collector that is read, in bytes.
const LONGEST_ANSWER: usize = 64 << 10;
/// How long an idle connection stays in the pool.
const IDLE: Duration = Duration::from_secs(60);

/// A client whose requests run on the gateway's runtime, as the exporter has a thread without one.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pool: Pool<HttpsConnector<HttpConnector>, Full<Bytes>>,
    runtime: Arc<OnceLock<Handle>>,
    patience: Duration,
}

/// Why a request was not made.
#[derive(Debug, thiserror::Error)]
enum Unsent {
    #[error("the gateway has not started yet")]
    TooEarly,
    #[error("the collector did not answer in time")]
    Late,
    #[error("the gateway is stopping")]
    Stopping,
}

impl Client {
    /// Requests take at most `patience`. None is made before `runtime` is set.
    pub(crate) fn new(runtime: Arc<OnceLock<Handle>>, patience: Duration) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_platform_verifier()?
            .with_no_client_auth();
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let pool = Pool::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .build(connector);
        Ok(Client { pool, runtime, patience })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let runtime = self.runtime.get().ok_or(Unsent::TooEarly)?;
        let (pool, patience) = (self.pool.clone(), self.patience);
        let sending = async move {
            let (head, body) = pool.request(request.map(Full::new)).await?.into_parts();
            let body = Limited::new(Body::new(body), LONGEST_ANSWER).collect().await?.to_bytes();
            Ok::<_, HttpError>(Response::from_parts(head, body))
        };
        let sent = runtime.spawn(async move { tokio::time::timeout(patience, sending).await });
        sent.await.map_err(|_| Unsent::Stopping)?.map_err(|_| Unsent::Late)?
    }
}
