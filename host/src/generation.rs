//! One plugin, instantiated and filled, behind one blacklist.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_msisdn::{Direction, Directions, Permutation, Subject};

use crate::contract::{Entry, Outcome, Page, Settings, Verdict};
use crate::fault::CallError;
use crate::instance::{BATCH, Instance};
use crate::memory::MemoryAccount;
use crate::plugin::Plugin;
use crate::source::{Change, EntrySource, SourceError};

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
}

/// Why a generation can't be filled, or brought up to date.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// The plugin failed.
    #[error(transparent)]
    Plugin(#[from] CallError),
    /// The record of entries can't be read.
    #[error("the entries to fill the plugin with can't be read")]
    Source(#[source] SourceError),
    /// The plugin does not take an entry that is in force.
    #[error("the plugin does not take an entry: {why}")]
    EntryRefused {
        /// In the plugin's words.
        why: String,
    },
    /// The plugin does not hold what it was given.
    #[error("the plugin was given {given} entries and counts {counted}")]
    Miscounted {
        /// How many entries it was filled with.
        given: u64,
        /// How many it says it has.
        counted: u64,
    },
    /// The plugin lets through what it was told to block.
    #[error("the plugin was given {sampled} sample entries, and lets {forgotten} of them through")]
    Forgotten {
        /// How many entries were tried.
        sampled: usize,
        /// How many of them it does not block.
        forgotten: usize,
    },
}

/// One plugin, instantiated and filled, behind one blacklist.
pub struct Generation {
    recipe: Recipe,
    instance: Mutex<Instance>,
    /// The change up to which the list is in the instance. Advances under the instance's lock.
    sequence: AtomicU64,
}

/// Of each page of members that a generation is filled with, this many are tried afterwards.
const SAMPLE: usize = 16;

impl Generation {
    /// A generation with an empty list.
    ///
    /// # Errors
    ///
    /// As [`Plugin::instantiate`].
    pub fn empty(recipe: Recipe) -> Result<Self, CallError> {
        let Recipe { plugin, settings, account, numbers } = &recipe;
        let instance = plugin.instantiate(settings, account, numbers.as_ref())?;
        Ok(Generation { recipe, instance: Mutex::new(instance), sequence: AtomicU64::new(0) })
    }

    /// A generation that holds what `source` holds: filled, caught up, counted, and tried on a sample.
    ///
    /// Takes about a microsecond an entry with the default plugin, besides what the source needs.
    ///
    /// # Errors
    ///
    /// [`FillError`] says whether the plugin or the source failed, or how the plugin lies.
    pub fn filled(recipe: Recipe, source: &dyn EntrySource) -> Result<Self, FillError> {
        let generation = Self::empty(recipe)?;
        let start = source.sequence().map_err(FillError::Source)?;
        let (mut after, mut given, mut sample) = (None, 0, Vec::new());
        loop {
            let members = source.members(after, BATCH).map_err(FillError::Source)?;
            let Some(last) = members.last() else { break };
            after = Some(last.subject);
            given += members.len() as u64;
            sample.extend(members.iter().step_by(members.len().div_ceil(SAMPLE)));
            refusal(generation.lock().block(&members)?)?;
        }
        generation.prove(given, &sample)?;
        generation.sequence.store(start, Ordering::Release);
        generation.catch_up(source)?;
        Ok(generation)
    }

    fn prove(&self, given: u64, sample: &[Entry]) -> Result<(), FillError> {
        let mut instance = self.lock();
        let counted = instance.count()?;
        if counted != given {
            return Err(FillError::Miscounted { given, counted });
        }
        let mut forgotten = 0;
        for direction in [Direction::Inbound, Direction::Outbound] {
            let covered: Vec<Subject> = sample
                .iter()
                .filter(|entry| entry.directions.covers(direction))
                .map(|entry| entry.subject)
                .collect();
            let verdicts = instance.check_many(&covered, direction)?;
            forgotten += verdicts.iter().filter(|&&verdict| verdict == Verdict::Allow).count();
        }
        if forgotten > 0 {
            return Err(FillError::Forgotten { sampled: sample.len(), forgotten });
        }
        Ok(())
    }

    /// Applies what changed in `source` since this generation's sequence; afterwards that is the source's.
    ///
    /// # Errors
    ///
    /// [`FillError`]; the sequence stays where it got to, and repeating is harmless.
    pub fn catch_up(&self, source: &dyn EntrySource) -> Result<u64, FillError> {
        loop {
            let sequence = self.sequence();
            let changes = source.changes_since(sequence, BATCH).map_err(FillError::Source)?;
            if changes.is_empty() {
                return Ok(sequence);
            }
            self.apply(&changes)?;
        }
    }

    fn apply(&self, changes: &[Change]) -> Result<(), FillError> {
        // A change says what the entry is now. Blocking comes first, so that a direction which stays is never open in between;
        // and both happen under one lock, so that no check sees the half of it.
        let entries = |directions: fn(&Change) -> Directions| -> Vec<Entry> {
            changes
                .iter()
                .map(|change| Entry { subject: change.subject, directions: directions(change) })
                .filter(|entry| !entry.directions.is_none())
                .collect()
        };
        let mut instance = self.lock();
        refusal(instance.block(&entries(|change| change.directions))?)?;
        refusal(instance.unblock(&entries(|change| !change.directions))?)?;
        if let Some(last) = changes.last() {
            self.sequence.store(last.sequence, Ordering::Release);
        }
        Ok(())
    }

    /// The change up to which the list is in the plugin.
    pub fn sequence(&self) -> u64 {
        self.sequence.load(Ordering::Acquire)
    }

    /// What it is made of.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Whether a message of `subject` in `direction` may pass.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    #[inline]
    pub fn check(&self, subject: Subject, direction: Direction) -> Result<Verdict, CallError> {
        self.lock().check(subject, direction)
    }

    /// Whether messages of many subjects may pass: a verdict each, in order.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn check_many(&self, subjects: &[Subject], direction: Direction) -> Result<Vec<Verdict>, CallError> {
        self.lock().check_many(subjects, direction)
    }

    /// Adds directions to entries, for whoever keeps no record besides the plugin: an outcome each, in order.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn block(&self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.lock().block(entries)
    }

    /// Takes directions away from entries: an outcome each, in order.
    ///
    /// # Errors
    ///
    /// As [`Generation::block`].
    pub fn unblock(&self, entries: &[Entry]) -> Result<Vec<Outcome>, CallError> {
        self.lock().unblock(entries)
    }

    /// The entries after `after`, at most `limit`, which is held to 1 to [`BATCH`].
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn list(&self, after: Option<Subject>, limit: usize) -> Result<Page, CallError> {
        self.lock().list(after, limit)
    }

    /// The number of entries that the plugin counts.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal.
    pub fn count(&self) -> Result<u64, CallError> {
        self.lock().count()
    }

    /// The linear memory and tables of this generation, in bytes.
    pub fn memory_bytes(&self) -> u64 {
        self.lock().memory_bytes()
    }

    /// An instance that a panic left locked is as good as before: each call of it either ends or marks it spent.
    fn lock(&self) -> MutexGuard<'_, Instance> {
        self.instance.lock().unwrap_or_else(PoisonError::into_inner)
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
fn refusal(outcomes: Vec<Outcome>) -> Result<(), FillError> {
    outcomes.into_iter().try_for_each(|outcome| match outcome {
        Outcome::Refused(why) => Err(FillError::EntryRefused { why }),
        Outcome::Changed | Outcome::Unchanged => Ok(()),
    })
}
