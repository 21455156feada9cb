//! Whether a tenant's rules let messages go now that its lists let pass.
//!
//! All functions return within microseconds without rules. With rules they answer on the thread that asks, unless a plugin is slow or busy,
//! or the disk is needed for a user id: then they go on on a thread that may block, in turn with the tenant's other checks.

use portcullis_admission::LogLimit;
use portcullis_engine::{Checked, CheckedMany, Identity, Message, Reservation, Stop};
use portcullis_ledger::Position;
use tracing::{Instrument as _, info};

use super::check;
use super::refusal::Refusal;
use super::target::Target;
use super::traced;

/// Lines about messages that rules stopped.
static STOPPED: LogLimit = LogLimit::new(100);

/// Checks somebody as [`check::one`] does, and asks the rules about what the lists let pass. Counts the check by what both say, and no message.
///
/// # Errors
///
/// As [`check::one`].
pub async fn one(
    target: &Target,
    identity: Identity,
    message: Message,
    since: &[Position],
) -> Result<(Checked, Option<Stop>), Refusal> {
    let span = traced::check(target, message.direction, 1);
    let checking = one_untraced(target, identity, message, since);
    if span.is_disabled() {
        return checking.await;
    }
    let (checked, stop) = checking.instrument(span.clone()).await?;
    span.record("blocked", u8::from(checked.is_blocked() || stop.is_some()));
    Ok((checked, stop))
}

#[inline]
async fn one_untraced(
    target: &Target,
    identity: Identity,
    message: Message,
    since: &[Position],
) -> Result<(Checked, Option<Stop>), Refusal> {
    let asked = target.list.has_rules().then(|| identity.clone());
    let (start, mut checked) = check::one_uncounted(target, identity, message.direction, since).await?;
    let (mut counted, mut stop) = (check::verdict_of(&checked), None);
    if let Some(identity) = asked.filter(|_| !checked.is_blocked()) {
        let (mut stops, by) = target.list.ask_rules(vec![identity], message).await?;
        checked.answered_by = checked.answered_by.max(by);
        stop = stops.pop().flatten();
    }
    if let Some(stop) = &stop {
        counted.stopped(stop);
        note(target, message, stop);
    }
    target.tenant.metrics.checked(start, checked.answered_by, counted);
    Ok((checked, stop))
}

/// Checks several people as [`check::many`] does, and asks the rules about those whom the lists let pass. Returns what stops each, in order;
/// nothing if nobody is. Counts the checks by what both say, and no message.
///
/// # Errors
///
/// As [`check::one`].
pub async fn many(
    target: &Target,
    identities: Vec<Identity>,
    message: Message,
    since: &[Position],
) -> Result<(CheckedMany, Vec<Option<Stop>>), Refusal> {
    let span = traced::check(target, message.direction, identities.len());
    let (checked, stops) = many_untraced(target, identities, message, since).instrument(span.clone()).await?;
    let blocked = checked.blocked.iter().filter(|blocked| **blocked).count();
    span.record("blocked", blocked + stops.iter().flatten().count());
    Ok((checked, stops))
}

async fn many_untraced(
    target: &Target,
    identities: Vec<Identity>,
    message: Message,
    since: &[Position],
) -> Result<(CheckedMany, Vec<Option<Stop>>), Refusal> {
    let asked = target.list.has_rules().then(|| identities.clone());
    let (start, mut checked) = check::many(target, identities, message.direction, since).await?;
    let mut counted = check::verdicts_of_many(&checked);
    let Some(asked) = asked else {
        target.tenant.metrics.checked(start, checked.answered_by, counted);
        return Ok((checked, Vec::new()));
    };
    let (places, passed): (Vec<usize>, Vec<Identity>) =
        asked.into_iter().enumerate().filter(|(place, _)| !checked.blocked[*place]).unzip();
    let mut stops = vec![None; checked.blocked.len()];
    let (answers, by) = target.list.ask_rules(passed, message).await?;
    checked.answered_by = checked.answered_by.max(by);
    for (place, stop) in places.into_iter().zip(answers) {
        if let Some(stop) = &stop {
            counted.stopped(stop);
            note(target, message, stop);
        }
        stops[place] = stop;
    }
    target.tenant.metrics.checked(start, checked.answered_by, counted);
    Ok((checked, stops))
}

/// Asks the rules about a message that is about to be sent to these people, whom the lists let pass, and counts it. If a rule stops it, it
/// is not counted.
///
/// # Errors
///
/// As [`check::one`].
pub async fn reserve(
    target: &Target,
    identities: Vec<Identity>,
    message: Message,
) -> Result<Result<Reservation, Stop>, Refusal> {
    if !target.list.has_rules() {
        return Ok(Ok(Reservation::default()));
    }
    Ok(noted(target, message, target.list.reserve(identities, message).await?))
}

/// The blocking form of [`reserve`].
///
/// # Errors
///
/// As [`check::one`].
pub fn blocking_reserve(
    target: &Target,
    identities: &[Identity],
    message: Message,
) -> Result<Result<Reservation, Stop>, Refusal> {
    if !target.list.has_rules() {
        return Ok(Ok(Reservation::default()));
    }
    Ok(noted(target, message, target.list.blocking_reserve(identities, message)?))
}

fn noted(target: &Target, message: Message, answer: Result<Reservation, Stop>) -> Result<Reservation, Stop> {
    answer.inspect_err(|stop| note(target, message, stop))
}

/// Counts and logs a message that a rule stops.
fn note(target: &Target, message: Message, stop: &Stop) {
    target.tenant.metrics.stopped(stop);
    if STOPPED.admits() {
        info!(
            tenant = %target.list.tenant(), list = target.list_name(), rule = &*stop.rule, reason = stop.reason(),
            verdict = stop.verdict(), direction = %message.direction, channel = message.channel.as_str(),
            purpose = message.purpose.as_str(), suppressed = STOPPED.suppressed(), "a rule stops a message"
        );
    }
}
