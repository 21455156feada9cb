//! The native API: the core's doings as HTTP and JSON.

mod admin;
pub(crate) mod answer;
mod auth;
pub(crate) mod body;
mod check;
mod entries;
mod error;
mod front;
mod health;
mod history;
mod metrics;
mod openapi;
pub(crate) mod peer;
mod plugin;
mod plugins;
pub(crate) mod request_log;
mod routes;
mod status;
mod words;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

use crate::dialects;
use error::ApiError;
pub(crate) use error::tell_of;
pub(crate) use front::Front;
use request_log::Logged;

/// All of the native API.
pub(crate) fn router(front: Arc<Front>) -> Router {
    let routes = routes::all();
    // The document is a route, too, and tells of itself.
    let of_itself = routes::of_document(|| async {});
    let described = routes.iter().chain([&of_itself]);
    let document =
        openapi::document(described.map(|route| (&route.method, route.path.as_str(), &route.operation)));
    let document = Arc::new(document);
    let of_document = routes::of_document(move || {
        let document = Arc::clone(&document);
        async move { answer::json(StatusCode::OK, &*document) }
    });
    routes
        .into_iter()
        .chain([of_document])
        .fold(Router::new(), |router, route| router.route(&route.path, route.handler))
        .merge(dialects::router(&front.dialects))
        .method_not_allowed_fallback(Logged(|| async { ApiError::method_not_allowed() }))
        .fallback(Logged(|| async { ApiError::not_found() }))
        .with_state(front)
}
