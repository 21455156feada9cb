//! The words of the native API for what the core has types for.

use jiff::Timestamp;
use portcullis_ledger::{Actor, HoldKind, Outcome, Source, StatusFilter};
use portcullis_msisdn::{Direction, Directions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use portcullis_engine::AnsweredBy;
use portcullis_engine::ListKind;

/// Which way a message goes, seen from the business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Direction")]
pub(super) enum Way {
    /// A person writes to the sender.
    Inbound,
    /// The sender writes to a person.
    Outbound,
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Inbound => Direction::Inbound,
            Way::Outbound => Direction::Outbound,
        }
    }
}

impl From<Direction> for Way {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Inbound => Way::Inbound,
            Direction::Outbound => Way::Outbound,
        }
    }
}

/// The directions that are named; both where none is asked for.
pub(super) fn directions(ways: Option<&[Way]>) -> Directions {
    ways.map_or(Directions::BOTH, |ways| ways.iter().map(|&way| Direction::from(way)).collect())
}

/// Which list.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum ListWord {
    Sender,
    Tenant,
}

impl From<ListKind> for ListWord {
    fn from(kind: ListKind) -> Self {
        match kind {
            ListKind::Sender => ListWord::Sender,
            ListKind::Tenant => ListWord::Tenant,
        }
    }
}

/// Who answered: the plugin; or, while it fails, the tenant's policy or the entries on disk.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub(super) enum SourceOfVerdict {
    Plugin,
    Policy,
    Ledger,
}

impl From<AnsweredBy> for SourceOfVerdict {
    fn from(by: AnsweredBy) -> Self {
        match by {
            AnsweredBy::Plugin => SourceOfVerdict::Plugin,
            AnsweredBy::Policy => SourceOfVerdict::Policy,
            AnsweredBy::Ledger => SourceOfVerdict::Ledger,
        }
    }
}

/// How a block came about, as a client may say.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum GivenSource {
    #[default]
    Api,
    Manual,
    Import,
    OptOut,
}

impl From<GivenSource> for Source {
    fn from(source: GivenSource) -> Self {
        match source {
            GivenSource::Api => Source::Api,
            GivenSource::Manual => Source::Manual,
            GivenSource::Import => Source::Import,
            GivenSource::OptOut => Source::OptOut,
        }
    }
}

impl GivenSource {
    /// Whose will a block from there is, unless somebody says otherwise.
    pub(super) fn hold(self) -> HoldKind {
        match self {
            GivenSource::OptOut => HoldKind::OptOut,
            _ => HoldKind::Operator,
        }
    }
}

/// How a block came about.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SourceWord {
    Api,
    Manual,
    Import,
    OptOut,
    /// The gateway itself.
    System,
}

impl From<Source> for SourceWord {
    fn from(source: Source) -> Self {
        match source {
            Source::Api => SourceWord::Api,
            Source::Manual => SourceWord::Manual,
            Source::Import => SourceWord::Import,
            Source::OptOut => SourceWord::OptOut,
            Source::System => SourceWord::System,
        }
    }
}

/// Whose will a hold is: the business's, the person's own, or the person's as to marketing, which blocks nothing by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum HoldWord {
    Operator,
    OptOut,
    Marketing,
}

impl From<HoldKind> for HoldWord {
    fn from(kind: HoldKind) -> Self {
        match kind {
            HoldKind::Operator => HoldWord::Operator,
            HoldKind::OptOut => HoldWord::OptOut,
            HoldKind::Marketing => HoldWord::Marketing,
        }
    }
}

impl From<HoldWord> for HoldKind {
    fn from(word: HoldWord) -> Self {
        match word {
            HoldWord::Operator => HoldKind::Operator,
            HoldWord::OptOut => HoldKind::OptOut,
            HoldWord::Marketing => HoldKind::Marketing,
        }
    }
}

/// Which hold is to be lifted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum LiftedHold {
    /// The business's own. What the person asked for stays.
    #[default]
    Operator,
    /// The person's own.
    OptOut,
    /// The person's as to marketing.
    Marketing,
    All,
}

impl LiftedHold {
    pub(super) fn kind(self) -> Option<HoldKind> {
        match self {
            LiftedHold::Operator => Some(HoldKind::Operator),
            LiftedHold::OptOut => Some(HoldKind::OptOut),
            LiftedHold::Marketing => Some(HoldKind::Marketing),
            LiftedHold::All => None,
        }
    }

    /// As it stands in a query.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "operator" => Some(LiftedHold::Operator),
            "opt_out" => Some(LiftedHold::OptOut),
            "marketing" => Some(LiftedHold::Marketing),
            "all" => Some(LiftedHold::All),
            _ => None,
        }
    }
}

/// Which entries a page shows.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StatusWord {
    #[default]
    Active,
    Inactive,
    All,
}

impl From<StatusWord> for StatusFilter {
    fn from(status: StatusWord) -> Self {
        match status {
            StatusWord::Active => StatusFilter::Active,
            StatusWord::Inactive => StatusFilter::Inactive,
            StatusWord::All => StatusFilter::All,
        }
    }
}

/// What became of a number.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum OutcomeWord {
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

impl From<Option<Outcome>> for OutcomeWord {
    fn from(outcome: Option<Outcome>) -> Self {
        match outcome {
            Some(Outcome::Added) => OutcomeWord::Added,
            Some(Outcome::Reactivated) => OutcomeWord::Reactivated,
            Some(Outcome::Widened) => OutcomeWord::Widened,
            Some(Outcome::Updated) => OutcomeWord::Updated,
            Some(Outcome::Already) => OutcomeWord::Already,
            Some(Outcome::Removed) => OutcomeWord::Removed,
            Some(Outcome::Narrowed) => OutcomeWord::Narrowed,
            Some(Outcome::Lifted) => OutcomeWord::Lifted,
            Some(Outcome::Held) => OutcomeWord::Held,
            Some(Outcome::Absent) => OutcomeWord::Absent,
            Some(Outcome::Full) => OutcomeWord::Full,
            Some(Outcome::Outdated) => OutcomeWord::Outdated,
            Some(Outcome::Noted) => OutcomeWord::Noted,
            None => OutcomeWord::Valid,
        }
    }
}

/// Who did something.
#[derive(Serialize, JsonSchema)]
pub(super) struct ActorAnswer {
    /// The name of the token; or of the part of the gateway.
    name: String,
    /// Where the request came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    /// Through which API: `native`, or a vendor's.
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<String>,
}

impl ActorAnswer {
    pub(super) fn of(actor: &Actor) -> Self {
        ActorAnswer {
            name: actor.as_str().to_owned(),
            address: actor.address().map(|address| address.to_string()),
            interface: actor.interface().map(str::to_owned),
        }
    }
}

/// RFC 3339 in UTC, always with three digits of milliseconds, so that texts sort as times.
pub(super) fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}
