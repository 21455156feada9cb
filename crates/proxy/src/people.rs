//! Opt-outs, opt-ins and marketing preferences of people, and links between the numbers and ids of one person.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_engine::WriteError;
use portcullis_ledger::{
    Actor, Block, HoldKind, LedgerError, Link, Outcome, Reason, Source, Unblock, Whom, Write,
};
use portcullis_msisdn::{Directions, Person};

use crate::message::object::Object;
use crate::message::{Moved, Request as Asked, When, Who, lenient};
use portcullis_edge::ops::{Refusal, Target};
use portcullis_edge::tenant::Tenant;
use portcullis_keywords::Intent;

/// An opt-out covers outbound messages only: the person can still write, and so opt in again.
const COVERED: Directions = Directions::OUTBOUND;

/// The sender's list, with "the person, through Meta's webhook" as the actor of changes.
pub(super) fn target(tenant: &Arc<Tenant>, sender: &str) -> Option<Target> {
    through(tenant, sender, "meta-webhook")
}

/// The sender's list, with "the person, through `/route`" as the actor of changes.
pub(super) fn target_of_route(tenant: &Arc<Tenant>, sender: &str) -> Option<Target> {
    through(tenant, sender, "route")
}

fn through(tenant: &Arc<Tenant>, sender: &str, interface: &str) -> Option<Target> {
    let actor = Actor::new("person").and_then(|actor| actor.through(interface)).ok()?;
    Target::own(tenant, sender, actor)
}

/// Applies an opt-out or opt-in. When this returns, the change is on disk and visible to the next check.
///
/// A request older than the one on record changes nothing, so redeliveries are harmless. Blocks on disk I/O.
pub(super) fn grant(target: &Target, who: &Who, asked: &Asked) -> Result<(), Refusal> {
    for person in people(target, who)? {
        match asked.wish {
            Intent::Stop => stop(target, &person, asked)?,
            Intent::Start => start(target, &person, asked)?,
        }
    }
    Ok(())
}

/// All people whom these identities belong to. Usually one, but a delayed message may name a number that the person has since
/// left.
fn people(target: &Target, who: &Who) -> Result<Vec<Person>, Refusal> {
    let mut people: Vec<Person> = Vec::with_capacity(1);
    for identity in who.identities() {
        let person = target.ensure_person(&identity)?;
        if !people.iter().any(|known| known.key() == person.key()) {
            people.push(person);
        }
    }
    Ok(people)
}

/// Records an opt-out, and allows its confirmation.
///
/// A crash in between loses the confirmation: when the message is delivered again, it can't be told from a second opt-out, which gets
/// none.
fn stop(target: &Target, person: &Person, asked: &Asked) -> Result<(), Refusal> {
    // A signature may follow the word, so the text is cut to the maximum length of a reason.
    let words: String = asked.word.trim().chars().take(Reason::MAX_LENGTH).collect();
    let block = Block {
        hold: HoldKind::OptOut,
        source: Source::OptOut,
        reason: Reason::new(words).ok(),
        requested: Some(asked.at.of_opt_out(target.list.now())),
        ..Block::new(person.first(), COVERED, target.actor.clone())
    };
    let patience = Duration::from_secs(target.tenant.config.opt_out.confirmation_seconds);
    write(target, block.into(), |outcome| {
        match outcome {
            Outcome::Outdated => {}
            _ if patience.is_zero() => {}
            // A person who was already blocked gets no confirmation.
            Outcome::Added | Outcome::Reactivated | Outcome::Widened if asked.may_be_confirmed => {
                target.list.in_ledger()?.allow_confirmation(person.key(), patience)?;
            }
            // Possibly a redelivery: the callback that sends the confirmation may not have received the message the first time.
            _ => target.list.in_ledger()?.renew_confirmation(person.key(), patience)?,
        }
        Ok(())
    })
}

fn start(target: &Target, person: &Person, asked: &Asked) -> Result<(), Refusal> {
    // An opt-in without a readable time lifts nothing: it may be older than the opt-out.
    if asked.at == When::Unknown {
        return Ok(());
    }
    // Neither does a redelivered message without a timestamp, which was written when it first arrived, not now.
    let id = asked.id.as_deref().filter(|_| asked.at == When::Now);
    if let Some(id) = id
        && target.list.in_ledger()?.remembers_message(person.key(), id)?
    {
        // It may be repeated because not every gateway had it in time.
        return Ok(target.list.blocking_wait_for_others()?);
    }
    let lift = lift(target, person.first().into(), HoldKind::OptOut, asked.at.of_opt_in(target.list.now()));
    write(target, lift, |outcome| {
        if let Some(id) = id {
            target.list.in_ledger()?.remember_message(person.key(), id)?;
        }
        if outcome != Outcome::Outdated {
            target.list.in_ledger()?.withdraw_confirmation(person.key())?;
        }
        Ok(())
    })
}

/// Sets or lifts the marketing hold of a person, from an element of `user_preferences`. Other categories are ignored.
pub(super) fn prefer(target: &Target, who: &Who, preference: &Object<'_>) -> Result<(), Refusal> {
    let text = |name: &str| preference.get(name).and_then(lenient::text);
    if text("category").as_deref() != Some("marketing_messages") {
        return Ok(());
    }
    let at = When::told(preference);
    for person in people(target, who)? {
        let write_of = match text("value").as_deref() {
            Some("stop") => Write::Block(Block {
                hold: HoldKind::Marketing,
                source: Source::OptOut,
                reason: text("detail").and_then(|detail| {
                    Reason::new(detail.chars().take(Reason::MAX_LENGTH).collect::<String>()).ok()
                }),
                requested: Some(at.of_opt_out(target.list.now())),
                ..Block::new(person.first(), COVERED, target.actor.clone())
            }),
            Some("resume") if at != When::Unknown => {
                lift(target, person.first().into(), HoldKind::Marketing, at.of_opt_in(target.list.now()))
            }
            _ => continue,
        };
        write(target, write_of, |_| Ok(()))?;
    }
    Ok(())
}

/// Records that a person's number and ids belong together, as of `at` if known. A single identity has nothing to record.
pub(super) fn tie(target: &Target, who: &Who, at: Option<Timestamp>) -> Result<(), Refusal> {
    if who.users.is_empty() || who.users.len() == 1 && who.number.is_none() {
        return Ok(());
    }
    tie_all(target, &Moved { left: None, to: who.clone() }, at)
}

/// Makes the holds on a person follow them to a new number or new ids.
pub(super) fn follow(target: &Target, moved: &Moved, at: Option<Timestamp>) -> Result<(), Refusal> {
    tie_all(target, moved, at)
}

fn tie_all(target: &Target, moved: &Moved, at: Option<Timestamp>) -> Result<(), Refusal> {
    let permutation = target.list.permutation();
    target.list.blocking_tie(Link {
        number: moved.to.number.map(|number| permutation.subject(number)),
        users: moved.to.users.clone(),
        left: moved.left.map(|number| permutation.subject(number)),
        // What is dated ahead has happened all the same.
        at: at.map(|at| at.min(target.list.now())),
        actor: target.actor.clone(),
    })?;
    Ok(())
}

fn lift(target: &Target, whom: Whom, kind: HoldKind, requested: Timestamp) -> Write {
    Write::Unblock(Unblock {
        hold: Some(kind),
        requested: Some(requested),
        ..Unblock::new(whom, Directions::BOTH, target.actor.clone())
    })
}

/// Makes a write, and then what belongs to its outcome: also if the write is stored and has to be repeated all the same, because not every
/// gateway has it in time. The repetition changes nothing, so it can't tell what was left out.
fn write(
    target: &Target,
    write: Write,
    then: impl FnOnce(Outcome) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let (written, late) = match target.list.blocking_write(vec![write]) {
        Ok(written) => (written, None),
        Err(WriteError::NotEverywhere(written)) => (written, Some(Refusal::NotEverywhere)),
        Err(WriteError::Unseen(written)) => (written, Some(Refusal::Ledger(LedgerError::OutcomeUnknown))),
        Err(error) => return Err(error.into()),
    };
    let written = written.first().ok_or(Refusal::Defect)?;
    let done = then(written.outcome);
    late.map_or(done, Err)
}
