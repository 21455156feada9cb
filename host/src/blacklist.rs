//! A blacklist whose generation can be exchanged while it answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use portcullis_msisdn::{Direction, Subject};

use crate::contract::Verdict;
use crate::fault::CallError;
use crate::fill::FillError;
use crate::generation::Generation;
use crate::shadow::Shadow;
use crate::source::EntrySource;

/// A blacklist: the generation that answers now, and the one way to exchange it.
///
/// Checks never wait for an exchange: they go to the old generation until the new one is in place.
pub struct Blacklist {
    front: ArcSwap<Front>,
    /// Held by whoever brings the list up to date. A write is acknowledged only after that, so none can be
    /// acknowledged between a new generation's last look at the source and its start.
    writing: Mutex<()>,
}

/// What a check meets. Never changed: an exchange makes another one.
struct Front {
    serving: Arc<Generation>,
    /// Who looks over its shoulder.
    shadow: Option<Arc<Shadow>>,
}

impl Blacklist {
    /// A blacklist that `generation` answers for.
    pub fn new(generation: Generation) -> Self {
        let front = Front { serving: Arc::new(generation), shadow: None };
        Blacklist { front: ArcSwap::from_pointee(front), writing: Mutex::new(()) }
    }

    /// Whether a message of `subject` in `direction` may pass. About 150 ns with the default plugin at 64,000 entries.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] but a refusal; what then holds for the message is for the caller's policy to say.
    #[inline]
    pub fn check(&self, subject: Subject, direction: Direction) -> Result<Verdict, CallError> {
        let front = self.front.load();
        let verdict = front.serving.check(subject, direction)?;
        if let Some(shadow) = &front.shadow {
            shadow.see(&[subject], direction, &[verdict]);
        }
        Ok(verdict)
    }

    /// Whether messages of many subjects may pass: a verdict each, in order.
    ///
    /// # Errors
    ///
    /// As [`Blacklist::check`].
    pub fn check_many(&self, subjects: &[Subject], direction: Direction) -> Result<Vec<Verdict>, CallError> {
        let front = self.front.load_full();
        let verdicts = front.serving.check_many(subjects, direction)?;
        if let Some(shadow) = &front.shadow {
            shadow.see(subjects, direction, &verdicts);
        }
        Ok(verdicts)
    }

    /// Brings the generation up to what `source` holds, and returns the sequence number reached. To be called after each
    /// write to the source, before it is acknowledged: then the next check sees it.
    ///
    /// # Errors
    ///
    /// [`FillError`]; the generation is then behind, or out of service, until it is replaced.
    pub fn catch_up(&self, source: &dyn EntrySource) -> Result<u64, FillError> {
        let _writing = self.writing();
        self.front.load_full().serving.catch_up(source)
    }

    /// Puts `next` in the place of the current generation, after a last look at what `source` holds and a last count, and
    /// returns the old one. A shadow run ends: what it looked at is gone.
    ///
    /// Keep the old one for a while and drop it elsewhere than on the path of messages: freeing a long list takes
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`FillError`]; the old generation then goes on answering.
    pub fn replace(
        &self,
        next: Arc<Generation>,
        source: &dyn EntrySource,
    ) -> Result<Arc<Generation>, FillError> {
        let _writing = self.writing();
        // Nobody acknowledges a write meanwhile: so this count is exact, unless the source runs ahead of the acknowledgements.
        next.prove_count(source)?;
        let before = self.front.swap(Arc::new(Front { serving: next, shadow: None }));
        Ok(Arc::clone(&before.serving))
    }

    /// The generation that answers now.
    pub fn generation(&self) -> Arc<Generation> {
        Arc::clone(&self.front.load().serving)
    }

    /// Whether a shadow run looks at its checks.
    pub fn is_shadowed(&self) -> bool {
        self.front.load().shadow.is_some()
    }

    /// From now on `shadow` sees each check, and nobody else.
    pub(crate) fn set_shadow(&self, shadow: Arc<Shadow>) {
        self.put_shadow(&self.writing(), Some(shadow));
    }

    fn put_shadow(&self, _: &MutexGuard<'_, ()>, shadow: Option<Arc<Shadow>>) {
        let serving = self.generation();
        self.front.store(Arc::new(Front { serving, shadow }));
    }

    /// Ends the shadow run that `shadow` is of, unless another one has begun.
    pub(crate) fn end_shadow(&self, shadow: &Arc<Shadow>) {
        let writing = self.writing();
        let is_its = self.front.load().shadow.as_ref().is_some_and(|there| Arc::ptr_eq(there, shadow));
        if is_its {
            self.put_shadow(&writing, None);
        }
    }

    /// Holds writes up, so that the generation and another one can be compared at the same sequence number.
    pub(crate) fn held<R>(&self, compare: impl FnOnce(&Generation) -> R) -> R {
        let _writing = self.writing();
        compare(&self.generation())
    }

    fn writing(&self) -> MutexGuard<'_, ()> {
        // It guards no data.
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Blacklist {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Blacklist").field(&self.generation()).finish()
    }
}
