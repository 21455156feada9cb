//! One blacklist in service: the ledger's record of its entries, the plugin that answers for them, and what happens when that
//! plugin fails.

mod eviction;
mod kept_state;
mod recovery;
mod saving;
mod source;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use portcullis_host::{Blacklist, CallError, FillError, FilledFrom, Generation, Plugin, Recipe, Verdict};
use portcullis_ledger::{List, Scope};
use portcullis_msisdn::{Direction, Subject};
use tracing::warn;

pub use recovery::Health;

pub(crate) use kept_state::KeptState;
pub(crate) use recovery::Priority;
pub(crate) use source::LedgerSource;

use crate::context::Context;
use crate::events::Event;
use crate::residency::Resident;
use crate::states::StateFile;
use recovery::Recovery;
use saving::Saving;

/// One blacklist in service.
///
/// The ledger's list is the truth, and the plugin a view of it. A view that failed, or that can't be brought up to
/// date, is out of service until a background task has filled a new one; meanwhile the tenant's policy answers.
pub(crate) struct LiveList {
    entries: Arc<LedgerSource>,
    state: KeptState,
    blacklist: Arc<Blacklist>,
    /// A [`Service`]. Becomes `Serving` or `Resting` under `order`, and `Out` at any time.
    service: AtomicU8,
    /// Whether it was checked since somebody looked here last.
    asked: AtomicBool,
    /// Whether residency knows it as one that can be evicted.
    in_ring: AtomicBool,
    /// Held while an evicted list is restored, so that it is filled once.
    restoring: Mutex<()>,
    /// Held while the plugin is brought up to date, so that a write is either in the plugin when it is
    /// acknowledged, or the plugin is out of service.
    order: Mutex<Order>,
    /// How many generations have served, this one included.
    number: AtomicU64,
    recovery: Recovery,
    saving: Saving,
    faults: Weak<dyn FaultListener>,
    context: Arc<Context>,
}

/// Learns of a plugin's faults before the list recovers by itself.
pub(crate) trait FaultListener: Send + Sync {
    /// A plugin failed on this list. Returns whether the listener takes care of it, as by going back to the plugin before.
    fn fault(self: Arc<Self>, list: &str, kind: &'static str) -> bool;
}

/// Who answers for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Service {
    /// The tenant's [failure policy](crate::OnFailure): the plugin failed, or was never filled.
    Out,
    /// The plugin, which has every acknowledged entry.
    Serving,
    /// The plugin, once it is filled again: it was evicted, as nobody checked the list for a while.
    Evicted,
}

/// Why there is no verdict of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVerdict {
    /// It failed: the tenant's policy has to answer.
    Failed,
    /// It is evicted: a caller that may block can have it restored.
    Evicted,
}

/// What the next generation is to be made of, and the one before.
struct Order {
    recipe: Recipe,
    /// How often the recipe was exchanged: a generation made of an older one is not put in.
    version: u64,
    /// The generation before, while the new one is watched.
    kept: Option<Arc<Generation>>,
}

/// What a gate is made of.
pub(crate) struct Parts {
    pub(crate) list: List,
    pub(crate) state: StateFile,
    pub(crate) recipe: Recipe,
    pub(crate) faults: Weak<dyn FaultListener>,
    pub(crate) context: Arc<Context>,
}

impl LiveList {
    /// A gate that is out of service until it is filled.
    ///
    /// Starts the plugin, so that options which the plugin refuses are found here.
    pub(crate) fn open(parts: Parts) -> Result<Self, CallError> {
        let Parts { list, state, recipe, faults, context } = parts;
        let blacklist = Blacklist::new(Generation::empty(recipe.clone())?);
        // It was only to be seen that it starts: there may be more lists than there is room for.
        blacklist.generation().retire();
        Ok(LiveList {
            state: KeptState::new(state, list.clone()),
            entries: Arc::new(LedgerSource(list)),
            blacklist: Arc::new(blacklist),
            service: AtomicU8::new(Service::Out as u8),
            asked: AtomicBool::new(false),
            in_ring: AtomicBool::new(false),
            restoring: Mutex::new(()),
            order: Mutex::new(Order { recipe, version: 0, kept: None }),
            number: AtomicU64::new(0),
            recovery: Recovery::default(),
            saving: Saving::default(),
            faults,
            context,
        })
    }

    /// The ledger's list.
    pub(crate) fn list(&self) -> &List {
        &self.entries.0
    }

    /// How many entries are in force: a hint for the plugin, so that a ledger which can't be read now says so elsewhere.
    pub(crate) fn entry_count(&self) -> u64 {
        self.list().count().unwrap_or_default()
    }

    /// The same, as the host asks for entries.
    pub(crate) fn entries(&self) -> &Arc<LedgerSource> {
        &self.entries
    }

    /// Where the plugin's saved state is kept.
    pub(crate) fn state(&self) -> &KeptState {
        &self.state
    }

    /// Where checks are answered.
    pub(crate) fn blacklist(&self) -> &Arc<Blacklist> {
        &self.blacklist
    }

    /// Whether the plugin is in memory and answers.
    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.service.load(Ordering::Acquire) == Service::Serving as u8
    }

    /// Who answers.
    pub(crate) fn service(&self) -> Service {
        match self.service.load(Ordering::Acquire) {
            out if out == Service::Out as u8 => Service::Out,
            serving if serving == Service::Serving as u8 => Service::Serving,
            _ => Service::Evicted,
        }
    }

    /// The plugin that answers, or that will.
    pub(crate) fn plugin(&self) -> Plugin {
        self.order().recipe.plugin.clone()
    }

    /// The generation that is in place.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.blacklist.generation()
    }

    /// How many generations have served since the start, this one included.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// The plugin's verdict. Does not wait for a plugin that rests.
    #[inline]
    pub(crate) fn check(
        self: &Arc<Self>,
        subject: Subject,
        direction: Direction,
    ) -> Result<Verdict, NoVerdict> {
        self.ask(|blacklist| blacklist.check(subject, direction))
    }

    /// The plugin's verdicts, in order. Does not wait for a plugin that rests.
    pub(crate) fn check_few(
        self: &Arc<Self>,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, NoVerdict> {
        self.ask(|blacklist| blacklist.check_many(subjects, direction))
    }

    /// The plugin's verdicts, in order. Blocks, where it rests, until it is awake.
    pub(crate) fn check_many(
        self: &Arc<Self>,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, NoVerdict> {
        loop {
            match self.check_few(subjects, direction) {
                Err(NoVerdict::Evicted) => self.restore(),
                answered => return answered,
            }
        }
    }

    #[inline]
    fn ask<R>(self: &Arc<Self>, check: impl Fn(&Blacklist) -> Result<R, CallError>) -> Result<R, NoVerdict> {
        self.note_checked();
        loop {
            match self.service() {
                Service::Serving => {}
                Service::Evicted => return Err(NoVerdict::Evicted),
                Service::Out => return Err(NoVerdict::Failed),
            }
            match check(&self.blacklist) {
                // It was put to rest between the two, and may be back already.
                Err(CallError::OutOfService) if self.was_evicted() => {}
                Err(fault) => {
                    self.fault(&fault);
                    return Err(NoVerdict::Failed);
                }
                Ok(answer) => return Ok(answer),
            }
        }
    }

    /// Brings the plugin up to what the ledger holds. To be called after each write, before it is acknowledged.
    ///
    /// A plugin that can't follow goes out of service: the write stands all the same.
    pub(crate) fn catch_up(self: &Arc<Self>) {
        let followed = {
            let _order = self.order();
            if !self.is_serving() {
                return;
            }
            self.blacklist.catch_up(&*self.entries)
        };
        match followed {
            // One of several instances may have been lost on the way.
            Ok(_) if self.is_serving() && !self.generation().is_whole() => self.mend("lost"),
            Ok(sequence) => self.save_if_due(sequence),
            Err(error) => self.fall_behind(&error),
        }
    }

    /// Puts a prepared generation in place, and keeps the one before, if it is any good. At no instant is the list without one
    /// that has every acknowledged entry.
    ///
    /// A list at rest stays there: `next` was proven on its entries, and what comes back is made of the same.
    pub(crate) fn install(self: &Arc<Self>, next: Arc<Generation>) -> Result<(), FillError> {
        // All but the last changes, while writes go on.
        next.catch_up(&*self.entries)?;
        let mut order = self.order();
        let recipe = next.recipe().clone();
        let before = self.blacklist.replace(next, &*self.entries)?;
        order.recipe = recipe;
        order.version += 1;
        self.recovery.forget();
        if self.service() == Service::Evicted {
            self.number.fetch_add(1, Ordering::Relaxed);
            self.generation().retire();
            return Ok(());
        }
        order.kept = self.is_serving().then_some(before);
        self.put_in_service();
        Ok(())
    }

    /// After [`install`](Self::install): sees to it that this plugin's state is kept.
    pub(crate) fn was_installed(self: &Arc<Self>, from: &FilledFrom) {
        // Another plugin's state is not this one's.
        self.saving.forget();
        self.was_filled(from);
    }

    /// Puts the generation that is kept back in place. Where there is none, as what served before had failed itself, or where
    /// it can't follow, a new one of `recipe` is made in the background.
    pub(crate) fn roll_back(self: &Arc<Self>, recipe: Recipe) -> Result<(), FillError> {
        let kept = self.order().kept.clone();
        if let Some(kept) = &kept {
            // All but the last changes, while writes go on. Whether it can follow at all, the exchange tells.
            let _ = kept.catch_up(&*self.entries);
        }
        let mut order = self.order();
        order.kept = None;
        order.recipe = recipe;
        order.version += 1;
        if self.service() == Service::Evicted {
            return Ok(());
        }
        let rolled_back = kept
            .ok_or_else(|| CallError::OutOfService.into())
            .and_then(|kept| self.blacklist.replace(kept, &*self.entries));
        match rolled_back {
            Ok(_) => {
                self.put_in_service();
                Ok(())
            }
            Err(error) => {
                self.set_service(Service::Out);
                drop(order);
                self.recover();
                Err(error)
            }
        }
    }

    /// Lets go of the generation that is kept.
    pub(crate) fn release(&self) {
        let kept = self.order().kept.take();
        // Freeing a long list takes a while: not under the lock that writes wait for.
        drop(kept);
    }

    /// Under the lock of `order`: from now on the plugin answers.
    fn put_in_service(self: &Arc<Self>) {
        self.set_service(Service::Serving);
        self.number.fetch_add(1, Ordering::Relaxed);
        let resident: Arc<dyn Resident> = Arc::<Self>::clone(self);
        self.context.residency.enter(&resident);
    }

    fn set_service(&self, service: Service) {
        self.service.store(service as u8, Ordering::SeqCst);
    }

    /// A check had no answer.
    #[cold]
    fn fault(self: &Arc<Self>, fault: &CallError) {
        self.note_fault(fault.kind());
        let generation = self.generation();
        if generation.is_whole() || self.service() == Service::Evicted {
            // It was one that has been replaced, or let go of, meanwhile.
            return;
        }
        if generation.left() == 0 {
            self.take_out(fault.kind());
        }
        self.mend(fault.kind());
    }

    /// The plugin does not have what was written.
    fn fall_behind(self: &Arc<Self>, error: &FillError) {
        self.note_fault(error.kind());
        self.take_out(error.kind());
        // It is not trusted any more, and its memory is needed for the next one.
        self.generation().retire();
        self.mend(error.kind());
    }

    fn take_out(&self, kind: &'static str) {
        if self.service.swap(Service::Out as u8, Ordering::SeqCst) == Service::Serving as u8 {
            warn!(
                tenant = %self.list().tenant(), list = %self.name(), kind,
                "the plugin failed: the tenant's policy answers until it is filled again"
            );
        }
    }

    fn note_fault(&self, kind: &'static str) {
        self.context.events.emit(|| Event::Fault {
            tenant: self.list().tenant().clone(),
            scope: self.list().scope().clone(),
            kind,
        });
    }

    /// Has the plugin before put back in place, where the new one was still watched; otherwise has a new generation made.
    fn mend(self: &Arc<Self>, kind: &'static str) {
        let is_handled = self.faults.upgrade().is_some_and(|listener| listener.fault(self.name(), kind));
        if !is_handled {
            self.recover();
        }
    }

    /// The list's name in logs.
    pub(crate) fn name(&self) -> &str {
        Self::name_of(self.list().scope())
    }

    /// The name of such a list in logs.
    pub(crate) fn name_of(scope: &Scope) -> &str {
        match scope {
            Scope::Tenant => "tenant-wide",
            Scope::Sender(sender) => sender.as_str(),
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
