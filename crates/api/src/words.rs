//! The words that requests and answers share.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ListKind {
    /// The sender's own.
    Sender,
    /// The one that applies to all senders of the tenant.
    Tenant,
}

/// Who answered: the plugin; or, while it fails, the tenant's policy or the entries on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum AnsweredBy {
    /// The plugin.
    Plugin,
    /// The tenant's `on_failure`: `open` or `closed`.
    Policy,
    /// The entries on disk.
    Ledger,
}

/// How a block came about, as a client may claim.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "kebab-case"))]
pub enum GivenSource {
    /// Through an API
    #[default]
    Api,
    /// By hand
    Manual,
    /// From a file
    Import,
    /// The person asked for it: the hold is theirs, unless another one is named
    #[cfg_attr(feature = "clap", value(aliases = ["opt_out", "optout"]))]
    OptOut,
}

/// How a block came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Through an API.
    Api,
    /// By hand.
    Manual,
    /// From a file.
    Import,
    /// The person asked for it.
    OptOut,
    /// The gateway itself.
    System,
}

/// One of the independent reasons for which a number is blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "kebab-case"))]
pub enum HoldKind {
    /// The business's own
    Operator,
    /// The person's opt-out
    #[cfg_attr(feature = "clap", value(aliases = ["opt_out", "optout"]))]
    OptOut,
    /// The person's opt-out from marketing, which blocks nothing by itself
    Marketing,
}

/// Which hold to lift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "kebab-case"))]
pub enum LiftedHold {
    /// The business's own. What the person asked for stays
    #[default]
    Operator,
    /// The person's opt-out
    #[cfg_attr(feature = "clap", value(aliases = ["opt_out", "optout"]))]
    OptOut,
    /// The person's opt-out from marketing
    Marketing,
    /// Every one
    All,
}

/// What happened to a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Blocked for the first time.
    Added,
    /// Blocked again.
    Reactivated,
    /// Was blocked; now in more directions.
    Widened,
    /// Was blocked; its reason, label or expiry changed.
    Updated,
    /// Was blocked already, exactly so.
    Already,
    /// No longer blocked.
    Removed,
    /// Still blocked, in fewer directions.
    Narrowed,
    /// The hold was lifted; another one still blocks.
    Lifted,
    /// Only a hold of another kind blocks it; nothing changed.
    Held,
    /// Was not blocked.
    Absent,
    /// The list is full; nothing changed.
    Full,
    /// The person asked for something else later: nothing changed, and the request is on record.
    Outdated,
    /// There was nothing to lift; when the person asked for it is on record.
    Noted,
    /// In a dry run: it would be accepted.
    Valid,
}

/// Who did something.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Actor {
    /// The name of the token, or of the part of the gateway.
    pub name: String,
    /// The address that the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Through which API: `native`, or a vendor's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

impl LiftedHold {
    /// Reads a query parameter.
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

impl From<HoldKind> for LiftedHold {
    fn from(kind: HoldKind) -> Self {
        match kind {
            HoldKind::Operator => LiftedHold::Operator,
            HoldKind::OptOut => LiftedHold::OptOut,
            HoldKind::Marketing => LiftedHold::Marketing,
        }
    }
}

impl HoldKind {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            HoldKind::Operator => "operator",
            HoldKind::OptOut => "opt_out",
            HoldKind::Marketing => "marketing",
        }
    }
}

impl GivenSource {
    /// The hold that a block from there sets where the request names none.
    pub const fn implied_hold(self) -> HoldKind {
        match self {
            GivenSource::OptOut => HoldKind::OptOut,
            GivenSource::Api | GivenSource::Manual | GivenSource::Import => HoldKind::Operator,
        }
    }
}

impl Source {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Source::Api => "api",
            Source::Manual => "manual",
            Source::Import => "import",
            Source::OptOut => "opt_out",
            Source::System => "system",
        }
    }
}

impl AnsweredBy {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            AnsweredBy::Plugin => "plugin",
            AnsweredBy::Policy => "policy",
            AnsweredBy::Ledger => "ledger",
        }
    }
}

impl Outcome {
    /// As it stands in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Added => "added",
            Outcome::Reactivated => "reactivated",
            Outcome::Widened => "widened",
            Outcome::Updated => "updated",
            Outcome::Already => "already",
            Outcome::Removed => "removed",
            Outcome::Narrowed => "narrowed",
            Outcome::Lifted => "lifted",
            Outcome::Held => "held",
            Outcome::Absent => "absent",
            Outcome::Full => "full",
            Outcome::Outdated => "outdated",
            Outcome::Noted => "noted",
            Outcome::Valid => "valid",
        }
    }
}

impl fmt::Display for AnsweredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_its_json<T: Serialize>(value: T, text: &str) {
        assert_eq!(serde_json::to_value(value).unwrap(), text);
    }

    #[test]
    fn names_are_those_of_json() {
        for kind in [HoldKind::Operator, HoldKind::OptOut, HoldKind::Marketing] {
            is_its_json(kind, kind.as_str());
            is_its_json(LiftedHold::from(kind), kind.as_str());
            assert_eq!(LiftedHold::parse(kind.as_str()), Some(kind.into()));
        }
        for source in [Source::Api, Source::Manual, Source::Import, Source::OptOut, Source::System] {
            is_its_json(source, source.as_str());
        }
        for by in [AnsweredBy::Plugin, AnsweredBy::Policy, AnsweredBy::Ledger] {
            is_its_json(by, by.as_str());
        }
        for outcome in [
            Outcome::Added,
            Outcome::Reactivated,
            Outcome::Widened,
            Outcome::Updated,
            Outcome::Already,
            Outcome::Removed,
            Outcome::Narrowed,
            Outcome::Lifted,
            Outcome::Held,
            Outcome::Absent,
            Outcome::Full,
            Outcome::Outdated,
            Outcome::Noted,
            Outcome::Valid,
        ] {
            is_its_json(outcome, outcome.as_str());
        }
    }
}
