//! `GET /healthz` and `GET /readyz`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use portcullis_api::{Health, HealthAnswer};

use portcullis_edge::http::answer;
use portcullis_edge::http::{AppState, Phase};

pub(super) async fn alive() -> Response {
    answer::ok(&HealthAnswer { status: Health::Ok })
}

pub(super) async fn ready(State(app): State<Arc<AppState>>) -> Response {
    let (code, status) = match app.phase() {
        Phase::Ready => (StatusCode::OK, Health::Ready),
        Phase::Starting => (StatusCode::SERVICE_UNAVAILABLE, Health::Starting),
        Phase::Stopping => (StatusCode::SERVICE_UNAVAILABLE, Health::Stopping),
    };
    answer::json(code, &HealthAnswer { status })
}
