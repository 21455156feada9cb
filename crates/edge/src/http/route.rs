//! One route of the native API: its handler, and what the OpenAPI document says of it.

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::AppState;
use super::openapi::{Auth, Operation};
use super::request_log::Logged;

/// One route: a method of a path.
pub struct Route {
    pub method: Method,
    pub path: String,
    pub handler: MethodRouter<Arc<AppState>>,
    pub operation: Operation,
}

/// What all paths but those of health begin with.
pub const PREFIX: &str = "/portcullis/v1";

/// Each request of each route is logged.
pub fn logged<H, T>(method: MethodFilter, handler: H) -> MethodRouter<Arc<AppState>>
where
    H: Handler<T, Arc<AppState>, Future: Unpin>,
    T: 'static,
{
    on(method, Logged(handler))
}

/// An operation about which nothing is said yet.
pub fn operation(id: impl Into<String>, auth: Auth) -> Operation {
    Operation {
        id: id.into(),
        summary: "",
        description: "",
        tag: "",
        auth,
        query: &[],
        body: None,
        answers: Vec::new(),
        errors: &[],
    }
}
