//! Decides whether an outbound message may be sent to its recipients.

use portcullis_ledger::HoldKind;
use portcullis_msisdn::{Direction, Directions, Person};

use portcullis_edge::ops::{Refusal, Target, Work, check};
use portcullis_edge::vendor::fault::Fault;
use portcullis_engine::Identity;

/// Why a message is not forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// The recipient is blocked.
    Recipient,
    /// The message is marketing, and the recipient has stopped that.
    Marketing,
}

/// What the verdict depends on besides the recipients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    /// Whether marketing holds apply.
    pub(super) is_marketing: bool,
    /// Whether the message may serve as an opt-out confirmation, as text and interactive messages may and templates may not.
    pub(super) may_confirm: bool,
}

/// Returns why a message may not be sent, or `None` if it may.
///
/// `recipients` has every reading of every recipient. A message is stopped if any of them is blocked, unless it can serve as the
/// opt-out confirmation of all of those, which uses up the confirmation.
pub(super) async fn judge(
    target: &Target,
    recipients: Vec<Identity>,
    kind: Kind,
) -> Result<Option<Blocked>, Fault> {
    let mut blocked = Vec::new();
    for identity in &recipients {
        if is_stopped(target, identity, Direction::Outbound).await? {
            blocked.push(identity.clone());
        }
    }
    let may_pass = blocked.is_empty() || kind.may_confirm && confirms(target, blocked).await?;
    if !may_pass {
        return Ok(Some(Blocked::Recipient));
    }
    if kind.is_marketing && wants_no_marketing(target, recipients).await? {
        return Ok(Some(Blocked::Marketing));
    }
    Ok(None)
}

/// Whether messages from or to this person are blocked. Falls back to the ledger (slower) on a blocking thread if the list in
/// memory can't answer.
pub(super) async fn is_stopped(
    target: &Target,
    identity: &Identity,
    direction: Direction,
) -> Result<bool, Refusal> {
    let checked = check::one(target, identity.clone(), direction, &[]).await?;
    Ok(checked.blocked_by.is_some())
}

/// Whether a message may confirm the opt-outs of all of these people, and uses up their confirmations. A person whom the operator
/// or the tenant-wide list blocks as well gets none.
async fn confirms(target: &Target, blocked: Vec<Identity>) -> Result<bool, Fault> {
    if target.sender_config().is_none() {
        return Ok(false);
    }
    let look = move |target: Target| {
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
            all &= take(&target, &person)?;
        }
        Ok(all)
    };
    target.blocking(Work::Lookup, look).await
}

fn take(target: &Target, person: &Person) -> Result<bool, Refusal> {
    Ok(target.list.in_ledger()?.take_confirmation(person.key())?)
}

async fn wants_no_marketing(target: &Target, recipients: Vec<Identity>) -> Result<bool, Fault> {
    let look = move |target: Target| {
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
    target.blocking(Work::Lookup, look).await
}
