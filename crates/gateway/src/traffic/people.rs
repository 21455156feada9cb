//! What people ask for by writing: to be left alone, and not to be any more; and who is one person.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger::{
    Actor, Block, HoldKind, Outcome, Reason, Source, Tie, Unblock, Whom, Write, Written,
};
use portcullis_msisdn::Directions;

use super::keywords::Wish;
use super::webhook::{Asked, Moved, Object, Who, lenient};
use crate::core::{Refusal, Target};
use crate::tenant::Tenant;

/// What an opt-out covers: the person can still write, and so opt in again.
const COVERED: Directions = Directions::OUTBOUND;

/// Who did it, in the record: the person, through Meta's webhook.
pub(super) fn target(tenant: &Arc<Tenant>, sender: &str) -> Option<Target> {
    through(tenant, sender, "meta-webhook")
}

/// The same, through a message that was routed.
pub(super) fn target_of_route(tenant: &Arc<Tenant>, sender: &str) -> Option<Target> {
    through(tenant, sender, "route")
}

fn through(tenant: &Arc<Tenant>, sender: &str, interface: &str) -> Option<Target> {
    let actor = Actor::new("person").and_then(|actor| actor.through(interface)).ok()?;
    Target::own(tenant, sender, actor)
}

/// Does what a person asks for. When this returns, it is on disk, and the next check sees it.
///
/// A wish that came again, or that is older than the one on record, changes nothing.
pub(super) fn grant(target: &Target, who: &Who, asked: &Asked) -> Result<(), Refusal> {
    let Some(identity) = who.identity() else { return Ok(()) };
    // What does not say when it is from is from now.
    let requested = Some(asked.at.unwrap_or_else(Timestamp::now));
    let patience = Duration::from_secs(target.tenant.config.opt_out.confirmation_seconds);
    let mark = asked.id.as_deref().map(|id| target.gate.mark_of(id, asked.wish == Wish::Stop));
    let has_come = mark.is_some_and(|mark| target.gate.has_come(mark));
    let person = target.ensure_person(&identity)?;
    if has_come {
        if asked.wish == Wish::Stop {
            // Whoever was to confirm it may not have heard of it the first time.
            target.gate.renew_confirmation(person.key(), patience);
        }
        return Ok(());
    }
    let written = match asked.wish {
        Wish::Stop => {
            let reason = Reason::new(asked.word.trim()).ok();
            let block = Block {
                hold: HoldKind::OptOut,
                source: Source::OptOut,
                reason,
                requested,
                ..Block::new(person.first(), COVERED, target.actor.clone())
            };
            write(target, block.into())?
        }
        Wish::Start => write(target, lift(target, person.first().into(), HoldKind::OptOut, requested))?,
    };
    match (asked.wish, written.outcome) {
        (_, Outcome::Outdated) => {}
        (Wish::Stop, outcome) if outcome.changed() && asked.may_be_confirmed => {
            target.gate.allow_confirmation(person.key(), patience);
        }
        (Wish::Stop, _) => {}
        (Wish::Start, _) => target.gate.forget_confirmation(person.key()),
    }
    if let Some(mark) = mark {
        target.gate.remember(mark);
    }
    Ok(())
}

/// Notes what somebody wants of marketing (`user_preferences`).
pub(super) fn prefer(target: &Target, who: &Who, preference: &Object<'_>) -> Result<(), Refusal> {
    let text = |name: &str| preference.get(name).and_then(lenient::text);
    let Some(identity) = who.identity().filter(|_| text("category").as_deref() == Some("marketing_messages"))
    else {
        return Ok(());
    };
    let requested = Some(lenient::time(preference, "timestamp").unwrap_or_else(Timestamp::now));
    match text("value").as_deref() {
        Some("stop") => {
            let block = Block {
                hold: HoldKind::Marketing,
                source: Source::OptOut,
                reason: text("detail").and_then(|detail| Reason::new(detail).ok()),
                requested,
                ..Block::new(target.whom(&identity), COVERED, target.actor.clone())
            };
            write(target, block.into())?;
        }
        Some("resume") => {
            write(target, lift(target, target.whom(&identity), HoldKind::Marketing, requested))?;
        }
        _ => {}
    }
    Ok(())
}

/// Remembers that all names of somebody are one person's.
pub(super) fn tie(target: &Target, who: &Who) -> Result<(), Refusal> {
    if who.users.is_empty() || who.users.len() == 1 && who.number.is_none() {
        return Ok(());
    }
    tie_all(target, &Moved { left: None, to: who.clone() })
}

/// Has the holds on a person follow them to a new number, and to new ids.
pub(super) fn follow(target: &Target, moved: &Moved) -> Result<(), Refusal> {
    tie_all(target, moved)
}

fn tie_all(target: &Target, moved: &Moved) -> Result<(), Refusal> {
    let permutation = target.tenant.keys.permutation();
    let tied = target.gate.list().tie(Tie {
        number: moved.to.number.map(|number| permutation.subject(number)),
        users: moved.to.users.clone(),
        left: moved.left.map(|number| permutation.subject(number)),
        actor: target.actor.clone(),
    })?;
    if tied.changed.is_empty() {
        return Ok(());
    }
    // Of all lists of the tenant, as a person is one in all.
    for gate in target.tenant.gates().filter(|gate| tied.changed.contains(gate.list().scope())) {
        gate.catch_up();
    }
    target.tenant.told.notify_one();
    Ok(())
}

fn lift(target: &Target, whom: Whom, kind: HoldKind, requested: Option<Timestamp>) -> Write {
    Write::Unblock(Unblock {
        hold: Some(kind),
        requested,
        ..Unblock::new(whom, Directions::BOTH, target.actor.clone())
    })
}

fn write(target: &Target, write: Write) -> Result<Written, Refusal> {
    let written = target.gate.list().write(vec![write])?;
    let written = written.into_iter().next().ok_or(Refusal::Defect)?;
    target.gate.catch_up();
    target.tenant.told.notify_one();
    Ok(written)
}
