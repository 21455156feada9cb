//! The native API, `/portcullis/v1`: what can be done with lists, as HTTP and JSON, and the administrator's part of it.
#![forbid(unsafe_code)]

mod admin;
mod check;
mod entries;
mod fast_path;
mod health;
mod history;
mod metrics;
mod plugin;
mod plugins;
mod routes;
mod status;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;

pub use fast_path::Service;
use portcullis_edge::AppState;
use portcullis_edge::http::route::Route;
use portcullis_edge::http::{answer, openapi};

/// The routes of the native API, of `more` routes that other faces add to it, and of the OpenAPI document that describes them all.
pub fn router(more: Vec<Route>) -> Router<Arc<AppState>> {
    let mut routes = routes::all();
    routes.extend(more);
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
}
