//! Whether messages may pass.

use std::time::Instant;

use portcullis_host::Verdict;
use portcullis_msisdn::{Direction, Directions, Person, Subject};

use super::refusal::{Refusal, RowProblem};
use super::target::{ListKind, Target};
use crate::config::OnFailure;
use crate::gate::NoVerdict;
use crate::identity::{Identity, IdentityError};
use crate::metrics::Counted;

/// The most numbers that are checked at once.
pub(crate) const MAX_NUMBERS: usize = 10_000;

/// Who gave the answer. In the order of how little it says: an answer from several has the last of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum AnsweredBy {
    /// The plugin.
    Plugin,
    /// The entries on disk, while the plugin fails.
    Ledger,
    /// The tenant's policy, while the plugin fails: nobody was asked.
    Policy,
}

impl AnsweredBy {
    /// Its name: `plugin`, `ledger` or `policy`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            AnsweredBy::Plugin => "plugin",
            AnsweredBy::Ledger => "ledger",
            AnsweredBy::Policy => "policy",
        }
    }
}

/// The answer for one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checked {
    /// The list that blocks it; `None` where it may pass.
    pub(crate) blocked_by: Option<ListKind>,
    pub(crate) answered_by: AnsweredBy,
}

/// The answer for many numbers.
pub(crate) struct CheckedMany {
    /// Whether each is blocked, in order.
    pub(crate) blocked: Vec<bool>,
    pub(crate) answered_by: AnsweredBy,
}

/// Checks one number on this thread, within microseconds unless a plugin misbehaves; then [`Limits::check`] bounds it.
///
/// `None` where the list rests, or the ledger has to answer: ask [`many`], on a thread that may block.
///
/// [`Limits::check`]: portcullis_host::Limits::check
#[inline]
pub(crate) fn one(
    target: &Target,
    number: &str,
    direction: Direction,
) -> Result<Option<Checked>, IdentityError> {
    Ok(identity(target, &target.read(number)?, direction))
}

/// As [`one`], of somebody whose number was read.
#[inline]
pub(crate) fn identity(target: &Target, identity: &Identity, direction: Direction) -> Option<Checked> {
    let start = Instant::now();
    let Identity::Number(number) = identity else { return None };
    if notes_visits(target, direction) {
        return None;
    }
    let person = target.person_of_number(*number);
    let mut answered_by = AnsweredBy::Plugin;
    for (kind, gate) in target.asked() {
        for &subject in person.iter() {
            let verdict = match (gate.check(subject, direction), target.tenant.config.on_failure) {
                (Ok(verdict), _) => verdict,
                (Err(NoVerdict::Resting), _) | (Err(NoVerdict::Failed), OnFailure::Ledger) => return None,
                (Err(NoVerdict::Failed), policy) => {
                    answered_by = AnsweredBy::Policy;
                    policy_verdict(policy)
                }
            };
            if verdict == Verdict::Block {
                return Some(counted(target, start, Checked { blocked_by: Some(kind), answered_by }));
            }
        }
    }
    Some(counted(target, start, Checked { blocked_by: None, answered_by }))
}

/// As [`one`], but the ledger may answer.
pub(crate) fn one_with_ledger(
    target: &Target,
    number: &str,
    direction: Direction,
) -> Result<Checked, Refusal> {
    let identity = target.read(number).map_err(|error| invalid(vec![(0, error)]))?;
    identity_with_ledger(target, &identity, direction)
}

/// As [`identity`], but the ledger may answer.
pub(crate) fn identity_with_ledger(
    target: &Target,
    identity: &Identity,
    direction: Direction,
) -> Result<Checked, Refusal> {
    let start = Instant::now();
    let mut answered_by = AnsweredBy::Plugin;
    let known = match notes_visits(target, direction) {
        true => Some(target.ensure_person(identity)?),
        false => target.person(identity)?,
    };
    let Some(person) = known else {
        // Nobody ever named this user id, so it is on no list.
        return Ok(counted(target, start, Checked { blocked_by: None, answered_by: AnsweredBy::Ledger }));
    };
    if notes_visits(target, direction) {
        target.gate.note_visit(person.key())?;
    }
    for (kind, gate) in target.asked() {
        let (verdicts, by) = verdicts(target, gate, &person, direction)?;
        answered_by = answered_by.max(by);
        if verdicts.contains(&Verdict::Block) {
            return Ok(counted(target, start, Checked { blocked_by: Some(kind), answered_by }));
        }
    }
    Ok(counted(target, start, Checked { blocked_by: None, answered_by }))
}

/// Whether inbound checks tell who wrote.
#[inline]
fn notes_visits(target: &Target, direction: Direction) -> bool {
    target.tenant.config.dialects.within_24_hours
        && direction == Direction::Inbound
        && target.kind == ListKind::Sender
}

#[inline]
fn counted(target: &Target, start: Instant, checked: Checked) -> Checked {
    let blocked = u64::from(checked.blocked_by.is_some());
    target.tenant.metrics.checked(start, checked.answered_by, Counted { allowed: 1 - blocked, blocked });
    checked
}

/// The most numbers that are checked on a thread that must not be held up: some ten microseconds.
const MAX_AT_ONCE: usize = 256;
/// The same, where numbers are read by a region's numbering plan, which takes fifty times as long.
const MAX_READ_AT_ONCE: usize = 8;

/// Checks a few numbers on this thread, within some ten microseconds unless a plugin misbehaves.
///
/// `None` where [`many`] has to be asked, on a thread that may block: there are too many, one can't be read, a list rests, or the
/// ledger has to answer.
pub(crate) fn few(target: &Target, numbers: &[&str], direction: Direction) -> Option<CheckedMany> {
    let most = if target.tenant.reader.default_region.is_some() { MAX_READ_AT_ONCE } else { MAX_AT_ONCE };
    if numbers.len() > most || notes_visits(target, direction) {
        return None;
    }
    let start = Instant::now();
    let mut people = People::with_capacity(numbers.len());
    for (place, number) in numbers.iter().enumerate() {
        people.add(place, &target.person_of_number(target.read(number).ok()?.number()?));
    }
    let mut blocked = vec![false; numbers.len()];
    for (_, gate) in target.asked() {
        people.judge(&gate.check_few(&people.subjects, direction).ok()?, &mut blocked);
    }
    Some(counted_many(target, start, CheckedMany { blocked, answered_by: AnsweredBy::Plugin }))
}

/// Checks many numbers. One that can't be read refuses all.
pub(crate) fn many(target: &Target, numbers: &[&str], direction: Direction) -> Result<CheckedMany, Refusal> {
    if numbers.len() > MAX_NUMBERS {
        return Err(Refusal::TooManyNumbers { given: numbers.len(), limit: MAX_NUMBERS });
    }
    let start = Instant::now();
    let mut people = People::with_capacity(numbers.len());
    let mut visits = Vec::new();
    let mut bad = Vec::new();
    let notes_visits = notes_visits(target, direction);
    for (index, number) in numbers.iter().enumerate() {
        match target.read(number) {
            Ok(identity) => {
                // A user id that nobody ever named is on no list.
                if let Some(person) = target.person(&identity)? {
                    people.add(index, &person);
                    if notes_visits {
                        visits.push(person.key());
                    }
                }
            }
            Err(error) => bad.push((index, error)),
        }
    }
    if !bad.is_empty() {
        return Err(invalid(bad));
    }
    for visitor in visits {
        target.gate.note_visit(visitor)?;
    }
    let mut blocked = vec![false; numbers.len()];
    let mut answered_by = AnsweredBy::Plugin;
    for (_, gate) in target.asked() {
        let (verdicts, by) = verdicts(target, gate, &people.subjects, direction)?;
        answered_by = answered_by.max(by);
        people.judge(&verdicts, &mut blocked);
    }
    Ok(counted_many(target, start, CheckedMany { blocked, answered_by }))
}

/// Several persons, by all their subjects.
struct People {
    subjects: Vec<Subject>,
    /// Whose each subject is, by the place among those that were asked about.
    places: Vec<usize>,
}

impl People {
    fn with_capacity(count: usize) -> Self {
        People { subjects: Vec::with_capacity(count), places: Vec::with_capacity(count) }
    }

    fn add(&mut self, place: usize, person: &Person) {
        self.subjects.extend_from_slice(person);
        self.places.resize(self.subjects.len(), place);
    }

    /// Marks those who are blocked under one of their subjects.
    fn judge(&self, verdicts: &[Verdict], blocked: &mut [bool]) {
        for (&place, verdict) in self.places.iter().zip(verdicts) {
            blocked[place] |= *verdict == Verdict::Block;
        }
    }
}

fn counted_many(target: &Target, start: Instant, checked: CheckedMany) -> CheckedMany {
    let all = checked.blocked.len() as u64;
    let blocked = checked.blocked.iter().filter(|blocked| **blocked).count() as u64;
    target.tenant.metrics.checked(start, checked.answered_by, Counted { allowed: all - blocked, blocked });
    checked
}

fn verdicts(
    target: &Target,
    gate: &std::sync::Arc<crate::gate::Gate>,
    subjects: &[Subject],
    direction: Direction,
) -> Result<(Vec<Verdict>, AnsweredBy), Refusal> {
    if let Ok(verdicts) = gate.check_many(subjects, direction) {
        return Ok((verdicts, AnsweredBy::Plugin));
    }
    match target.tenant.config.on_failure {
        OnFailure::Ledger => {
            let directions = gate.list().directions(subjects)?;
            let verdict = |directions: Directions| match directions.covers(direction) {
                true => Verdict::Block,
                false => Verdict::Allow,
            };
            Ok((directions.into_iter().map(verdict).collect(), AnsweredBy::Ledger))
        }
        policy => Ok((vec![policy_verdict(policy); subjects.len()], AnsweredBy::Policy)),
    }
}

fn policy_verdict(policy: OnFailure) -> Verdict {
    match policy {
        OnFailure::Open => Verdict::Allow,
        OnFailure::Closed | OnFailure::Ledger => Verdict::Block,
    }
}

fn invalid(numbers: Vec<(usize, IdentityError)>) -> Refusal {
    let problem = |(index, error): (usize, IdentityError)| RowProblem { index, error: error.into() };
    Refusal::InvalidRows(numbers.into_iter().map(problem).collect())
}
