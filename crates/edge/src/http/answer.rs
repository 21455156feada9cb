//! Answers in JSON.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use serde::Serialize;
use tracing::error;

use super::error::ApiError;

/// What handlers return.
pub type Answer = Result<Response, ApiError>;

/// An answer with this body.
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    match serde_json::to_vec(body) {
        Ok(text) => bytes(status, text.into()),
        Err(error) => {
            error!(%error, "an answer can't be written as JSON");
            bytes(StatusCode::INTERNAL_SERVER_ERROR, Body::empty())
        }
    }
}

/// A successful answer with this body.
pub fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

fn bytes(status: StatusCode, body: Body) -> Response {
    let mut response = whole(body);
    *response.status_mut() = status;
    response
}

/// A successful answer, whose body is JSON already.
pub fn whole<B>(body: B) -> HttpResponse<B> {
    let mut response = HttpResponse::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
