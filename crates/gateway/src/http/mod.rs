//! The native API: the core's doings as HTTP and JSON.

mod admin;
pub(crate) mod answer;
mod auth;
pub(crate) mod body;
mod check;
mod entries;
mod error;
mod express;
mod front;
mod health;
mod history;
mod metrics;
mod openapi;
pub(crate) mod peer;
mod plugin;
mod plugins;
pub(crate) mod request_log;
mod route;
mod routes;
mod status;
mod words;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use crate::{dialects, traffic};
pub(crate) use auth::INTERFACE;
use error::ApiError;
pub(crate) use error::tell_of;
pub(crate) use express::Service;
pub(crate) use front::Front;
pub(crate) use history::told_records;
use request_log::Logged;

/// What is at no path of the gateway's own: it may be the upstream's.
pub(crate) async fn unmatched(State(front): State<Arc<Front>>, request: Request) -> Response {
    let path = request.uri().path();
    if front.traffic().has_upstream() && traffic::may_pass(request.method(), path, request.headers()) {
        return traffic::pass(&front, request).await;
    }
    ApiError::not_found().into_response()
}

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
        .merge(traffic::router())
        .method_not_allowed_fallback(Logged(|| async { ApiError::method_not_allowed() }))
        .fallback(Logged(unmatched))
        .with_state(front)
}
