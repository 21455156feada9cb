//! `GET …/history`, of lists and of single entries, and the body of event notifications.

use std::borrow::Cow;

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Actor, HoldKind, Outcome, Source};

/// A page of the history, the latest change first.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TrailAnswer {
    /// The changes.
    pub records: Vec<RecordAnswer>,
    /// The `before` parameter for the next page, with older changes. Null on the last page.
    pub older: Option<u64>,
}

/// A change of an entry.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RecordAnswer {
    /// The list's sequence number of the change.
    pub sequence: u64,
    /// When the change was made.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// When the change was requested, if that is known; otherwise the same as `at`.
    #[schemars(extend("format" = "date-time"))]
    pub requested: String,
    /// The entry's id.
    pub entry: String,
    /// The number in E.164 with its plus, or `user:` and the id of a person without a number. Omitted if the entry
    /// belongs to nobody that the gateway can name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// What happened to the entry.
    pub outcome: Outcome,
    /// The hold that was set or lifted. Omitted if all were lifted together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldKind>,
    /// The author of the change.
    pub actor: Actor,
    /// How the block came about. Omitted if a hold was lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
    /// The client's own name for the source. Omitted if none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The reason. Omitted if none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The number as the client wrote it. Omitted if that was only the digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// When the hold expires. Omitted if the change set no expiry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<String>,
    /// What the entry covered before the change.
    pub before: StateAnswer,
    /// What the entry covered after the change.
    pub after: StateAnswer,
}

/// What an entry covered at one moment.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct StateAnswer {
    /// The blocked directions.
    pub directions: Vec<Direction>,
    /// The holds in force.
    pub holds: Vec<HoldState>,
}

/// A hold in force.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct HoldState {
    /// On whose behalf it blocks.
    pub kind: HoldKind,
    /// The directions that it covers.
    pub directions: Vec<Direction>,
}

/// Changes of one list: the body of a POST to a tenant's `events.url`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct ChangeDocument<'a> {
    /// The tenant's name.
    #[serde(borrow)]
    pub tenant: Cow<'a, str>,
    /// The sender's name. Null for the tenant-wide list.
    #[serde(borrow)]
    pub sender: Option<Cow<'a, str>>,
    /// The changes, oldest first.
    pub records: Vec<RecordAnswer>,
}
