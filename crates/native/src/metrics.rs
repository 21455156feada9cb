//! `GET /metrics`

use std::collections::HashMap;

use axum::body::Body;
use axum::http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use portcullis_admission::Owner;
use portcullis_process_metrics::exposition::{Format, gzip, takes_gzip};
use tokio::runtime::Handle;
use tracing::{debug, error};

use portcullis_edge::http::answer::{Answer, Room};
use portcullis_edge::http::auth::Admin;
use portcullis_edge::http::body::Query;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::metrics::{Runtime, Scraped, ShownLists};
use portcullis_edge::ops::blocking;
use serde::Deserialize;

/// The content type that Prometheus requests.
pub(super) const MEDIA_TYPE: &str = Format::OpenMetrics.media_type();
/// The content type for clients that don't request that.
pub(super) const TEXT: &str = Format::Text.media_type();

/// The parameters of a scrape.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Scrape {
    /// Which lists have metrics of their own.
    #[serde(default)]
    lists: ShownLists,
}

pub(super) async fn metrics(
    Admin(gateway): Admin,
    headers: HeaderMap,
    Query(scrape): Query<Scrape>,
) -> Answer {
    let format = Format::accepted(&joined(&headers, &ACCEPT));
    let is_compressed = takes_gzip(&joined(&headers, &ACCEPT_ENCODING));
    let of_runtime = Handle::current().metrics();
    let runtime = Runtime { threads: of_runtime.num_workers(), tasks: of_runtime.num_alive_tasks() };
    blocking(move || {
        let engine = &gateway.engine;
        // The ledger may be a database that does not answer, and the other metrics are wanted most then.
        let entries = engine.blocking_entry_counts().unwrap_or_else(|error| {
            debug!(%error, "the entries can't be counted");
            HashMap::new()
        });
        let scraped = Scraped {
            tenants: &engine.status(),
            outage: &engine.outage(),
            entries: &entries,
            written: engine.ledger_stats(),
            runtime,
            shown: scrape.lists,
        };
        let text = gateway.metrics.text(&scraped, format).map_err(|error| {
            error!(%error, "can't encode the metrics");
            ApiError::internal()
        })?;
        // For the text, until it is compressed, and for what is left of it then.
        let room = Room::of(&gateway.pools.answers, Owner::Operator, text.len())?;
        let body = if is_compressed { gzip(&text) } else { text.into() };
        let mut response = Response::new(Body::from(room.holding(body)));
        *response.status_mut() = StatusCode::OK;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(format.media_type()));
        headers.insert(VARY, HeaderValue::from_static("accept, accept-encoding"));
        if is_compressed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        Ok::<_, ApiError>(response)
    })
    .await
}

/// All values of a header, as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values: Vec<_> = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect();
    values.join(",")
}
