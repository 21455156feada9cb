//! `GET …/history`, for a list and for single entries.

use std::num::NonZeroUsize;

use axum::http::StatusCode;
use portcullis_api::TrailAnswer;
use portcullis_ledger::Seq;
use serde::Deserialize;

use super::entries::EntryName;
use portcullis_edge::http::answer::{self, Answer};
use portcullis_edge::http::auth::{Asked, ToRead};
use portcullis_edge::http::body::Query;
use portcullis_edge::http::error::ApiError;
use portcullis_edge::ops::Work;
use portcullis_edge::ops::read::{self, ShownTrail};
use portcullis_edge::wire;

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// The query. Values are strings, so that errors are reported per parameter.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TrailQuery {
    before: Option<String>,
    limit: Option<String>,
}

pub(super) async fn list(asked: Asked<ToRead>, Query(query): Query<TrailQuery>) -> Answer {
    let (before, limit) = (query.before()?, query.limit()?);
    asked
        .target
        .blocking(Work::Read, move |target| {
            let trail = read::trail(&target, None, before, limit)?;
            Ok::<_, ApiError>(answer::to(&target, StatusCode::OK, &answer(trail))?)
        })
        .await
}

pub(super) async fn entry(asked: Asked<ToRead>, name: EntryName, Query(query): Query<TrailQuery>) -> Answer {
    let (before, limit) = (query.before()?, query.limit()?);
    asked
        .target
        .blocking(Work::Read, move |target| {
            let person = name.person(&target)?;
            // An entry that never existed is an error, not an empty history.
            read::entry_of(&target, &person)?;
            let trail = read::trail(&target, Some(person), before, limit)?;
            Ok::<_, ApiError>(answer::to(&target, StatusCode::OK, &answer(trail))?)
        })
        .await
}

impl TrailQuery {
    fn before(&self) -> Result<Option<Seq>, ApiError> {
        let refused = || {
            ApiError::invalid_request(
                "before",
                "not a sequence number; send the `older` of the previous part",
            )
        };
        self.before.as_deref().map(|text| text.parse().map(Seq::new).map_err(|_| refused())).transpose()
    }

    fn limit(&self) -> Result<NonZeroUsize, ApiError> {
        let limit = self.limit.as_deref().map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
        limit
            .filter(|&limit| limit <= MAX_LIMIT)
            .and_then(NonZeroUsize::new)
            .ok_or_else(|| ApiError::invalid_request("limit", "must be a number from 1 to 1000"))
    }
}

fn answer(trail: ShownTrail) -> TrailAnswer {
    TrailAnswer {
        records: trail.records.into_iter().map(wire::record).collect(),
        older: trail.older.map(Seq::get),
    }
}
