//! Whether messages may pass.

use std::sync::Arc;

use portcullis_host::Verdict;
use portcullis_ledger::LedgerError;
use portcullis_msisdn::{Direction, Directions, Person, Subject};

use super::List;
use crate::identity::Identity;
use crate::live::{LiveList, NoVerdict};
use crate::spec::OnFailure;

/// Which of a tenant's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// The sender's own.
    Sender,
    /// The one that holds for all senders.
    Tenant,
}

/// Who gave an answer. In the order of how little it says: an answer from several has the last of theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnsweredBy {
    /// The plugin.
    Plugin,
    /// The entries on disk, while the plugin fails.
    Ledger,
    /// The tenant's failure policy, while the plugin fails: nobody was asked.
    Policy,
}

impl AnsweredBy {
    /// Its name: `plugin`, `ledger` or `policy`.
    pub const fn as_str(self) -> &'static str {
        match self {
            AnsweredBy::Plugin => "plugin",
            AnsweredBy::Ledger => "ledger",
            AnsweredBy::Policy => "policy",
        }
    }
}

/// The answer for one person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The list that blocks them; `None` where the message may pass.
    pub blocked_by: Option<ListKind>,
    /// Who said so.
    pub answered_by: AnsweredBy,
}

impl Checked {
    /// Whether the message must not pass.
    pub const fn is_blocked(&self) -> bool {
        self.blocked_by.is_some()
    }
}

/// The answer for several people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedMany {
    /// Whether each is blocked, in order.
    pub blocked: Vec<bool>,
    /// Who said so.
    pub answered_by: AnsweredBy,
}

/// A check can't be answered without reading from disk: ask [`List::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer has to be read from disk")]
pub struct NeedsDisk;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The ledger has to answer, and can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The runtime is shutting down.
    #[error("the work was cut short")]
    Cancelled,
}

impl List {
    /// Checks one person on this thread, within microseconds unless a plugin misbehaves; then the host's limit for checks bounds
    /// it. Never reads from disk.
    ///
    /// # Errors
    /// [`NeedsDisk`] where the list is evicted, the ledger has to answer for a plugin that failed, or a user id has to be looked
    /// up.
    #[inline]
    pub fn try_check(
        &self,
        identity: impl Into<Identity>,
        direction: Direction,
    ) -> Result<Checked, NeedsDisk> {
        let Identity::Number(number) = identity.into() else { return Err(NeedsDisk) };
        let person = self.permutation().person(number);
        let mut answered_by = AnsweredBy::Plugin;
        for (kind, list) in self.asked() {
            for &subject in person.iter() {
                let verdict = match list.check(subject, direction) {
                    Ok(verdict) => verdict,
                    Err(NoVerdict::Evicted) => return Err(NeedsDisk),
                    Err(NoVerdict::Failed) => {
                        answered_by = AnsweredBy::Policy;
                        policy_verdict(self.on_failure()).ok_or(NeedsDisk)?
                    }
                };
                if verdict == Verdict::Block {
                    return Ok(Checked { blocked_by: Some(kind), answered_by });
                }
            }
        }
        Ok(Checked { blocked_by: None, answered_by })
    }

    /// Checks one person: at once where that needs no disk, else on a thread that may block.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub async fn check(
        &self,
        identity: impl Into<Identity>,
        direction: Direction,
    ) -> Result<Checked, CheckError> {
        let identity = identity.into();
        if let Ok(checked) = self.try_check(&identity, direction) {
            return Ok(checked);
        }
        let list = self.clone();
        tokio::task::spawn_blocking(move || list.blocking_check(&identity, direction))
            .await
            .map_err(|_| CheckError::Cancelled)?
            .map_err(CheckError::from)
    }

    /// Checks one person. Blocks where the list is evicted or the ledger has to answer: a few milliseconds.
    ///
    /// # Errors
    /// Where the ledger has to answer, and can't be read.
    pub fn blocking_check(&self, identity: &Identity, direction: Direction) -> Result<Checked, LedgerError> {
        let Some(person) = self.person(identity)? else {
            // Nobody ever named this user id, so it is on no list.
            return Ok(Checked { blocked_by: None, answered_by: AnsweredBy::Ledger });
        };
        self.blocking_check_person(&person, direction)
    }

    /// As [`blocking_check`](Self::blocking_check), of somebody who was looked up.
    ///
    /// # Errors
    /// Where the ledger has to answer, and can't be read.
    pub fn blocking_check_person(
        &self,
        person: &Person,
        direction: Direction,
    ) -> Result<Checked, LedgerError> {
        let mut answered_by = AnsweredBy::Plugin;
        for (kind, list) in self.asked() {
            let (verdicts, by) = self.verdicts(list, person, direction)?;
            answered_by = answered_by.max(by);
            if verdicts.contains(&Verdict::Block) {
                return Ok(Checked { blocked_by: Some(kind), answered_by });
            }
        }
        Ok(Checked { blocked_by: None, answered_by })
    }

    /// Checks several people on this thread. Never reads from disk; the caller bounds how many there are: a number takes some
    /// 50 ns.
    ///
    /// # Errors
    /// As for [`try_check`](Self::try_check), and where a plugin fails.
    pub fn try_check_many(
        &self,
        identities: &[Identity],
        direction: Direction,
    ) -> Result<CheckedMany, NeedsDisk> {
        let mut people = People::with_capacity(identities.len());
        for (place, identity) in identities.iter().enumerate() {
            let number = identity.number().ok_or(NeedsDisk)?;
            people.add(place, &self.permutation().person(number));
        }
        let mut blocked = vec![false; identities.len()];
        for (_, list) in self.asked() {
            people.judge(&list.check_few(&people.subjects, direction).map_err(|_| NeedsDisk)?, &mut blocked);
        }
        Ok(CheckedMany { blocked, answered_by: AnsweredBy::Plugin })
    }

    /// Checks several people. Blocks as [`blocking_check`](Self::blocking_check) does.
    ///
    /// # Errors
    /// Where the ledger has to answer, and can't be read.
    pub fn blocking_check_many(
        &self,
        identities: &[Identity],
        direction: Direction,
    ) -> Result<CheckedMany, LedgerError> {
        let mut people = People::with_capacity(identities.len());
        for (place, identity) in identities.iter().enumerate() {
            // A user id that nobody ever named is on no list.
            if let Some(person) = self.person(identity)? {
                people.add(place, &person);
            }
        }
        let mut blocked = vec![false; identities.len()];
        let mut answered_by = AnsweredBy::Plugin;
        for (_, list) in self.asked() {
            let (verdicts, by) = self.verdicts(list, &people.subjects, direction)?;
            answered_by = answered_by.max(by);
            people.judge(&verdicts, &mut blocked);
        }
        Ok(CheckedMany { blocked, answered_by })
    }

    /// The lists that a check asks, in this order.
    #[inline]
    fn asked(&self) -> impl Iterator<Item = (ListKind, &Arc<LiveList>)> {
        let wide = self.wide.as_ref().map(|wide| (ListKind::Tenant, wide));
        std::iter::once((self.kind(), &self.own)).chain(wide)
    }

    #[cold]
    fn on_failure(&self) -> OnFailure {
        self.tenant.members.load().as_ref().map_or(OnFailure::Closed, |members| members.spec.on_failure)
    }

    fn verdicts(
        &self,
        list: &Arc<LiveList>,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<(Vec<Verdict>, AnsweredBy), LedgerError> {
        if let Ok(verdicts) = list.check_many(subjects, direction) {
            return Ok((verdicts, AnsweredBy::Plugin));
        }
        if let Some(verdict) = policy_verdict(self.on_failure()) {
            return Ok((vec![verdict; subjects.len()], AnsweredBy::Policy));
        }
        let verdict = |directions: Directions| match directions.covers(direction) {
            true => Verdict::Block,
            false => Verdict::Allow,
        };
        let verdicts = list.list().directions(subjects)?.into_iter().map(verdict).collect();
        Ok((verdicts, AnsweredBy::Ledger))
    }
}

/// What the policy says by itself; `None` where the ledger is to be asked.
fn policy_verdict(policy: OnFailure) -> Option<Verdict> {
    match policy {
        OnFailure::Open => Some(Verdict::Allow),
        OnFailure::Closed => Some(Verdict::Block),
        OnFailure::Ledger => None,
    }
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
