//! The forwarding side of the gateway: requests to Meta's Cloud API, its webhooks, and messages between any other two routers.
#![forbid(unsafe_code)]

pub mod allowed_edge;
mod breakdown;
mod client;
mod concurrency_limit;
mod events;
#[doc(hidden)]
pub mod fuzz;
mod message;
mod outbound;
mod people;
mod relay;
mod resolver;
mod route;
pub mod secrets;
pub mod settings;
mod verdict;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use portcullis_edge::AppState;
use portcullis_edge::http::ApiError;
use portcullis_edge::http::route::Route;

use client::Client;
use concurrency_limit::ConcurrencyLimit;
pub use events::{hand_over as hand_over_changes, run as send_changes};
pub use outbound::Passed;
use secrets::Secrets;
use settings::{MetaSettings, TrafficSettings};

/// State shared by all forwarding routes: the HTTP client, concurrency limits, and timeouts.
pub struct Proxy {
    app: Arc<AppState>,
    client: Client,
    sends: ConcurrencyLimit,
    /// Webhooks on their way to callbacks. They have limits of their own, so that slow callbacks don't stop messages.
    callbacks: ConcurrencyLimit,
    /// Long bodies on their way, from clients and to them, whose pace the clients set. They have limits of their own, so that slow
    /// clients don't stop messages.
    streams: ConcurrencyLimit,
    meta: MetaSettings,
    /// The part of `meta` that is exchanged while the gateway runs.
    meta_secrets: ArcSwap<MetaSecrets>,
    upstream_timeout: Duration,
    callback_timeout: Duration,
}

/// The secrets that the gateway shares with Meta.
struct MetaSecrets {
    app_secret: Option<Secrets>,
    verify_token: Option<Secrets>,
}

impl MetaSecrets {
    fn of(meta: &MetaSettings) -> Self {
        MetaSecrets { app_secret: meta.app_secret.clone(), verify_token: meta.verify_token.clone() }
    }
}

impl Proxy {
    /// Creates the proxy and its HTTP client. No connection is opened until the first message is forwarded.
    ///
    /// # Errors
    ///
    /// Returns an error if TLS can't be configured with the certificate verifier of the operating system.
    pub fn new(
        app: Arc<AppState>,
        settings: &TrafficSettings,
        meta: MetaSettings,
    ) -> Result<Self, rustls::Error> {
        let limit = || ConcurrencyLimit::new(settings.max_in_flight, settings.max_in_flight_per_tenant);
        Ok(Proxy {
            app,
            client: Client::new()?,
            sends: limit(),
            callbacks: limit(),
            streams: limit(),
            meta_secrets: ArcSwap::from_pointee(MetaSecrets::of(&meta)),
            meta,
            upstream_timeout: Duration::from_secs(settings.upstream_timeout_seconds),
            callback_timeout: Duration::from_secs(settings.callback_timeout_seconds),
        })
    }

    /// Verifies webhooks and handshakes that arrive from now on with the `app_secret` and `verify_token` of these settings. The others have
    /// no effect.
    pub fn exchange_secrets(&self, meta: &MetaSettings) {
        self.meta_secrets.store(Arc::new(MetaSecrets::of(meta)));
    }

    /// Whether requests that the gateway doesn't answer itself may be forwarded to an upstream.
    fn has_upstream(&self) -> bool {
        self.meta.upstream.is_some()
    }
}

/// Returns the routes for sending through Meta's Cloud API and for receiving its webhooks.
pub fn router(proxy: &Arc<Proxy>) -> Router<Arc<AppState>> {
    Router::new().merge(outbound::router(proxy)).merge(webhook::router(proxy))
}

/// Returns the routes that the proxy adds to the native API (`/portcullis/v1/route`).
pub fn native_routes(proxy: &Arc<Proxy>) -> Vec<Route> {
    route::routes(proxy)
}

/// Handles a request that matches no route: forwards it if it can be a Graph API request and there is an upstream, and responds
/// with 404 otherwise.
pub async fn unmatched(proxy: Arc<Proxy>, request: Request) -> Response {
    let path = request.uri().path();
    if proxy.has_upstream() && outbound::may_pass(request.method(), path, request.headers()) {
        return outbound::pass(&proxy, request).await;
    }
    ApiError::not_found().into_response()
}
