//! The native HTTP API under `/portcullis/v1`: lists, checks, status and history for tenants, and tenants and plugins for the
//! administrator.
#![forbid(unsafe_code)]

mod admin;
mod check;
mod conditional;
mod entries;
mod fast_path;
mod fleet;
mod health;
mod history;
mod keys;
mod meters;
mod metrics;
mod plugin;
mod plugins;
mod recording;
mod routes;
mod status;
mod tokens;
mod write;

use std::sync::Arc;

use axum::Router;

pub use fast_path::{Answered, Service};
use portcullis_edge::AppState;
use portcullis_edge::http::route::Route;
use portcullis_edge::http::{answer, openapi};

/// Creates the router of the native API.
///
/// It includes `more`, the routes that other crates add to the API, and serves the OpenAPI document of all of them.
pub fn router(more: Vec<Route>) -> Router<Arc<AppState>> {
    let mut routes = routes::all();
    routes.extend(more);
    // The document also describes its own route.
    let of_itself = routes::of_document(|| async {});
    let described = routes.iter().chain([&of_itself]);
    let document =
        openapi::document(described.map(|route| (&route.method, route.path.as_str(), &route.operation)));
    let answer = answer::shared(&document);
    let of_document = routes::of_document(move || std::future::ready(answer()));
    routes
        .into_iter()
        .chain([of_document])
        .fold(Router::new(), |router, route| router.route(&route.path, route.handler))
}
