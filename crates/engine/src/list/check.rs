//! Checks: whether a message is blocked.

use std::sync::Arc;
use std::time::Instant;

use portcullis_admission::Overdue;
use portcullis_entries::Identity;
use portcullis_host::Verdict;
use portcullis_ledger::LedgerError;
use portcullis_msisdn::{Direction, Directions, Person, Subject};
use portcullis_tenant_settings::OnFailure;

use super::List;
use crate::error::NotServed;
use crate::live::{LiveList, NoVerdict};

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
    /// The tenant's failure policy, because the plugin failed, and no entry was looked at; or because a rule failed.
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

/// The check has to read from disk, or to wait for a slow plugin: call [`List::check`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the check has to read from disk, or to wait for a slow plugin")]
pub struct NeedsDisk;

/// Why a check has no answer at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// It has to read from disk.
    Disk,
    /// The plugin is slow or busy.
    Busy,
}

impl From<Obstacle> for NeedsDisk {
    fn from(_: Obstacle) -> Self {
        NeedsDisk
    }
}

/// An error of a check.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckError {
    /// The list is no longer served: the handle is dead.
    #[error(transparent)]
    NotServed(#[from] NotServed),
    /// The check needs the ledger, which can't be read. If it is shared and could not be reached a moment ago, it is not waited for.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The ledger does not have what was written up to a position, as after a failover to a standby that lacked it. The write is lost, so
    /// repeat it.
    #[error("the ledger has lost what was written up to the position")]
    PositionLost,
    /// The plugin was busy for longer than the engine's [patience](crate::Builder::check_patience), and so was the ledger that the
    /// tenant's failure policy asks. Try again.
    #[error("the tenant's plugin and the ledger are busy")]
    Overdue,
    /// The runtime is shutting down, or the check panicked.
    #[error("the check was cut short")]
    Cancelled,
}

impl List {
    /// Checks one person on this thread, within microseconds. Never reads from disk, and never waits for more than 100 µs.
    ///
    /// A plugin that is not known to be slow is called here. If it is, the host's limit for checks bounds the call, and the next ones
    /// are not made here.
    ///
    /// # Errors
    /// [`NeedsDisk`] if the plugin is slow or busy, if the list is evicted, if the plugin failed and the policy is
    /// [`OnFailure::Ledger`], for a user id, and on a dead handle, of which [`check`](Self::check) returns the cause.
    #[inline]
    pub fn try_check(
        &self,
        identity: impl Into<Identity>,
        direction: Direction,
    ) -> Result<Checked, NeedsDisk> {
        Ok(self.check_at_once(&identity.into(), direction)?)
    }

    #[inline]
    fn check_at_once(&self, identity: &Identity, direction: Direction) -> Result<Checked, Obstacle> {
        if self.blocks_all() {
            return Ok(self.blocked_by_policy());
        }
        let Identity::Number(number) = *identity else { return Err(Obstacle::Disk) };
        let person = self.permutation().person(number);
        let mut answered_by = AnsweredBy::Plugin;
        for (kind, list) in self.consulted() {
            for &subject in person.iter() {
                let verdict = match list.check(subject, direction) {
                    Ok(verdict) => verdict,
                    Err(NoVerdict::Failed) => {
                        answered_by = AnsweredBy::Policy;
                        self.policy_verdict(list).ok_or(Obstacle::Disk)?
                    }
                    Err(obstacle) => return Err(obstacle.into()),
                };
                if verdict == Verdict::Block {
                    return Ok(Checked { blocked_by: Some(kind), answered_by });
                }
            }
        }
        Ok(Checked { blocked_by: None, answered_by })
    }

    /// Checks one person: on this thread if that takes microseconds, else on one that may block, in turn with the tenant's other
    /// checks. If the plugin is too busy to answer within the engine's [patience](crate::Builder::check_patience), the tenant's failure
    /// policy answers.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub async fn check(
        &self,
        identity: impl Into<Identity>,
        direction: Direction,
    ) -> Result<Checked, CheckError> {
        let identity = identity.into();
        let obstacle = match self.check_at_once(&identity, direction) {
            Ok(checked) => return Ok(checked),
            Err(obstacle) => obstacle,
        };
        let (list, asked) = (self.clone(), identity.clone());
        let call = move || list.blocking_check(&asked, direction);
        match self.in_turn(obstacle, call).await {
            Some(checked) => checked,
            None => self.overdue(vec![identity], direction).await.map(|(checked, by)| Checked {
                blocked_by: checked.first().is_some_and(|blocked| *blocked).then(|| self.kind()),
                answered_by: by,
            }),
        }
    }

    /// Checks several people, as [`check`](Self::check) does: some 50 ns per number. The caller bounds the count.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub async fn check_many(
        &self,
        identities: Vec<Identity>,
        direction: Direction,
    ) -> Result<CheckedMany, CheckError> {
        let obstacle = match self.check_many_at_once(&identities, direction) {
            Ok(checked) => return Ok(checked),
            Err(obstacle) => obstacle,
        };
        let identities = Arc::new(identities);
        let (list, asked) = (self.clone(), Arc::clone(&identities));
        let call = move || list.blocking_check_many(&asked, direction);
        match self.in_turn(obstacle, call).await {
            Some(checked) => checked,
            None => {
                let identities = Arc::unwrap_or_clone(identities);
                let (blocked, answered_by) = self.overdue(identities, direction).await?;
                Ok(CheckedMany { blocked, answered_by })
            }
        }
    }

    /// Runs a check on a thread that may block. Returns `None` if it had no turn in time, or had no answer in time.
    pub(super) async fn in_turn<R: Send + 'static>(
        &self,
        obstacle: Obstacle,
        call: impl FnOnce() -> Result<R, CheckError> + Send + 'static,
    ) -> Option<Result<R, CheckError>> {
        let context = &self.tenant.context;
        let deadline = Instant::now() + context.check_patience;
        let lane = self.tenant.lane();
        match obstacle {
            Obstacle::Busy => lane.at_slow_plugin(self.runtime(), &context.slow, deadline, call).await.ok(),
            Obstacle::Disk => {
                let answered = lane.at_disk(self.runtime(), deadline, call).await.ok()?;
                Some(answered.unwrap_or(Err(CheckError::Cancelled)))
            }
        }
    }

    /// The answer of the failure policy, for a plugin that is too busy.
    async fn overdue(
        &self,
        identities: Vec<Identity>,
        direction: Direction,
    ) -> Result<(Vec<bool>, AnsweredBy), CheckError> {
        if let Some(error) = self.not_served() {
            return Err(error.into());
        }
        if let Some(verdict) = policy_verdict(self.on_failure()) {
            return Ok((vec![verdict == Verdict::Block; identities.len()], AnsweredBy::Policy));
        }
        if self.is_closed() {
            return Ok((vec![true; identities.len()], AnsweredBy::Policy));
        }
        let list = self.clone();
        let read = move || -> Result<Vec<bool>, CheckError> {
            let people = list.people(&identities)?;
            let mut blocked = vec![false; identities.len()];
            for (_, consulted) in list.consulted() {
                people.mark(&recorded(consulted, &people.subjects, direction)?, &mut blocked);
            }
            Ok(blocked)
        };
        let deadline = Instant::now() + self.tenant.context.check_patience;
        match self.tenant.lane().at_disk(self.runtime(), deadline, read).await {
            Ok(Some(blocked)) => Ok((blocked?, AnsweredBy::Ledger)),
            Ok(None) => Err(CheckError::Cancelled),
            Err(Overdue) => Err(CheckError::Overdue),
        }
    }

    /// Checks one person. Blocks for a few milliseconds if the list is evicted, for a read of the ledger if the check needs one, and
    /// for the engine's [patience](crate::Builder::check_patience) while others call the plugin, or take the memory that it needs.
    ///
    /// # Errors
    /// See [`CheckError`].
    pub fn blocking_check(&self, identity: &Identity, direction: Direction) -> Result<Checked, CheckError> {
        if self.blocks_all() {
            return Ok(self.blocked_by_policy());
        }
        let Some(person) = self.person(identity)? else {
            if let Some(error) = self.not_served() {
                return Err(error.into());
            }
            if self.is_closed() {
                return Ok(self.blocked_by_policy());
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
        if self.blocks_all() {
            return Ok(self.blocked_by_policy());
        }
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

    /// Checks several people on this thread, some 50 ns per number. Never reads from disk, and never waits for more than 100 µs. The
    /// caller bounds the count.
    ///
    /// # Errors
    /// As for [`try_check`](Self::try_check), and if a plugin failed, whatever the policy.
    pub fn try_check_many(
        &self,
        identities: &[Identity],
        direction: Direction,
    ) -> Result<CheckedMany, NeedsDisk> {
        Ok(self.check_many_at_once(identities, direction)?)
    }

    fn check_many_at_once(
        &self,
        identities: &[Identity],
        direction: Direction,
    ) -> Result<CheckedMany, Obstacle> {
        if self.blocks_all() {
            return Ok(all_blocked(identities.len()));
        }
        let mut people = People::with_capacity(identities.len());
        for (place, identity) in identities.iter().enumerate() {
            let number = identity.number().ok_or(Obstacle::Disk)?;
            people.add(place, &self.permutation().person(number));
        }
        let mut blocked = vec![false; identities.len()];
        for (_, list) in self.consulted() {
            let verdicts = list.try_check_many(&people.subjects, direction).map_err(Obstacle::from)?;
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
        if self.is_closed() {
            return match self.not_served() {
                Some(error) => Err(error.into()),
                None => Ok(all_blocked(identities.len())),
            };
        }
        let people = self.people(identities)?;
        let mut blocked = vec![false; identities.len()];
        let mut answered_by = AnsweredBy::Plugin;
        for (_, list) in self.consulted() {
            let (verdicts, by) = self.verdicts(list, &people.subjects, direction)?;
            answered_by = answered_by.max(by);
            people.mark(&verdicts, &mut blocked);
        }
        Ok(CheckedMany { blocked, answered_by })
    }

    /// The subjects of these people. Reads the ledger for user ids.
    pub(super) fn people(&self, identities: &[Identity]) -> Result<People, LedgerError> {
        let mut people = People::with_capacity(identities.len());
        for (place, identity) in identities.iter().enumerate() {
            // A user id that was never named is on no list.
            if let Some(person) = self.person(identity)? {
                people.add(place, &person);
            }
        }
        Ok(people)
    }

    /// Whether all messages are blocked, because this engine does not know what others have written lately.
    #[inline]
    fn blocks_all(&self) -> bool {
        self.tenant.context.staleness.blocks_all()
    }

    #[cold]
    pub(super) fn blocked_by_policy(&self) -> Checked {
        Checked { blocked_by: Some(self.kind()), answered_by: AnsweredBy::Policy }
    }

    /// The lists that a check consults, in order.
    #[inline]
    pub(super) fn consulted(&self) -> impl Iterator<Item = (ListKind, &Arc<LiveList>)> {
        let wide = self.wide.as_ref().map(|wide| (ListKind::Tenant, wide));
        std::iter::once((self.kind(), &self.own)).chain(wide)
    }

    #[cold]
    pub(super) fn on_failure(&self) -> OnFailure {
        self.tenant.members.load().as_ref().map_or(OnFailure::Closed, |members| members.spec.on_failure)
    }

    /// The verdict of the failure policy for a list; `None` if it asks the ledger.
    #[cold]
    fn policy_verdict(&self, list: &LiveList) -> Option<Verdict> {
        // The ledger would answer as if nobody had opted out since the copy was made.
        policy_verdict(self.on_failure()).or_else(|| list.is_behind().then_some(Verdict::Block))
    }

    /// Whether everybody is blocked: because this engine does not know what others have written lately, or because the ledger lacks
    /// changes of a list that is consulted, unless the tenant's policy is to let messages pass.
    pub(super) fn is_closed(&self) -> bool {
        self.blocks_all()
            || self.consulted().any(|(_, list)| list.is_behind()) && self.on_failure() != OnFailure::Open
    }

    pub(super) fn verdicts(
        &self,
        list: &Arc<LiveList>,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<(Vec<Verdict>, AnsweredBy), CheckError> {
        match list.check_many(subjects, direction, self.tenant.context.check_patience) {
            Ok(verdicts) => return Ok((verdicts, AnsweredBy::Plugin)),
            // Without a cause it is detached by a close that is about to end.
            Err(NoVerdict::Detached) => return Err(self.not_served().unwrap_or(NotServed::Closed).into()),
            Err(NoVerdict::Failed | NoVerdict::Evicted | NoVerdict::Busy) => {}
        }
        if let Some(verdict) = self.policy_verdict(list) {
            return Ok((vec![verdict; subjects.len()], AnsweredBy::Policy));
        }
        Ok((recorded(list, subjects, direction)?, AnsweredBy::Ledger))
    }
}

#[cold]
fn all_blocked(count: usize) -> CheckedMany {
    CheckedMany { blocked: vec![true; count], answered_by: AnsweredBy::Policy }
}

/// The verdicts by the entries in the ledger. Blocks.
pub(super) fn recorded(
    list: &LiveList,
    subjects: &[Subject],
    direction: Direction,
) -> Result<Vec<Verdict>, LedgerError> {
    let verdict = |directions: Directions| match directions.covers(direction) {
        true => Verdict::Block,
        false => Verdict::Allow,
    };
    list.check_ledger()?;
    Ok(list.list().directions(subjects)?.into_iter().map(verdict).collect())
}

impl From<NoVerdict> for Obstacle {
    fn from(why: NoVerdict) -> Self {
        match why {
            NoVerdict::Busy => Obstacle::Busy,
            NoVerdict::Failed | NoVerdict::Evicted | NoVerdict::Detached => Obstacle::Disk,
        }
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
pub(super) struct People {
    pub(super) subjects: Vec<Subject>,
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
    pub(super) fn mark(&self, verdicts: &[Verdict], blocked: &mut [bool]) {
        for (&place, verdict) in self.places.iter().zip(verdicts) {
            blocked[place] |= *verdict == Verdict::Block;
        }
    }
}
