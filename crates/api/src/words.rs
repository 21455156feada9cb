//! The words that requests and answers share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ListKind {
    Sender,
    Tenant,
}

/// Who answered: the plugin; or, while it fails, the tenant's policy or the entries on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum AnsweredBy {
    Plugin,
    Policy,
    Ledger,
}

/// How a block came about, as a client may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GivenSource {
    #[default]
    Api,
    Manual,
    Import,
    OptOut,
}

/// How a block came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Api,
    Manual,
    Import,
    OptOut,
    /// The gateway itself.
    System,
}

/// Whose will a hold is: the business's, the person's own, or the person's as to marketing, which blocks nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HoldKind {
    Operator,
    OptOut,
    Marketing,
}

/// Which hold is to be lifted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LiftedHold {
    /// The business's own. What the person asked for stays.
    #[default]
    Operator,
    /// The person's own.
    OptOut,
    /// The person's as to marketing.
    Marketing,
    All,
}

/// What became of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Blocked for the first time.
    Added,
    /// Blocked again.
    Reactivated,
    /// Was blocked, now in more directions.
    Widened,
    /// Was blocked; its reason, its text or its end is another now.
    Updated,
    /// Was blocked like this.
    Already,
    /// No longer blocked.
    Removed,
    /// Still blocked, in fewer directions.
    Narrowed,
    /// The hold was lifted; another blocks as before.
    Lifted,
    /// Was blocked by another hold than the one to be lifted.
    Held,
    /// Was not blocked.
    Absent,
    /// The list has as many entries as it may have.
    Full,
    /// The person asked for something else later: nothing changed, and the wish is on record.
    Outdated,
    /// There was nothing to lift; when the person asked for it is on record.
    Noted,
    /// In a dry run: it would be taken.
    Valid,
}

/// Who did something.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct Actor {
    /// The name of the token; or of the part of the gateway.
    pub name: String,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Through which API: `native`, or a vendor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

impl LiftedHold {
    /// Reads what stands in a query.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "operator" => Some(LiftedHold::Operator),
            "opt_out" => Some(LiftedHold::OptOut),
            "marketing" => Some(LiftedHold::Marketing),
            "all" => Some(LiftedHold::All),
            _ => None,
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    pub(crate) fn is_default(&self) -> bool {
        *self == LiftedHold::default()
    }
}

impl GivenSource {
    /// Which hold a block from there sets where the request names none.
    pub fn implied_hold(self) -> HoldKind {
        match self {
            GivenSource::OptOut => HoldKind::OptOut,
            GivenSource::Api | GivenSource::Manual | GivenSource::Import => HoldKind::Operator,
        }
    }
}
