//! One plugin, instantiated and filled, behind one blacklist.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};
use portcullis_msisdn::{Direction, Directions, Permutation, Subject};

use crate::contract::{Entry, Outcome, Page, Settings, Verdict};
use crate::fault::CallError;
use crate::fill::FillError;
use crate::instance::Instance;
use crate::memory::MemoryAccount;
use crate::plugin::Plugin;
use crate::replica::{Replica, call_any, retire_idle};
use crate::source::{Change, EntrySource};

/// What a generation is made of.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The plugin.
    pub plugin: Plugin,
    /// What it is configured with.
    pub settings: Settings,
    /// The tenant's account of memory.
    pub account: Arc<MemoryAccount>,
    /// The tenant's permutation, where the tenant grants numbers in clear.
    pub numbers: Option<Permutation>,
    /// How many instances share the checks: as many threads check at once without waiting for each other. Each takes the
    /// memory of the whole list, and each write goes to all.
    pub replicas: NonZeroUsize,
}

impl Recipe {
    /// One instance of `plugin`, without options, and without numbers in clear.
    pub fn new(plugin: Plugin, account: Arc<MemoryAccount>) -> Self {
        Recipe { plugin, settings: Settings::default(), account, numbers: None, replicas: NonZeroUsize::MIN }
    }
}

/// One plugin, instantiated and filled, behind one blacklist.
///
/// Its instances (one, or as many replicas as the recipe says) hold the same list. One that fails is thrown away, and the
/// others go on: see [`is_whole`](Self::is_whole).
pub struct Generation {
    recipe: Recipe,
    replicas: Box<[Replica]>,
    /// The change up to which the list is in all instances. Advances when the last of them has it.
    sequence: AtomicU64,
    /// Held by whoever writes: of two writes of one entry, all instances must take the same one last, and the older of two
    /// looks at a source must not be the one that is applied last.
    writing: Mutex<()>,
}

/// Of a long write, an instance takes this many entries at a time, and checks go in between: some tens of microseconds each.
pub(crate) const STEP: usize = 256;

impl Generation {
    /// A generation with an empty list.
    ///
    /// # Errors
    ///
    /// As [`Plugin::instantiate`].
    pub fn empty(recipe: Recipe) -> Result<Self, CallError> {
        let Recipe { plugin, settings, account, numbers, replicas } = &recipe;
        let replicas = (0..replicas.get())
            .map(|_| plugin.instantiate(settings, account, numbers.as_ref()).map(Replica::new))
            .collect::<Result<_, _>>()?;
        Ok(Generation { recipe, replicas, sequence: AtomicU64::new(0), writing: Mutex::new(()) })
    }

    /// Applies what changed in `source` since this generation's sequence; afterwards that is the source's.
    ///
    /// An instance that fails on the way is lost; while there is another one that does not, that is no error.
    ///
    /// # Errors
    ///
    /// [`FillError`]; the sequence stays where it got to, and repeating is harmless.
    pub fn catch_up(&self, source: &dyn EntrySource) -> Result<u64, FillError> {
        self.catch_up_held(source).map(|(sequence, _)| sequence)
    }

    /// As [`catch_up`](Self::catch_up), and the list stays at that sequence until the guard is dropped.
    pub(crate) fn catch_up_held(
        &self,
        source: &dyn EntrySource,
    ) -> Result<(u64, MutexGuard<'_, ()>), FillError> {
        let writing = self.writing.lock();
        loop {
            let sequence = self.sequence();
            let changes = source.changes_since(sequence, STEP).map_err(FillError::Source)?;
            let Some(last) = changes.last() else { return Ok((sequence, writing)) };
            self.apply(&changes)?;
            self.set_sequence(last.sequence);
        }
    }

    fn apply(&self, changes: &[Change]) -> Result<(), FillError> {
        // A change says what the entry is now. Blocking comes first, so that a direction which stays is never open in between;
        // and both happen in one step, so that no check sees the half of it.
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

    /// Calls each instance, and returns the answers of those that are not lost: at least one. Where one refuses, none counts:
    /// it is there, and would answer otherwise than the others.
    pub(crate) fn each<R>(
        &self,
        mut call: impl FnMut(&mut Instance) -> Result<R, CallError>,
    ) -> Result<Vec<R>, CallError> {
        let (mut answers, mut fault) = (Vec::with_capacity(self.replicas.len()), CallError::OutOfService);
        for replica in &self.replicas {
            match replica.step(&mut call) {
                Ok(answer) => answers.push(answer),
                // What is told is what went wrong now, rather than that something did earlier.
                Err(CallError::OutOfService) => {}
                Err(refusal @ CallError::Refused(_)) => return Err(refusal),
                Err(error) => fault = error,
            }
        }
        if answers.is_empty() { Err(fault) } else { Ok(answers) }
    }

    /// The change up to which the list is in the plugin.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    pub(crate) fn set_sequence(&self, sequence: u64) {
        self.sequence.store(sequence, Ordering::Release);
    }

    /// What it is made of.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Whether all of its instances are there. One that is not was lost to a fault: whoever answers for the list should have
    /// another generation made, which this one bridges as long as it has an instance left.
    pub fn is_whole(&self) -> bool {
        self.left() == self.replicas.len()
    }

    /// How many of its instances are there.
    pub fn left(&self) -> usize {
        self.replicas.iter().filter(|replica| !replica.is_lost()).count()
    }

    /// Throws all of its instances away, so that their memory is the tenant's again: for a generation that can't be trusted any more. Each
    /// further call says that it is out of service.
    pub fn retire(&self) {
        self.replicas.iter().for_each(Replica::retire);
    }

    /// As [`retire`](Self::retire), unless one of its instances is being called just now: then nothing happens. Waits for nobody.
    pub fn retire_if_idle(&self) -> bool {
        retire_idle(&self.replicas)
    }

    /// Whether a message of `subject` in `direction` may pass.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    #[inline]
    pub fn check(&self, subject: Subject, direction: Direction) -> Result<Verdict, CallError> {
        call_any(&self.replicas, |instance| instance.check(subject, direction))
    }

    /// Whether messages of many subjects may pass: a verdict each, in order.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn check_many(&self, subjects: &[Subject], direction: Direction) -> Result<Vec<Verdict>, CallError> {
        call_any(&self.replicas, |instance| instance.check_many(subjects, direction))
    }

    /// Adds directions to entries, for whoever keeps no record besides the plugin: an outcome each, in order.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn block(&self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.write(entries, Instance::block)
    }

    /// Takes directions away from entries: an outcome each, in order.
    ///
    /// # Errors
    ///
    /// As [`Generation::block`].
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

    /// The entries after `after`, at most `limit`, which is held to 1 to [`BATCH`](crate::BATCH).
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn list(&self, after: Option<Subject>, limit: usize) -> Result<Page, CallError> {
        call_any(&self.replicas, |instance| instance.list(after, limit))
    }

    /// The number of entries that the plugin counts.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn count(&self) -> Result<u64, CallError> {
        call_any(&self.replicas, Instance::count)
    }

    /// The first instance that is not lost.
    pub(crate) fn one(&self) -> Result<&Replica, CallError> {
        self.replicas.iter().find(|replica| !replica.is_lost()).ok_or(CallError::OutOfService)
    }

    /// The linear memory and tables of this generation, in bytes: of all its instances. Waits for nobody.
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

/// An entry in force that a plugin refuses would be an opt-out broken: so one refusal fails the whole.
pub(crate) fn all_taken(outcomes: Vec<Outcome>) -> Result<(), FillError> {
    outcomes.into_iter().try_for_each(|outcome| match outcome {
        Outcome::Refused(why) => Err(FillError::EntryRefused { why }),
        Outcome::Changed | Outcome::Unchanged => Ok(()),
    })
}
