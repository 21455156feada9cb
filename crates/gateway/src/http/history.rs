//! `GET …/history`, and that of single entries.

use std::num::NonZeroUsize;

use portcullis_ledger::{Coverage, HoldKind, Seq};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::answer::{self, Answer};
use super::auth::Asked;
use super::body::Query;
use super::entries::{EntryName, id_text, ways};
use super::error::ApiError;
use super::words::{ActorAnswer, HoldWord, OutcomeWord, SourceWord, Way, time};
use crate::core::read::{self, ShownRecord, ShownTrail};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;

/// A part of what was done, the newest change first.
#[derive(Serialize, JsonSchema)]
pub(super) struct TrailAnswer {
    records: Vec<RecordAnswer>,
    /// What to send as `before` for older ones; null where there are none.
    older: Option<u64>,
}

/// One change of one entry.
#[derive(Serialize, JsonSchema)]
struct RecordAnswer {
    /// The list's sequence number of the change.
    sequence: u64,
    #[schemars(extend("format" = "date-time"))]
    at: String,
    /// When the person asked for it, as far as that is known; else the same.
    #[schemars(extend("format" = "date-time"))]
    requested: String,
    /// The entry's id.
    entry: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<String>,
    outcome: OutcomeWord,
    /// The hold that was made or lifted; missing where all were lifted together.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold: Option<HoldWord>,
    actor: ActorAnswer,
    /// How the block came about.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<SourceWord>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    display: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    expires: Option<String>,
    before: StateAnswer,
    after: StateAnswer,
}

/// What an entry covered.
#[derive(Serialize, JsonSchema)]
struct StateAnswer {
    /// What was blocked.
    directions: Vec<Way>,
    /// What each of its holds in force covered.
    holds: Vec<HoldState>,
}

#[derive(Serialize, JsonSchema)]
struct HoldState {
    kind: HoldWord,
    directions: Vec<Way>,
}

/// The query. Texts, as what is wrong with them is told here.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct TrailQuery {
    before: Option<String>,
    limit: Option<String>,
}

pub(super) async fn list(asked: Asked, Query(query): Query<TrailQuery>) -> Answer {
    let (before, limit) = (query.before()?, query.limit()?);
    answer::blocking(move || {
        let trail = read::trail(&asked.target, None, before, limit)?;
        Ok::<_, ApiError>(answer::ok(&TrailAnswer::from(trail)))
    })
    .await
}

pub(super) async fn entry(asked: Asked, name: EntryName, Query(query): Query<TrailQuery>) -> Answer {
    let (before, limit) = (query.before()?, query.limit()?);
    answer::blocking(move || {
        let person = name.person(&asked.target)?;
        // An entry that there never was has no history, which is not the same as an empty one.
        read::entry_of(&asked.target, &person)?;
        let trail = read::trail(&asked.target, Some(person), before, limit)?;
        Ok::<_, ApiError>(answer::ok(&TrailAnswer::from(trail)))
    })
    .await
}

impl TrailQuery {
    fn before(&self) -> Result<Option<Seq>, ApiError> {
        let refused = || {
            ApiError::invalid_request("before", "not a sequence number; send the `older` of the part before")
        };
        self.before.as_deref().map(|text| text.parse().map(Seq::new).map_err(|_| refused())).transpose()
    }

    fn limit(&self) -> Result<NonZeroUsize, ApiError> {
        let limit = self.limit.as_deref().map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
        limit
            .filter(|&limit| limit <= MAX_LIMIT)
            .and_then(NonZeroUsize::new)
            .ok_or_else(|| ApiError::invalid_request("limit", "not a number from 1 to 1000"))
    }
}

/// Changes of one list, as a tenant that wants to know is told of them.
#[derive(Serialize)]
struct Told<'a> {
    tenant: &'a str,
    /// Null for the tenant-wide list.
    sender: Option<&'a str>,
    records: Vec<RecordAnswer>,
}

/// The body of such a message.
pub(crate) fn told_records(tenant: &str, sender: Option<&str>, records: Vec<ShownRecord>) -> String {
    let records = records.into_iter().map(RecordAnswer::from).collect();
    serde_json::to_string(&Told { tenant, sender, records }).unwrap_or_default()
}

impl From<ShownTrail> for TrailAnswer {
    fn from(trail: ShownTrail) -> Self {
        TrailAnswer {
            records: trail.records.into_iter().map(RecordAnswer::from).collect(),
            older: trail.older.map(Seq::get),
        }
    }
}

impl From<ShownRecord> for RecordAnswer {
    fn from(shown: ShownRecord) -> Self {
        let ShownRecord { id, identity, record } = shown;
        RecordAnswer {
            sequence: record.sequence.get(),
            at: time(record.at),
            requested: time(record.requested),
            entry: id_text(id),
            number: identity.map(|identity| identity.text()),
            outcome: Some(record.outcome).into(),
            hold: record.hold.map(HoldWord::from),
            actor: ActorAnswer::of(&record.actor),
            source: record.source.map(SourceWord::from),
            label: record.label.map(|label| label.as_str().to_owned()),
            reason: record.reason.map(|reason| reason.as_str().to_owned()),
            display: record.display.map(|display| display.as_str().to_owned()),
            expires: record.expires.map(time),
            before: StateAnswer::of(record.before),
            after: StateAnswer::of(record.after),
        }
    }
}

impl StateAnswer {
    fn of(coverage: Coverage) -> Self {
        let holds = HoldKind::ALL.into_iter().map(|kind| (kind, coverage.of(kind)));
        StateAnswer {
            directions: ways(coverage.blocked()),
            holds: holds
                .filter(|(_, directions)| !directions.is_none())
                .map(|(kind, directions)| HoldState { kind: kind.into(), directions: ways(directions) })
                .collect(),
        }
    }
}
