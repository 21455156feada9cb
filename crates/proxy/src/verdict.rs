//! Whether a message may go to somebody.

use portcullis_ledger::HoldKind;
use portcullis_msisdn::{Direction, Directions, Person};

use crate::confirmations::AllConfirmations;
use portcullis_edge::ops::blocking;
use portcullis_edge::ops::{Refusal, Target, check};
use portcullis_edge::vendor::fault::Fault;
use portcullis_engine::Identity;

/// Why a message is not sent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// The recipient is blocked.
    Recipient,
    /// The recipient wants no marketing, and this is.
    Marketing,
}

/// What counts of a message besides whom it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) is_marketing: bool,
    /// Whether it may be what confirms an opt-out: one text or interactive message, and no template.
    pub(super) may_confirm: bool,
}

/// What speaks against sending to these: every reading of every recipient. One that is blocked stops the message.
pub(super) async fn judge(
    target: &Target,
    confirmations: &AllConfirmations,
    recipients: Vec<Identity>,
    kind: Kind,
) -> Result<Option<Blocked>, Fault> {
    let mut blocked = Vec::new();
    for identity in &recipients {
        if is_stopped(target, identity, Direction::Outbound).await? {
            blocked.push(identity.clone());
        }
    }
    let may_pass = blocked.is_empty() || kind.may_confirm && confirms(target, confirmations, blocked).await?;
    if !may_pass {
        return Ok(Some(Blocked::Recipient));
    }
    if kind.is_marketing && wants_no_marketing(target, recipients).await? {
        return Ok(Some(Blocked::Marketing));
    }
    Ok(None)
}

/// Whether messages from or to this person are blocked.
pub(super) async fn is_stopped(
    target: &Target,
    identity: &Identity,
    direction: Direction,
) -> Result<bool, Refusal> {
    let checked = check::one(target, identity.clone(), direction).await?;
    Ok(checked.blocked_by.is_some())
}

/// Whether this is the one message that may confirm the opt-out of each of these, whom nothing else blocks.
async fn confirms(
    target: &Target,
    confirmations: &AllConfirmations,
    blocked: Vec<Identity>,
) -> Result<bool, Fault> {
    let Some(sender) = target.sender_config() else { return Ok(false) };
    let confirmations = confirmations.of(&target.tenant.config.id, &sender.id);
    let target = target.clone();
    let look = move || {
        let mut people: Vec<Person> = Vec::with_capacity(blocked.len());
        for identity in &blocked {
            let Some(person) = target.person(identity)? else { return Ok(false) };
            let mut entries = target.list.entries().find(&person)?.into_iter();
            let by_operator = entries.any(|entry| {
                let operator = entry.holds.get(HoldKind::Operator);
                operator.is_some_and(|hold| hold.directions.covers(Direction::Outbound))
            });
            let wide = target.tenant.wide.entries().directions(&person)?;
            if by_operator || wide.iter().any(|directions| directions.covers(Direction::Outbound)) {
                return Ok(false);
            }
            people.push(person);
        }
        people.sort_by_key(Person::key);
        people.dedup_by_key(|person| person.key());
        let mut all = true;
        for person in people {
            all &= confirmations.take(person.key());
        }
        Ok(all)
    };
    blocking(look).await
}

async fn wants_no_marketing(target: &Target, recipients: Vec<Identity>) -> Result<bool, Fault> {
    let target = target.clone();
    let look = move || {
        for recipient in &recipients {
            let Some(person) = target.person(recipient)? else { continue };
            let mut entries = target.list.entries().find(&person)?.into_iter();
            let is_held = entries.any(|entry| {
                let hold = entry.holds.get(HoldKind::Marketing);
                hold.is_some_and(|hold| hold.directions & Directions::OUTBOUND == Directions::OUTBOUND)
            });
            if is_held {
                return Ok(true);
            }
        }
        Ok(false)
    };
    blocking(look).await
}
