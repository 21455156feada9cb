//! Conversions between the types of the engine and the ledger, and the wire types of the native API.
//!
//! The native API and the event notifications use them.

use jiff::Timestamp;
use portcullis_api::{
    Actor, AnsweredBy, Channel, EntryAnswer, GivenSource, HoldAnswer, HoldKind, HoldState, LiftedHold,
    ListKind, Outcome, Purpose, RecordAnswer, Source, StateAnswer, Status, StopAnswer, Verdict,
};
use portcullis_engine::Stop;
use portcullis_ledger::{Coverage, Hold, PublicId};
use portcullis_msisdn::{Direction, Directions};

use crate::ops::read::{Shown, ShownRecord};

/// The prefix of an entry's id. No number starts with it.
const ID_PREFIX: &str = "e_";

/// Formats a time in RFC 3339, in UTC and with three digits of milliseconds, so that the texts sort like the times.
pub fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}

/// The directions as a list, inbound first.
pub fn directions(directions: Directions) -> Vec<Direction> {
    directions.iter().collect()
}

/// The directions in a request. Both if the field is omitted; none if it is an empty list.
pub fn requested_directions(named: Option<&[Direction]>) -> Directions {
    named.map_or(Directions::BOTH, |named| named.iter().copied().collect())
}

/// An entry's id as clients see it: `e_` and the public id.
pub fn entry_id(id: PublicId) -> String {
    format!("{ID_PREFIX}{id}")
}

/// Whether a text is an entry's id rather than a number. The id may still be invalid.
pub fn is_entry_id(text: &str) -> bool {
    text.starts_with(ID_PREFIX)
}

/// Parses what [`entry_id`] returned. `None` if the text is not an id.
pub fn parse_entry_id(text: &str) -> Option<PublicId> {
    text.strip_prefix(ID_PREFIX)?.parse().ok()
}

/// Converts the kind of a list.
pub fn list_kind(kind: portcullis_engine::ListKind) -> ListKind {
    match kind {
        portcullis_engine::ListKind::Sender => ListKind::Sender,
        portcullis_engine::ListKind::Tenant => ListKind::Tenant,
    }
}

/// Converts what decided a check.
pub fn answered_by(by: portcullis_engine::AnsweredBy) -> AnsweredBy {
    match by {
        portcullis_engine::AnsweredBy::Plugin => AnsweredBy::Plugin,
        portcullis_engine::AnsweredBy::Policy => AnsweredBy::Policy,
        portcullis_engine::AnsweredBy::Ledger => AnsweredBy::Ledger,
    }
}

/// Converts a channel.
pub fn channel(channel: Channel) -> portcullis_engine::Channel {
    match channel {
        Channel::Other => portcullis_engine::Channel::Other,
        Channel::Sms => portcullis_engine::Channel::Sms,
        Channel::Mms => portcullis_engine::Channel::Mms,
        Channel::Rcs => portcullis_engine::Channel::Rcs,
        Channel::Whatsapp => portcullis_engine::Channel::WhatsApp,
        Channel::Voice => portcullis_engine::Channel::Voice,
    }
}

/// Converts a purpose.
pub fn purpose(purpose: Purpose) -> portcullis_engine::Purpose {
    match purpose {
        Purpose::Unknown => portcullis_engine::Purpose::Unknown,
        Purpose::Authentication => portcullis_engine::Purpose::Authentication,
        Purpose::Utility => portcullis_engine::Purpose::Utility,
        Purpose::Marketing => portcullis_engine::Purpose::Marketing,
        Purpose::Service => portcullis_engine::Purpose::Service,
    }
}

/// Converts what stops a message.
pub fn stop(stop: &Stop) -> (Verdict, StopAnswer) {
    let verdict = if stop.until.is_some() { Verdict::Later } else { Verdict::Block };
    let answer = StopAnswer {
        rule: stop.rule.to_string(),
        reason: stop.reason.as_deref().map(str::to_owned),
        until: stop.until.map(time),
    };
    (verdict, answer)
}

/// Converts the source of a block.
pub fn source(source: portcullis_ledger::Source) -> Source {
    match source {
        portcullis_ledger::Source::Api => Source::Api,
        portcullis_ledger::Source::Manual => Source::Manual,
        portcullis_ledger::Source::Import => Source::Import,
        portcullis_ledger::Source::OptOut => Source::OptOut,
        portcullis_ledger::Source::System => Source::System,
    }
}

/// Converts the source in a request.
pub fn given_source(source: GivenSource) -> portcullis_ledger::Source {
    match source {
        GivenSource::Api => portcullis_ledger::Source::Api,
        GivenSource::Manual => portcullis_ledger::Source::Manual,
        GivenSource::Import => portcullis_ledger::Source::Import,
        GivenSource::OptOut => portcullis_ledger::Source::OptOut,
    }
}

/// Converts the kind of a hold.
pub fn hold_kind(kind: portcullis_ledger::HoldKind) -> HoldKind {
    match kind {
        portcullis_ledger::HoldKind::Operator => HoldKind::Operator,
        portcullis_ledger::HoldKind::OptOut => HoldKind::OptOut,
        portcullis_ledger::HoldKind::Marketing => HoldKind::Marketing,
    }
}

/// Converts the kind of hold in a request.
pub fn named_hold(kind: HoldKind) -> portcullis_ledger::HoldKind {
    match kind {
        HoldKind::Operator => portcullis_ledger::HoldKind::Operator,
        HoldKind::OptOut => portcullis_ledger::HoldKind::OptOut,
        HoldKind::Marketing => portcullis_ledger::HoldKind::Marketing,
    }
}

/// Converts the hold that a request lifts. `None` stands for all holds.
pub fn lifted_hold(lifted: LiftedHold) -> Option<portcullis_ledger::HoldKind> {
    match lifted {
        LiftedHold::Operator => Some(portcullis_ledger::HoldKind::Operator),
        LiftedHold::OptOut => Some(portcullis_ledger::HoldKind::OptOut),
        LiftedHold::Marketing => Some(portcullis_ledger::HoldKind::Marketing),
        LiftedHold::All => None,
    }
}

/// Converts the outcome of a write. `None` stands for a dry run.
pub fn outcome(outcome: Option<portcullis_ledger::Outcome>) -> Outcome {
    use portcullis_ledger::Outcome as Written;

    match outcome {
        Some(Written::Added) => Outcome::Added,
        Some(Written::Reactivated) => Outcome::Reactivated,
        Some(Written::Widened) => Outcome::Widened,
        Some(Written::Updated) => Outcome::Updated,
        Some(Written::Already) => Outcome::Already,
        Some(Written::Removed) => Outcome::Removed,
        Some(Written::Narrowed) => Outcome::Narrowed,
        Some(Written::Lifted) => Outcome::Lifted,
        Some(Written::Held) => Outcome::Held,
        Some(Written::Absent) => Outcome::Absent,
        Some(Written::Full) => Outcome::Full,
        Some(Written::Outdated) => Outcome::Outdated,
        Some(Written::Noted) => Outcome::Noted,
        None => Outcome::Valid,
    }
}

/// Converts the author of a change.
pub fn actor(actor: &portcullis_ledger::Actor) -> Actor {
    Actor {
        name: actor.as_str().to_owned(),
        address: actor.address().map(|address| address.to_string()),
        interface: actor.interface().map(str::to_owned),
    }
}

/// Converts an entry.
pub fn entry(shown: Shown) -> EntryAnswer {
    let Shown { id, identity, entry } = shown;
    let lead = entry.holds.lead();
    EntryAnswer {
        id: entry_id(id),
        number: identity.map(|identity| identity.text()),
        directions: directions(entry.directions),
        status: match entry.status() {
            portcullis_ledger::Status::Active => Status::Active,
            portcullis_ledger::Status::Inactive => Status::Inactive,
        },
        source: source(lead.source),
        reason: lead.reason.as_ref().map(|reason| reason.as_str().to_owned()),
        display: entry.display.as_ref().map(|display| display.as_str().to_owned()),
        actor: lead.actor.to_string(),
        holds: entry.holds.iter().map(hold).collect(),
        created: time(entry.created),
        updated: time(entry.updated),
        deactivated: entry.deactivated.map(time),
        expires: lead.expires.map(time),
    }
}

fn hold(hold: &Hold) -> HoldAnswer {
    HoldAnswer {
        kind: hold_kind(hold.kind),
        directions: directions(hold.directions),
        source: source(hold.source),
        label: hold.label.as_ref().map(|label| label.as_str().to_owned()),
        reason: hold.reason.as_ref().map(|reason| reason.as_str().to_owned()),
        made_by: actor(&hold.actor),
        lifted_by: hold.lifted_by.as_ref().map(actor),
        since: time(hold.since),
        requested: time(hold.requested),
        expires: hold.expires.map(time),
    }
}

/// Converts a record of the audit trail.
pub fn record(shown: ShownRecord) -> RecordAnswer {
    let ShownRecord { id, identity, record } = shown;
    RecordAnswer {
        sequence: record.sequence.get(),
        at: time(record.at),
        requested: time(record.requested),
        entry: entry_id(id),
        number: identity.map(|identity| identity.text()),
        outcome: outcome(Some(record.outcome)),
        hold: record.hold.map(hold_kind),
        actor: actor(&record.actor),
        source: record.source.map(source),
        label: record.label.map(|label| label.as_str().to_owned()),
        reason: record.reason.map(|reason| reason.as_str().to_owned()),
        display: record.display.map(|display| display.as_str().to_owned()),
        expires: record.expires.map(time),
        before: state(record.before),
        after: state(record.after),
    }
}

fn state(coverage: Coverage) -> StateAnswer {
    let holds = portcullis_ledger::HoldKind::ALL.into_iter().map(|kind| (kind, coverage.of(kind)));
    StateAnswer {
        directions: directions(coverage.blocked()),
        holds: holds
            .filter(|(_, covered)| !covered.is_none())
            .map(|(kind, covered)| HoldState { kind: hold_kind(kind), directions: directions(covered) })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn clients_write_user_ids_as_the_engine_reads_them() {
        assert_eq!(portcullis_api::USER_PREFIX, portcullis_engine::USER_PREFIX);
    }
}
