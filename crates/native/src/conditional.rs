//! Conditional requests (RFC 9110, section 13): `ETag` and `If-Match`.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::header::{ETAG, IF_MATCH};
use axum::http::request::Parts;
use axum::response::Response;
use portcullis_edge::gateway::{Precondition, Version};

/// Extracts which version of the settings the request may change.
pub(super) struct IfMatch(pub(super) Precondition);

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let mut values = parts.headers.get_all(IF_MATCH).iter().peekable();
        if values.peek().is_none() {
            return Ok(IfMatch(Precondition::None));
        }
        // What is not text is no tag of the gateway.
        let values: Vec<&str> = values.map(|value| value.to_str().unwrap_or_default()).collect();
        Ok(IfMatch(Precondition::parse(&values.join(","))))
    }
}

/// Adds the version of the settings to a response, if they are served.
pub(super) fn tagged(mut response: Response, version: Option<Version>) -> Response {
    if let Some(tag) = version.and_then(|version| HeaderValue::from_str(&version.to_string()).ok()) {
        response.headers_mut().insert(ETAG, tag);
    }
    response
}
