//! Routes of the native API: their handlers, and what the OpenAPI document says about them.

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use super::AppState;
use super::openapi::{Auth, Operation};
use super::request_log::Logged;

/// A route: a method of a path.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path, with parameters such as `{sender}`.
    pub path: String,
    /// The handler, which must be for this method.
    pub handler: MethodRouter<Arc<AppState>>,
    /// What the OpenAPI document says about the route.
    pub operation: Operation,
}

/// The prefix of all paths of the native API, except health checks and metrics.
pub const PREFIX: &str = "/portcullis/v1";

/// Creates a handler for a method, whose requests are logged: see [`Logged`].
pub fn logged<H, T>(method: MethodFilter, handler: H) -> MethodRouter<Arc<AppState>>
where
    H: Handler<T, Arc<AppState>, Future: Unpin>,
    T: 'static,
{
    on(method, Logged(handler))
}

/// Creates an operation with empty descriptions, for struct update syntax.
pub fn operation(id: impl Into<String>, auth: Auth) -> Operation {
    Operation {
        id: id.into(),
        summary: "",
        description: "",
        tag: "",
        auth,
        query: &[],
        asks: &[],
        tells: &[],
        body: None,
        answers: Vec::new(),
        errors: &[],
    }
}
