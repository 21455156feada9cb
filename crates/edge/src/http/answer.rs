//! JSON responses.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tracing::error;

use super::error::ApiError;

/// The return type of handlers.
pub type Answer = Result<Response, ApiError>;

/// Creates a JSON response. If the body can't be serialized, which would be a bug, logs that and responds with status
/// 500 and no body.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => bytes(status, text.into()),
        Err(error) => {
            error!(%error, "cannot serialize a response as JSON");
            bytes(StatusCode::INTERNAL_SERVER_ERROR, Body::empty())
        }
    }
}

/// Creates a JSON response with status 200.
pub fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

fn bytes(status: StatusCode, body: Body) -> Response {
    let mut response = whole(body);
    *response.status_mut() = status;
    response
}

/// Creates a response with status 200 from a body that is JSON already.
pub fn whole<B>(body: B) -> HttpResponse<B> {
    let mut response = HttpResponse::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
