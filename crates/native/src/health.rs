//! `GET /healthz` and `GET /readyz`

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use portcullis_api::{Degraded, Health, HealthAnswer, KeyHealth, LedgerHealth};
use portcullis_engine::{LedgerState, Outage, WhenStale};

use portcullis_edge::http::answer;
use portcullis_edge::http::{AppState, Phase};

pub(super) async fn alive() -> Response {
    answer::ok(&HealthAnswer { status: Health::Ok, degraded: None })
}

pub(super) async fn ready(State(app): State<Arc<AppState>>) -> Response {
    let outage = app.gateway().ok().map(|gateway| gateway.engine.outage()).filter(Outage::is_any);
    let (code, status) = match (app.phase(), &outage) {
        (Phase::Ready, None) => (StatusCode::OK, Health::Ready),
        (Phase::Ready, Some(outage)) if is_ready(outage, app.is_ready_when_degraded()) => {
            (StatusCode::OK, Health::Degraded)
        }
        (Phase::Ready, Some(_)) => (StatusCode::SERVICE_UNAVAILABLE, Health::Degraded),
        (Phase::Starting, _) => (StatusCode::SERVICE_UNAVAILABLE, Health::Starting),
        (Phase::Leaving | Phase::Stopping, _) => (StatusCode::SERVICE_UNAVAILABLE, Health::Stopping),
    };
    let degraded = outage.filter(|_| matches!(status, Health::Degraded)).map(|outage| degraded(&outage));
    answer::json(code, &HealthAnswer { status, degraded })
}

/// Whether a gateway that is degraded reports that it is ready.
fn is_ready(outage: &Outage, is_ready_when_degraded: bool) -> bool {
    let steps_back = outage.is_stale && outage.when_stale == WhenStale::Unready;
    is_ready_when_degraded && !steps_back
}

fn degraded(outage: &Outage) -> Degraded {
    Degraded {
        lists: outage.lists as u64,
        lists_out: outage.lists_out as u64,
        rules_out: outage.rules_out as u64,
        user_ids_out: outage.user_ids_out as u64,
        ledger: match outage.ledger_state() {
            LedgerState::Ok => LedgerHealth::Ok,
            LedgerState::Lost => LedgerHealth::Lost,
            LedgerState::Unwitnessed => LedgerHealth::Unwitnessed,
            LedgerState::Unreachable => LedgerHealth::Unreachable,
            _ => LedgerHealth::Failing,
        },
        master_key: match outage.key {
            None => KeyHealth::Ok,
            Some(_) => KeyHealth::Lost,
        },
        staleness_ms: outage.staleness.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
    }
}
