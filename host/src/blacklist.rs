//! A blacklist whose generation can be swapped without interrupting checks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis_msisdn::{Direction, Subject};

use crate::call_error::{CallError, TryCheckError};
use crate::contract::Verdict;
use crate::fill::FillError;
use crate::generation::Generation;
use crate::shadow::Shadow;
use crate::source::EntrySource;

/// A blacklist: the generation that currently serves checks, and the means to swap it.
///
/// Checks never wait for a swap: they use the old generation until the new one is in place.
pub struct Blacklist {
    active: ArcSwap<Active>,
    /// Held while the list is brought up to date. A write is acknowledged only afterwards, so no write can be
    /// acknowledged between a new generation's final catch-up and the moment it starts to serve.
    writing: Mutex<()>,
}

/// What serves checks. Immutable: a swap replaces it as a whole.
struct Active {
    serving: Arc<Generation>,
    /// The shadow run that observes checks, if there is one.
    shadow: Option<Arc<Shadow>>,
}

impl Active {
    #[inline]
    fn observe(&self, subjects: &[Subject], direction: Direction, verdicts: &[Verdict]) {
        if let Some(shadow) = &self.shadow {
            shadow.observe(subjects, direction, verdicts);
        }
    }
}

impl Blacklist {
    /// Creates a blacklist served by `generation`.
    pub fn new(generation: Generation) -> Self {
        let active = Active { serving: Arc::new(generation), shadow: None };
        Blacklist { active: ArcSwap::from_pointee(active), writing: Mutex::new(()) }
    }

    /// Checks whether a message to or from `subject` may pass. About 150 ns with the default plugin at 64,000 entries.
    ///
    /// Waits for an instance of the plugin, for up to as long as its limits allow a call. On a thread that others wait
    /// for, such as one of an async runtime, use [`try_check`](Self::try_check).
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`]. The caller's policy decides what happens to the message.
    #[inline]
    pub fn check(&self, subject: Subject, direction: Direction) -> Result<Verdict, CallError> {
        let front = self.active.load();
        let verdict = front.serving.check(subject, direction)?;
        front.observe(&[subject], direction, &[verdict]);
        Ok(verdict)
    }

    /// Like [`check`](Self::check), but waits for at most 100 µs.
    ///
    /// # Errors
    ///
    /// [`TryCheckError::Busy`] if the plugin is slow or busy: ask again with [`check`](Self::check), on a thread that may
    /// wait. Otherwise as [`check`](Self::check).
    #[inline]
    pub fn try_check(&self, subject: Subject, direction: Direction) -> Result<Verdict, TryCheckError> {
        let front = self.active.load();
        let verdict = front.serving.try_check(subject, direction)?;
        front.observe(&[subject], direction, &[verdict]);
        Ok(verdict)
    }

    /// Like [`check_many`](Self::check_many), but waits for at most 100 µs.
    ///
    /// # Errors
    ///
    /// As [`try_check`](Self::try_check).
    pub fn try_check_many(
        &self,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, TryCheckError> {
        let front = self.active.load_full();
        let verdicts = front.serving.try_check_many(subjects, direction)?;
        front.observe(subjects, direction, &verdicts);
        Ok(verdicts)
    }

    /// Checks many subjects in one direction. Returns one verdict per subject, in order.
    ///
    /// # Errors
    ///
    /// As [`Blacklist::check`].
    pub fn check_many(&self, subjects: &[Subject], direction: Direction) -> Result<Vec<Verdict>, CallError> {
        let front = self.active.load_full();
        let verdicts = front.serving.check_many(subjects, direction)?;
        front.observe(subjects, direction, &verdicts);
        Ok(verdicts)
    }

    /// Like [`check_many`](Self::check_many), but waits for an instance for at most `patience`.
    ///
    /// # Errors
    ///
    /// [`TryCheckError::Busy`] if the plugin is busy for that long; otherwise as [`check`](Self::check).
    pub fn check_many_within(
        &self,
        patience: Duration,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, TryCheckError> {
        let front = self.active.load_full();
        let verdicts = front.serving.check_many_within(patience, subjects, direction)?;
        front.observe(subjects, direction, &verdicts);
        Ok(verdicts)
    }

    /// Applies everything that changed in `source`, and returns the sequence number reached.
    ///
    /// Call this after each write to the source and before acknowledging the write: the next check then sees it.
    ///
    /// # Errors
    ///
    /// [`FillError`]; the generation may then be stale, or out of service, until it is replaced.
    pub fn catch_up(&self, source: &dyn EntrySource) -> Result<u64, FillError> {
        let _writing = self.writing();
        self.active.load_full().serving.catch_up(source)
    }

    /// Replaces the serving generation with `next`, and returns the old one.
    ///
    /// `next` first catches up with `source`, and its entry count is verified. An active shadow run ends, because the
    /// generation it observed no longer serves.
    ///
    /// Drop the returned generation away from the message path: freeing a long list takes milliseconds.
    ///
    /// # Errors
    ///
    /// [`FillError`]; the old generation then keeps serving.
    pub fn replace(
        &self,
        next: Arc<Generation>,
        source: &dyn EntrySource,
    ) -> Result<Arc<Generation>, FillError> {
        let _writing = self.writing();
        // No write is acknowledged meanwhile, so the count is exact unless the source is ahead of the acknowledgements.
        next.uncharged(|| next.prove_count(source))?;
        let before = self.active.swap(Arc::new(Active { serving: next, shadow: None }));
        Ok(Arc::clone(&before.serving))
    }

    /// Returns the generation that currently serves checks.
    pub fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.active.load().serving)
    }

    /// Whether a shadow run is observing checks.
    pub fn is_shadowed(&self) -> bool {
        self.active.load().shadow.is_some()
    }

    /// Makes `shadow` the only observer of checks.
    pub(crate) fn set_shadow(&self, shadow: Arc<Shadow>) {
        self.put_shadow(&self.writing(), Some(shadow));
    }

    fn put_shadow(&self, _: &MutexGuard<'_, ()>, shadow: Option<Arc<Shadow>>) {
        let serving = self.generation();
        self.active.store(Arc::new(Active { serving, shadow }));
    }

    /// Ends the shadow run that `shadow` belongs to, unless a newer run has replaced it.
    pub(crate) fn end_shadow(&self, shadow: &Arc<Shadow>) {
        let writing = self.writing();
        let is_its = self.active.load().shadow.as_ref().is_some_and(|there| Arc::ptr_eq(there, shadow));
        if is_its {
            self.put_shadow(&writing, None);
        }
    }

    /// Calls `compare` while writes are blocked, so that two generations can be compared at the same sequence number.
    pub(crate) fn with_writes_blocked<R>(&self, compare: impl FnOnce(&Generation) -> R) -> R {
        let _writing = self.writing();
        compare(&self.generation())
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        // The mutex guards no data, so poisoning is harmless.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Blacklist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Blacklist").field(&self.generation()).finish()
    }
}
