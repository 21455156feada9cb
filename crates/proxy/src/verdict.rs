//! Decides whether an outbound message may be sent to its recipients.

use portcullis_ledger::HoldKind;
use portcullis_msisdn::{Direction, Directions, Person};

use portcullis_edge::ops::{Refusal, Target, Work, check, rules};
use portcullis_edge::vendor::fault::Fault;
use portcullis_engine::{Identity, Message, Reservation, Stop};

/// Why a message is not forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// The recipient is blocked.
    Recipient,
    /// The message is marketing, and the recipient has stopped that.
    Marketing,
    /// A rule stops it.
    Rule(Stop),
}

/// What the verdict depends on besides the recipients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// The message, for the tenant's rules; `None` if it is none, such as a read receipt.
    pub(super) message: Option<Message>,
    /// Whether marketing holds apply.
    pub(super) is_marketing: bool,
    /// Whether the message may serve as an opt-out confirmation, as text and interactive messages may and templates may not.
    pub(super) may_confirm: bool,
}

/// Returns why a message may not be sent, or the reservation of its place among the messages that the tenant's rules count.
///
/// `recipients` has every reading of every recipient. A message is stopped if any of them is blocked, unless it can serve as the
/// opt-out confirmation of all of those, which uses up the confirmation. The rules are asked about what the lists let pass.
pub(super) async fn judge(
    target: &Target,
    recipients: Vec<Identity>,
    kind: Kind,
) -> Result<Result<Reservation, Blocked>, Fault> {
    let mut blocked = Vec::new();
    for identity in &recipients {
        if is_stopped(target, identity, Direction::Outbound).await? {
            blocked.push(identity.clone());
        }
    }
    if !blocked.is_empty() && !kind.may_confirm {
        return Ok(Err(Blocked::Recipient));
    }
    if kind.is_marketing && wants_no_marketing(target, recipients.clone()).await? {
        return Ok(Err(if blocked.is_empty() { Blocked::Marketing } else { Blocked::Recipient }));
    }
    let reserved = match kind.message {
        Some(message) if !recipients.is_empty() => rules::reserve(target, recipients, message).await?,
        _ => Ok(Reservation::default()),
    };
    let reservation = match reserved {
        Ok(reservation) => reservation,
        Err(_) if !blocked.is_empty() => return Ok(Err(Blocked::Recipient)),
        Err(stop) => return Ok(Err(Blocked::Rule(stop))),
    };
    // Last, because it uses up the confirmation.
    if !blocked.is_empty() && !confirms(target, blocked).await? {
        return Ok(Err(Blocked::Recipient));
    }
    Ok(Ok(reservation))
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
