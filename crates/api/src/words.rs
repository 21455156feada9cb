//! Enumerations that requests and responses share.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of blacklist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ListKind {
    /// The sender's own list.
    Sender,
    /// The tenant-wide list, which applies to all of the tenant's senders.
    Tenant,
}

/// What decided a check: the plugin or, while it fails, the tenant's `on_failure`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum AnsweredBy {
    /// The plugin decided.
    Plugin,
    /// The plugin failed, and `on_failure` is `open` or `closed`; or a rule failed.
    Policy,
    /// The plugin failed, and `on_failure` is `ledger`: the entries on disk decided.
    Ledger,
}

/// How a block came about, according to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "kebab-case"))]
pub enum GivenSource {
    /// Through an API
    #[default]
    Api,
    /// Entered by hand
    Manual,
    /// Imported from a file
    Import,
    /// The person opted out: sets the person's own hold unless another one is named
    #[cfg_attr(feature = "clap", value(aliases = ["opt_out", "optout"]))]
    OptOut,
}

/// How a block came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Through an API.
    Api,
    /// Entered by hand.
    Manual,
    /// Imported from a file.
    Import,
    /// The person opted out.
    OptOut,
    /// Made by the gateway itself.
    System,
}

/// On whose behalf a hold blocks. A person may be blocked by several holds, and each is lifted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "kebab-case"))]
pub enum HoldKind {
    /// The business's own block
    Operator,
    /// The person's opt-out
    #[cfg_attr(feature = "clap", value(aliases = ["opt_out", "optout"]))]
    OptOut,
    /// The person's opt-out from marketing: blocks marketing messages only
    Marketing,
}

/// Which hold to lift.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum), value(rename_all = "kebab-case"))]
pub enum LiftedHold {
    /// The business's own block; the person's opt-outs stay
    #[default]
    Operator,
    /// The person's opt-out
    #[cfg_attr(feature = "clap", value(aliases = ["opt_out", "optout"]))]
    OptOut,
    /// The person's opt-out from marketing
    Marketing,
    /// All holds
    All,
}

/// What a change did to an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Blocked for the first time.
    Added,
    /// Blocked again.
    Reactivated,
    /// Was blocked, and is now blocked in more directions.
    Widened,
    /// Was blocked in these directions already. A hold was added, or a reason, label, spelling, expiry or request time changed.
    Updated,
    /// Was blocked like this already; nothing changed.
    Already,
    /// No longer blocked.
    Removed,
    /// Still blocked, in fewer directions.
    Narrowed,
    /// The hold was lifted, but another one still blocks the same directions.
    Lifted,
    /// Only holds of other kinds block it; nothing changed.
    Held,
    /// Was not blocked; nothing changed.
    Absent,
    /// The list has reached its maximum number of entries; nothing changed.
    Full,
    /// The person has made a newer request since: nothing changed, but this one is recorded.
    Outdated,
    /// There was nothing to lift, but the time of the person's request is recorded.
    Noted,
    /// Dry run only: the number would be accepted.
    Valid,
}

/// The author of a change.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Actor {
    /// The name of the token, or of the part of the gateway.
    pub name: String,
    /// The IP address that the request came from. Omitted if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The API of the request: `native`, or a vendor's name. Omitted for changes by the gateway itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

impl LiftedHold {
    /// Parses the name in JSON, as in the query parameter `hold`. Returns `None` for any other text.
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
    /// The name in JSON: `operator`, `opt_out` or `marketing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            HoldKind::Operator => "operator",
            HoldKind::OptOut => "opt_out",
            HoldKind::Marketing => "marketing",
        }
    }
}

impl GivenSource {
    /// The hold that a block with this source sets if the request names none.
    pub const fn implied_hold(self) -> HoldKind {
        match self {
            GivenSource::OptOut => HoldKind::OptOut,
            GivenSource::Api | GivenSource::Manual | GivenSource::Import => HoldKind::Operator,
        }
    }
}

impl Source {
    /// The name in JSON: `api`, `manual`, `import`, `opt_out` or `system`.
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
    /// The name in JSON: `plugin`, `policy` or `ledger`.
    pub const fn as_str(self) -> &'static str {
        match self {
            AnsweredBy::Plugin => "plugin",
            AnsweredBy::Policy => "policy",
            AnsweredBy::Ledger => "ledger",
        }
    }
}

impl Outcome {
    /// The name in JSON, in lowercase.
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
