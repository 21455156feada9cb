//! Messages on their way through the gateway: to Meta's Cloud API, from its webhooks, and between any other two.
#![forbid(unsafe_code)]

pub mod allowed_edge;
mod client;
mod concurrency_limit;
mod confirmations;
mod events;
#[doc(hidden)]
pub mod fuzz;
mod idle_timeout_body;
mod message;
mod outbound;
mod people;
mod route;
pub mod settings;
mod verdict;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use portcullis_edge::AppState;
use portcullis_edge::http::ApiError;
use portcullis_edge::http::route::Route;

use client::Client;
use concurrency_limit::ConcurrencyLimit;
use confirmations::AllConfirmations;
pub use events::run as send_changes;
use settings::{MetaSettings, TrafficSettings};
use webhook::Accepted;

/// What messages pass with.
pub struct Proxy {
    app: Arc<AppState>,
    client: Client,
    concurrency: ConcurrencyLimit,
    meta: MetaSettings,
    upstream_timeout: Duration,
    callback_timeout: Duration,
    accepted: Accepted,
    confirmations: AllConfirmations,
}

impl Proxy {
    /// # Errors
    ///
    /// Where TLS can't be set up with the certificates of this system.
    pub fn new(
        app: Arc<AppState>,
        settings: &TrafficSettings,
        meta: MetaSettings,
    ) -> Result<Self, rustls::Error> {
        Ok(Proxy {
            app,
            client: Client::new()?,
            concurrency: ConcurrencyLimit::new(settings.max_in_flight, settings.max_in_flight_per_tenant),
            meta,
            upstream_timeout: Duration::from_secs(settings.upstream_timeout_seconds),
            callback_timeout: Duration::from_secs(settings.callback_timeout_seconds),
            accepted: Accepted::default(),
            confirmations: AllConfirmations::default(),
        })
    }

    /// Whether requests that are not the gateway's own pass on.
    fn has_upstream(&self) -> bool {
        self.meta.upstream.is_some()
    }
}

/// The routes of Meta's messages and webhooks.
pub fn router(proxy: &Arc<Proxy>) -> Router<Arc<AppState>> {
    Router::new().merge(outbound::router(proxy)).merge(webhook::router(proxy))
}

/// The routes that the proxy adds to the native API.
pub fn native_routes(proxy: &Arc<Proxy>) -> Vec<Route> {
    route::routes(proxy)
}

/// Answers a request that no route matches: it may be the upstream's.
pub async fn unmatched(proxy: Arc<Proxy>, request: Request) -> Response {
    let path = request.uri().path();
    if proxy.has_upstream() && outbound::may_pass(request.method(), path, request.headers()) {
        return outbound::pass(&proxy, request).await;
    }
    ApiError::not_found().into_response()
}
