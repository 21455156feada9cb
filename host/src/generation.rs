//! A generation: one plugin, instantiated and filled, that serves a blacklist.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use portcullis_msisdn::{Direction, Directions, Permutation, Subject};

use crate::call_error::{CallError, TryCheckError};
use crate::contract::{Entry, Outcome, Page, Settings, Verdict};
use crate::fill::FillError;
use crate::instance::Instance;
use crate::memory::MemoryAccount;
use crate::pace::{INSTANT, Pace};
use crate::plugin::Plugin;
use crate::priority::at_low_priority;
use crate::replica::{Replica, call_any, retire_idle, try_call_any};
use crate::source::{Change, EntrySource};

/// What a generation is created from.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The plugin.
    pub plugin: Plugin,
    /// The settings that each instance is configured with.
    pub settings: Settings,
    /// The tenant's memory account.
    pub account: Arc<MemoryAccount>,
    /// The tenant's permutation, if the tenant grants phone numbers in the clear.
    pub numbers: Option<Permutation>,
    /// The number of instances, which is also the number of threads that can check concurrently. Each instance holds
    /// the whole list in memory, and each write goes to all of them.
    pub replicas: NonZeroUsize,
    /// Whether the plugin is fast. The tenant's lists, and their next generations of the same plugin, should share one.
    pub pace: Arc<Pace>,
}

impl Recipe {
    /// A single instance of `plugin`, with no options and no access to phone numbers in the clear. Whether the plugin is
    /// fast is found out anew, and known to clones of this recipe.
    pub fn new(plugin: Plugin, account: Arc<MemoryAccount>) -> Self {
        let (settings, replicas) = (Settings::default(), NonZeroUsize::MIN);
        Recipe { plugin, settings, account, numbers: None, replicas, pace: Arc::default() }
    }
}

/// One plugin, instantiated and filled, that serves a blacklist.
///
/// Its instances (one, or as many replicas as the recipe says) hold the same list. An instance that fails is discarded
/// and the others keep serving: see [`is_whole`](Self::is_whole).
pub struct Generation {
    recipe: Recipe,
    replicas: Box<[Replica<Instance>]>,
    /// The change that the list has been brought up to. Advances when the last instance has applied it.
    sequence: AtomicU64,
    /// Serializes writers. All instances must apply concurrent writes of an entry in the same order, and a stale read
    /// of the source must not be applied after a newer one.
    writing: Mutex<()>,
}

/// Entries per step of a long write. Checks can run between steps; one takes tens of microseconds.
pub(crate) const STEP: usize = 256;
/// Entries in the first step of a catch-up. Each step is up to four times as long as the one before, so that a slow plugin
/// is known before it has computed for long.
const FIRST_STEP: usize = 16;

impl Generation {
    /// Creates a generation with an empty list.
    ///
    /// # Errors
    ///
    /// Those of [`Plugin::instantiate`].
    pub fn empty(recipe: Recipe) -> Result<Self, CallError> {
        let Recipe { plugin, settings, account, numbers, replicas, pace } = &recipe;
        let replicas = (0..replicas.get())
            .map(|_| {
                let mut instance = plugin.instantiate(settings, account, numbers.as_ref())?;
                instance.charge_to(pace);
                Ok(Replica::new(instance))
            })
            .collect::<Result<_, CallError>>()?;
        Ok(Generation { recipe, replicas, sequence: AtomicU64::new(0), writing: Mutex::new(()) })
    }

    /// Creates a generation that is out of service: every call fails with [`CallError::OutOfService`].
    pub fn without_instances(recipe: Recipe) -> Self {
        Generation { recipe, replicas: Box::default(), sequence: AtomicU64::new(0), writing: Mutex::new(()) }
    }

    /// Applies the changes in `source` since this generation's sequence number, and returns the sequence number
    /// reached.
    ///
    /// An instance that fails is lost. That is not an error as long as another instance succeeds.
    ///
    /// A plugin that [is slow](Self::is_slow), or proves to be on the way, goes on with
    /// [low priority](crate::at_low_priority), so that writes to it don't slow down checks of others.
    ///
    /// # Errors
    ///
    /// [`FillError`]; the sequence number stays at the last step that succeeded, and the call can be repeated.
    pub fn catch_up(&self, source: &dyn EntrySource) -> Result<u64, FillError> {
        self.catch_up_held(source).map(|(sequence, _)| sequence)
    }

    /// Like [`catch_up`](Self::catch_up), but the list stays at that sequence number until the guard is dropped.
    pub(crate) fn catch_up_held(
        &self,
        source: &dyn EntrySource,
    ) -> Result<(u64, MutexGuard<'_, ()>), FillError> {
        let writing = self.writing.lock();
        let mut step = FIRST_STEP;
        loop {
            let sequence = self.sequence();
            let changes = source.changes_since(sequence, step).map_err(FillError::Source)?;
            let Some(last) = changes.last() else { return Ok((sequence, writing)) };
            // Asked anew at each step, also because other lists of this plugin may have shown it.
            match self.is_slow() {
                true => at_low_priority(|| self.apply(&changes))?,
                false => self.apply(&changes)?,
            }
            self.set_sequence(last.sequence);
            if changes.len() < step {
                return Ok((last.sequence, writing));
            }
            step = (4 * step).min(STEP);
        }
    }

    fn apply(&self, changes: &[Change]) -> Result<(), FillError> {
        // A change states what the entry is now. Blocking comes first so that a direction that stays blocked is never
        // open in between, and both calls are one step so that no check sees half of a change.
        let entries = |directions: fn(&Change) -> Directions| -> Vec<Entry> {
            changes
                .iter()
                .map(|change| Entry { subject: change.subject, directions: directions(change) })
                .filter(|entry| !entry.directions.is_none())
                .collect()
        };
        let blocked = entries(|change| change.directions);
        let lifted = entries(|change| !change.directions);
        self.each(|instance| {
            let mut outcomes = instance.block(&blocked)?;
            outcomes.extend(instance.unblock(&lifted)?);
            Ok(outcomes)
        })?
        .into_iter()
        .try_for_each(all_taken)
    }

    /// Calls each instance, and returns the results of those that are not lost: at least one. If an instance refuses,
    /// the whole call fails, because that instance stays in service and would now differ from the others.
    pub(crate) fn each<R>(
        &self,
        mut call: impl FnMut(&mut Instance) -> Result<R, CallError>,
    ) -> Result<Vec<R>, CallError> {
        let (mut answers, mut fault) = (Vec::with_capacity(self.replicas.len()), CallError::OutOfService);
        for replica in &self.replicas {
            match replica.step(&mut call) {
                Ok(answer) => answers.push(answer),
                // Report what failed in this call, not that an instance was lost earlier.
                Err(CallError::OutOfService) => {}
                Err(refusal @ CallError::Refused(_)) => return Err(refusal),
                Err(error) => fault = error,
            }
        }
        if answers.is_empty() { Err(fault) } else { Ok(answers) }
    }

    /// The sequence number of the last change that the plugin has applied.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    pub(crate) fn set_sequence(&self, sequence: u64) {
        self.sequence.store(sequence, Ordering::Release);
    }

    /// The recipe that this generation was created from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Whether all instances are in service. If one was lost to a fault, create a new generation; this one keeps
    /// serving as long as it has an instance left.
    pub fn is_whole(&self) -> bool {
        self.left() == self.replicas.len()
    }

    /// The number of instances that are in service.
    pub fn left(&self) -> usize {
        self.replicas.iter().filter(|replica| !replica.is_lost()).count()
    }

    /// Drops all instances and releases their memory, for a generation that can no longer be trusted. Later calls fail
    /// with [`CallError::OutOfService`]. Waits for calls in progress.
    pub fn retire(&self) {
        self.replicas.iter().for_each(Replica::retire);
    }

    /// Like [`retire`](Self::retire), but does nothing and returns `false` if an instance is being called. Never waits.
    pub fn retire_if_idle(&self) -> bool {
        retire_idle(&self.replicas)
    }

    /// Whether the plugin's recent calls took so much CPU time that it must not be called on a thread that others wait
    /// for: more than 5 ms beyond what a fast plugin needs, of which 1 % of the time since is forgiven. The calls of all
    /// generations count whose recipes share a [pace](Recipe::pace), except for those that fill and verify them.
    #[inline]
    pub fn is_slow(&self) -> bool {
        self.recipe.pace.is_slow()
    }

    /// Sets whether what calls cost says something about the pace of the plugin. Filling does not: nobody waits for it.
    pub(crate) fn set_charged(&self, is_charged: bool) {
        let nobody_s = Arc::default();
        let pace = if is_charged { &self.recipe.pace } else { &nobody_s };
        for replica in &self.replicas {
            // One that is lost makes no calls.
            let _ = replica.call(|instance| {
                instance.charge_to(pace);
                Ok(())
            });
        }
    }

    /// Calls the plugin without charging what that costs.
    pub(crate) fn uncharged<R>(&self, calls: impl FnOnce() -> R) -> R {
        self.set_charged(false);
        let done = calls();
        self.set_charged(true);
        done
    }

    /// Like [`check`](Self::check), but for threads that must not be held up: waits for an instance for at most 100 µs.
    ///
    /// # Errors
    ///
    /// [`TryCheckError::Busy`] if all instances are busy, or the plugin [is slow](Self::is_slow); otherwise as
    /// [`check`](Self::check).
    #[inline]
    pub fn try_check(&self, subject: Subject, direction: Direction) -> Result<Verdict, TryCheckError> {
        if self.is_slow() {
            return Err(TryCheckError::Busy);
        }
        self.call_within(INSTANT, |instance| instance.check(subject, direction))
    }

    /// Like [`check_many`](Self::check_many), but for threads that must not be held up, as [`try_check`](Self::try_check).
    ///
    /// # Errors
    ///
    /// As [`try_check`](Self::try_check).
    pub fn try_check_many(
        &self,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, TryCheckError> {
        if self.is_slow() {
            return Err(TryCheckError::Busy);
        }
        self.call_within(INSTANT, |instance| instance.check_many(subjects, direction))
    }

    /// Like [`check_many`](Self::check_many), but waits for an instance for at most `patience`, whether the plugin is slow
    /// or not.
    ///
    /// # Errors
    ///
    /// [`TryCheckError::Busy`] if all instances are busy for that long; otherwise as [`check`](Self::check).
    pub fn check_many_within(
        &self,
        patience: Duration,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, TryCheckError> {
        self.call_within(patience, |instance| instance.check_many(subjects, direction))
    }

    #[inline]
    fn call_within<R>(
        &self,
        patience: Duration,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
    ) -> Result<R, TryCheckError> {
        match try_call_any(&self.replicas, patience, call) {
            Some(answer) => answer.map_err(TryCheckError::Failed),
            None => Err(TryCheckError::Busy),
        }
    }

    /// Checks whether a message to or from `subject` may pass. Waits for an instance, which may take as long as the calls
    /// that others make.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    #[inline]
    pub fn check(&self, subject: Subject, direction: Direction) -> Result<Verdict, CallError> {
        call_any(&self.replicas, |instance| instance.check(subject, direction))
    }

    /// Checks many subjects in one direction. Returns one verdict per subject, in order.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    pub fn check_many(&self, subjects: &[Subject], direction: Direction) -> Result<Vec<Verdict>, CallError> {
        call_any(&self.replicas, |instance| instance.check_many(subjects, direction))
    }

    /// Blocks entries, for callers without an entry source. Returns one outcome per entry, in order.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    pub fn block(&self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.write(entries, Instance::block)
    }

    /// Unblocks entries. Returns one outcome per entry, in order.
    ///
    /// # Errors
    ///
    /// Those of [`Generation::block`].
    pub fn unblock(&self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.write(entries, Instance::unblock)
    }

    fn write(
        &self,
        entries: &[Entry],
        call: fn(&mut Instance, &[Entry]) -> Result<Vec<Outcome>, CallError>,
    ) -> Result<Vec<Outcome>, CallError> {
        let _writing = self.writing.lock();
        let mut outcomes = Vec::with_capacity(entries.len());
        for step in entries.chunks(STEP) {
            outcomes.extend(self.each(|instance| call(instance, step))?.swap_remove(0));
        }
        Ok(outcomes)
    }

    /// Lists at most `limit` entries after `after`. `limit` is clamped to 1 to [`BATCH`](crate::BATCH).
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    pub fn list(&self, after: Option<Subject>, limit: usize) -> Result<Page, CallError> {
        call_any(&self.replicas, |instance| instance.list(after, limit))
    }

    /// The number of entries that the plugin reports.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`].
    pub fn count(&self) -> Result<u64, CallError> {
        call_any(&self.replicas, Instance::count)
    }

    /// The first instance that is in service.
    pub(crate) fn one(&self) -> Result<&Replica<Instance>, CallError> {
        self.replicas.iter().find(|replica| !replica.is_lost()).ok_or(CallError::OutOfService)
    }

    /// The linear memory and tables of all instances, in bytes. Never waits.
    pub fn memory_bytes(&self) -> u64 {
        self.replicas.iter().map(Replica::memory_bytes).sum()
    }
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation")
            .field("plugin", &self.recipe.plugin)
            .field("sequence", &self.sequence())
            .finish_non_exhaustive()
    }
}

/// Fails if any entry was refused: a plugin that rejects an entry in force would break an opt-out.
pub(crate) fn all_taken(outcomes: Vec<Outcome>) -> Result<(), FillError> {
    outcomes.into_iter().try_for_each(|outcome| match outcome {
        Outcome::Refused(why) => Err(FillError::EntryRefused { why }),
        Outcome::Changed | Outcome::Unchanged => Ok(()),
    })
}
