//! `GET …/history`, that of single entries, and what is sent of changes.

use std::borrow::Cow;

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Actor, HoldKind, Outcome, Source};

/// A part of what was done, the newest change first.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TrailAnswer {
    pub records: Vec<RecordAnswer>,
    /// What to send as `before` for older ones; null where there are none.
    pub older: Option<u64>,
}

/// One change of one entry.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RecordAnswer {
    /// The list's sequence number of the change.
    pub sequence: u64,
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// When the person asked for it, as far as that is known; else the same.
    #[schemars(extend("format" = "date-time"))]
    pub requested: String,
    /// The entry's id.
    pub entry: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    pub outcome: Outcome,
    /// The hold that was made or lifted; missing where all were lifted together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldKind>,
    pub actor: Actor,
    /// How the block came about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<String>,
    pub before: StateAnswer,
    pub after: StateAnswer,
}

/// What an entry covered.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct StateAnswer {
    /// What was blocked.
    pub directions: Vec<Direction>,
    /// What each of its holds in force covered.
    pub holds: Vec<HoldState>,
}

#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct HoldState {
    pub kind: HoldKind,
    pub directions: Vec<Direction>,
}

/// Changes of one list, as they are posted to a tenant's `events.url`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChangeDocument<'a> {
    /// The tenant's name.
    #[serde(borrow)]
    pub tenant: Cow<'a, str>,
    /// The sender's name; null for the tenant-wide list.
    #[serde(borrow)]
    pub sender: Option<Cow<'a, str>>,
    /// The changes, oldest first.
    pub records: Vec<RecordAnswer>,
}
