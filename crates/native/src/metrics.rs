//! `GET /metrics`

use std::collections::HashMap;

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response, StatusCode};
use portcullis_admission::Owner;
use tracing::{debug, error};

use portcullis_edge::http::answer::{Answer, Room};
use portcullis_edge::http::auth::Admin;
use portcullis_edge::http::body::Query;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::metrics::ShownLists;
use portcullis_edge::ops::blocking;
use serde::Deserialize;

/// The content type of OpenMetrics text, as Prometheus requests it.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The parameters of a scrape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scrape {
    /// Which lists have metrics of their own.
    #[serde(default)]
    lists: ShownLists,
}

pub(super) async fn metrics(Admin(gateway): Admin, Query(scrape): Query<Scrape>) -> Answer {
    blocking(move || {
        let engine = &gateway.engine;
        // The ledger may be a database that does not answer, and the other metrics are wanted most then.
        let entries = engine.blocking_entry_counts().unwrap_or_else(|error| {
            debug!(%error, "the entries can't be counted");
            HashMap::new()
        });
        let text = gateway.metrics.text(&engine.status(), &engine.outage(), &entries, scrape.lists);
        let text = text.map_err(|error| {
            error!(%error, "can't encode the metrics");
            ApiError::internal()
        })?;
        let room = Room::of(&gateway.pools.answers, Owner::Operator, text.len())?;
        let mut response = Response::new(Body::from(room.holding(text.into())));
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        Ok::<_, ApiError>(response)
    })
    .await
}
