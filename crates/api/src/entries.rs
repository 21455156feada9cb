//! `GET …/entries`, and single entries.

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Actor, HoldKind, Outcome, Source};

/// One entry of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct EntryAnswer {
    /// Stays the same for as long as the tenant's key does, also when the entry is unblocked and blocked again.
    pub id: String,
    /// In E.164, with its plus; or `user:` and the id of a person without a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The directions that are blocked; none where the entry is inactive.
    pub directions: Vec<Direction>,
    pub status: Status,
    pub source: Source,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The number as it was written, where that is more than its digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The name of the token that the block was made with.
    pub actor: String,
    /// Why it is or was blocked, one by one. `source`, `reason` and `actor` beside this are those of one that is in force: the
    /// person's own before the business's.
    pub holds: Vec<HoldAnswer>,
    #[schemars(extend("format" = "date-time"))]
    pub created: String,
    #[schemars(extend("format" = "date-time"))]
    pub updated: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub deactivated: Option<String>,
    /// When it ends, or ended, by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<String>,
}

/// One reason for which a number is, or was, blocked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct HoldAnswer {
    pub kind: HoldKind,
    /// What it covers; nothing where it is lifted.
    pub directions: Vec<Direction>,
    pub source: Source,
    /// What the client calls the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub made_by: Actor,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_by: Option<Actor>,
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
    /// When the person asked for what set it, confirmed it or lifted it last, as far as that is known; else when it was
    /// written. A person's wish that is older changes nothing.
    #[schemars(extend("format" = "date-time"))]
    pub requested: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Status {
    Active,
    Inactive,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct PageAnswer {
    pub entries: Vec<EntryAnswer>,
    /// What to send as `after` for the next part; null on the last one.
    pub next: Option<String>,
}

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct RemovalAnswer {
    pub outcome: Outcome,
    /// The directions that are still blocked.
    pub directions: Vec<Direction>,
    /// The list's sequence number afterwards.
    pub sequence: u64,
}

impl Status {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Inactive => "inactive",
        }
    }
}
