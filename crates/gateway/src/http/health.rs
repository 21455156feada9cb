//! `GET /healthz` and `GET /readyz`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use schemars::JsonSchema;
use serde::Serialize;

use super::answer;
use super::front::{Front, Phase};

/// How the process is.
#[derive(Serialize, JsonSchema)]
pub(super) struct HealthAnswer {
    status: Health,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
enum Health {
    /// The process is alive.
    Ok,
    /// Requests are answered.
    Ready,
    /// Blacklists are being filled.
    Starting,
    /// Requests under way are finished, new ones turned away.
    Stopping,
}

pub(super) async fn alive() -> Response {
    answer::ok(&HealthAnswer { status: Health::Ok })
}

pub(super) async fn ready(State(front): State<Arc<Front>>) -> Response {
    let (code, status) = match front.phase() {
        Phase::Ready => (StatusCode::OK, Health::Ready),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, Health::Starting),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, Health::Stopping),
    };
    answer::json(code, &HealthAnswer { status })
}
