//! `GET …/entries` and `…/entries/{entry}`: the entries of a list.

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Actor, HoldKind, Outcome, Source};

/// An entry of a list: a person who is or was blocked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct EntryAnswer {
    /// The entry's id on this list. It does not change while the tenant exists, even if the entry is unblocked and blocked again.
    pub id: String,
    /// The number in E.164 with its plus, or `user:` and the id of a person without a number. Omitted if the entry
    /// belongs to nobody that the gateway can name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The blocked directions. Empty if the entry is inactive.
    pub directions: Vec<Direction>,
    /// Whether the entry blocks anything.
    pub status: Status,
    /// How the block came about.
    pub source: Source,
    /// The reason for the block, at most 500 characters. Omitted if none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The number as a client wrote it. Omitted if that was only the digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// The name of the token, or of the part of the gateway, that made the block.
    pub actor: String,
    /// The reasons why the person is or was blocked. The entry's `source`, `reason`, `actor` and `expires` are those of
    /// one hold: of the holds in force, the person's opt-out before the business's block; if none is in force, the hold
    /// that was set first.
    pub holds: Vec<HoldAnswer>,
    /// When the person was first blocked on this list.
    #[schemars(extend("format" = "date-time"))]
    pub created: String,
    /// When the entry last changed.
    #[schemars(extend("format" = "date-time"))]
    pub updated: String,
    /// When the entry became inactive. Omitted while it is active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub deactivated: Option<String>,
    /// When the block expires or expired. Omitted if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<String>,
}

/// A hold: one reason why a person is or was blocked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct HoldAnswer {
    /// On whose behalf the hold blocks.
    pub kind: HoldKind,
    /// The directions that it covers. Empty if it was lifted.
    pub directions: Vec<Direction>,
    /// How the hold came about.
    pub source: Source,
    /// The client's own name for the source, at most 64 characters. Omitted if none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The reason, at most 500 characters. Omitted if none was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The author of the hold.
    pub made_by: Actor,
    /// The author of the removal. Omitted unless the hold was lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_by: Option<Actor>,
    /// When the hold was set.
    #[schemars(extend("format" = "date-time"))]
    pub since: String,
    /// When the latest request that set, confirmed or lifted the hold was made, if that is known; otherwise when it was
    /// recorded. An older request of the person changes nothing.
    #[schemars(extend("format" = "date-time"))]
    pub requested: String,
    /// When the hold expires or expired. Omitted if it does not expire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("format" = "date-time"))]
    pub expires: Option<String>,
}

/// Whether an entry blocks anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Status {
    /// The entry blocks at least one direction.
    Active,
    /// The entry blocks nothing, and is kept for the record.
    Inactive,
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct PageAnswer {
    /// The entries.
    pub entries: Vec<EntryAnswer>,
    /// The `after` parameter for the next page. Null on the last page.
    pub next: Option<String>,
}

/// The result of unblocking one entry.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct RemovalAnswer {
    /// What happened to the entry.
    pub outcome: Outcome,
    /// The directions that are still blocked.
    pub directions: Vec<Direction>,
    /// The sequence number of the change.
    pub sequence: u64,
}

impl Status {
    /// The name in JSON: `active` or `inactive`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Active => "active",
            Status::Inactive => "inactive",
        }
    }
}
