//! Checks: whether a message is blocked.

use std::sync::Arc;

use portcullis_host::Verdict;
use portcullis_ledger::LedgerError;
use portcullis_msisdn::{Direction, Directions, Person, Subject};

use super::List;
use crate::error::NotServed;
use crate::identity::Identity;
use crate::live::{LiveList, NoVerdict};
use crate::spec::OnFailure;

/// The kind of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ListKind {
    /// A sender's own list.
    Sender,
    /// The list that applies to all senders.
    Tenant,
}

/// The source of an answer, the most reliable first. An answer from several lists has the least reliable of their sources.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnsweredBy {
    /// The plugin.
    Plugin,
    /// The entries in the ledger, because the plugin failed or was not needed.
    Ledger,
    /// The tenant's failure policy, because the plugin failed. No entry was looked at.
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

/// The result of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The list that blocks the person; `None` if the message may pass.
    pub blocked_by: Option<ListKind>,
    /// The source of the answer.
    pub answered_by: AnsweredBy,
}

impl Checked {
    /// Whether the message must not pass.
    pub const fn is_blocked(&self) -> bool {
        self.blocked_by.is_some()
    }
}

/// The result of a check of several people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedMany {
    /// Whether each person is blocked, in order.
    pub blocked: Vec<bool>,
    /// The source of the answers.
    pub answered_by: AnsweredBy,
}

/// The check has to read from disk: call [`List::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the check has to read from disk")]
pub struct NeedsDisk;

/// An error of a check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The list is no longer served: the handle is dead.
    #[error(transparent)]
    NotServed(#[from] NotServed),
    /// The check needs the ledger, which can't be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The runtime is shutting down, or the check panicked.
    #[error("the check was cut short")]
    Cancelled,
}

impl List {
    /// Checks one person on this thread. Takes microseconds, unless a plugin misbehaves: then the host's limit for checks bounds it.
    /// Never reads from disk.
    ///
    /// # Errors
    /// [`NeedsDisk`] if the list is evicted, if the plugin failed and the policy is [`OnFailure::Ledger`], for a user id, and on a
    /// dead handle, of which [`check`](Self::check) returns the cause.
    #[inline]
    pub fn try_check(
        &self,
        identity: impl Into<Identity>,
        direction: Direction,
    ) -> Result<Checked, NeedsDisk> {
        let Identity::Number(number) = identity.into() else { return Err(NeedsDisk) };
        let person = self.permutation().person(number);
        let mut answered_by = AnsweredBy::Plugin;
        for (kind, list) in self.consulted() {
            for &subject in person.iter() {
                let verdict = match list.check(subject, direction) {
                    Ok(verdict) => verdict,
                    Err(NoVerdict::Evicted | NoVerdict::Detached) => return Err(NeedsDisk),
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

    /// Checks one person: on this thread if that needs no disk, else on one that may block.
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
        self.runtime()
            .spawn_blocking(move || list.blocking_check(&identity, direction))
            .await
            .unwrap_or(Err(CheckError::Cancelled))
    }

    /// Checks one person. Blocks for a few milliseconds if the list is evicted, and for a read of the ledger if the check needs one.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub fn blocking_check(&self, identity: &Identity, direction: Direction) -> Result<Checked, CheckError> {
        let Some(person) = self.person(identity)? else {
            if let Some(error) = self.not_served() {
                return Err(error.into());
            }
            // This user id was never named, so it is on no list.
            return Ok(Checked { blocked_by: None, answered_by: AnsweredBy::Ledger });
        };
        self.blocking_check_person(&person, direction)
    }

    /// Like [`blocking_check`](Self::blocking_check), for a person that was [looked up](Self::person).
    ///
    /// # Errors
    /// See [`CheckError`].
    pub fn blocking_check_person(
        &self,
        person: &Person,
        direction: Direction,
    ) -> Result<Checked, CheckError> {
        let mut answered_by = AnsweredBy::Plugin;
        for (kind, list) in self.consulted() {
            let (verdicts, by) = self.verdicts(list, person, direction)?;
            answered_by = answered_by.max(by);
            if verdicts.contains(&Verdict::Block) {
                return Ok(Checked { blocked_by: Some(kind), answered_by });
            }
        }
        Ok(Checked { blocked_by: None, answered_by })
    }

    /// Checks several people on this thread, some 50 ns per number. Never reads from disk. The caller bounds the count.
    ///
    /// # Errors
    /// As for [`try_check`](Self::try_check), and if a plugin failed, whatever the policy.
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
        for (_, list) in self.consulted() {
            let verdicts = list.try_check_many(&people.subjects, direction).map_err(|_| NeedsDisk)?;
            people.mark(&verdicts, &mut blocked);
        }
        Ok(CheckedMany { blocked, answered_by: AnsweredBy::Plugin })
    }

    /// Checks several people. Blocks as [`blocking_check`](Self::blocking_check) does.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub fn blocking_check_many(
        &self,
        identities: &[Identity],
        direction: Direction,
    ) -> Result<CheckedMany, CheckError> {
        let mut people = People::with_capacity(identities.len());
        for (place, identity) in identities.iter().enumerate() {
            // A user id that was never named is on no list.
            if let Some(person) = self.person(identity)? {
                people.add(place, &person);
            }
        }
        let mut blocked = vec![false; identities.len()];
        let mut answered_by = AnsweredBy::Plugin;
        for (_, list) in self.consulted() {
            let (verdicts, by) = self.verdicts(list, &people.subjects, direction)?;
            answered_by = answered_by.max(by);
            people.mark(&verdicts, &mut blocked);
        }
        Ok(CheckedMany { blocked, answered_by })
    }

    /// The lists that a check consults, in order.
    #[inline]
    fn consulted(&self) -> impl Iterator<Item = (ListKind, &Arc<LiveList>)> {
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
    ) -> Result<(Vec<Verdict>, AnsweredBy), CheckError> {
        match list.check_many(subjects, direction) {
            Ok(verdicts) => return Ok((verdicts, AnsweredBy::Plugin)),
            // Without a cause it is detached by a close that is about to end.
            Err(NoVerdict::Detached) => return Err(self.not_served().unwrap_or(NotServed::Closed).into()),
            Err(NoVerdict::Failed | NoVerdict::Evicted) => {}
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

/// The policy's own verdict; `None` if it asks the ledger.
fn policy_verdict(policy: OnFailure) -> Option<Verdict> {
    match policy {
        OnFailure::Open => Some(Verdict::Allow),
        OnFailure::Closed => Some(Verdict::Block),
        OnFailure::Ledger => None,
    }
}

/// The subjects of several people.
struct People {
    subjects: Vec<Subject>,
    /// The person of each subject, by its place in the caller's slice.
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

    /// Marks people who are blocked under one of their subjects.
    fn mark(&self, verdicts: &[Verdict], blocked: &mut [bool]) {
        for (&place, verdict) in self.places.iter().zip(verdicts) {
            blocked[place] |= *verdict == Verdict::Block;
        }
    }
}
