//! What is around the data of a response.

use axum::response::Response;
use portcullis_correlation::RequestId;
use portcullis_edge::http::answer;
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct Envelope<D: Serialize> {
    success: bool,
    message: &'static str,
    data: D,
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Metadata {
    api_version: &'static str,
    request_id: String,
}

impl Metadata {
    pub(super) fn of(id: RequestId) -> Self {
        Metadata { api_version: "v2", request_id: id.uuid().to_string() }
    }
}

/// A response with status 200.
pub(super) fn good(message: &'static str, data: impl Serialize, id: RequestId) -> Response {
    answer::ok(&enveloped(message, data, id))
}

pub(super) fn enveloped<D: Serialize>(message: &'static str, data: D, id: RequestId) -> Envelope<D> {
    Envelope { success: true, message, data, metadata: Metadata::of(id) }
}
