//! The router of all HTTP APIs.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use portcullis_edge::AppState;
use portcullis_edge::http::ApiError;
use portcullis_edge::http::request_log::Logged;
use portcullis_proxy::Proxy;

/// Merges the native API, the vendors' dialects and the proxy. Requests that match none of them go to the proxy's fallback.
pub(crate) fn router(app: Arc<AppState>, proxy: &Arc<Proxy>) -> Router {
    let unmatched = {
        let proxy = Arc::clone(proxy);
        move |request: Request| Box::pin(portcullis_proxy::unmatched(Arc::clone(&proxy), request))
    };
    portcullis_native::router(portcullis_proxy::native_routes(proxy))
        .merge(portcullis_dialects::router(&app.dialects))
        .merge(portcullis_proxy::router(proxy))
        .method_not_allowed_fallback(Logged(|| async { ApiError::method_not_allowed() }))
        .fallback(Logged(unmatched))
        .with_state(app)
}
