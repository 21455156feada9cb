//! One blacklist in service: the record of its entries, the plugin that answers for them, and what happens when
//! that fails.

mod confirmations;
mod entries;
mod kept;
mod recovery;
mod resting;
mod saving;
mod visits;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use portcullis_host::{Blacklist, CallError, FillError, FilledFrom, Generation, Plugin, Recipe, Verdict};
use portcullis_ledger::{LedgerError, List, Scope};
use portcullis_msisdn::{Direction, Subject};
use tokio::runtime::Handle;
use tracing::warn;

pub(crate) use entries::Entries;
pub(crate) use kept::KeptState;
pub(crate) use recovery::{Pace, Standing};

use crate::metrics::ListMetrics;
use crate::reload::Reload;
use crate::residency::Residency;
use crate::states::StateFile;
use confirmations::{Confirmations, Mark};
use recovery::Recovery;
use saving::Saving;
use visits::Visits;

/// One blacklist in service.
///
/// The ledger's list is the truth, and the plugin a view of it. A view that failed, or that can't be brought up to
/// date, is out of service until a background task has filled a new one; meanwhile the tenant's policy answers.
pub(crate) struct Gate {
    entries: Arc<Entries>,
    state: KeptState,
    blacklist: Arc<Blacklist>,
    /// A [`Service`]. Becomes `Serving` or `Resting` under `order`, and `Out` at any time.
    service: AtomicU8,
    /// Whether it was checked since somebody looked here last.
    asked: AtomicBool,
    /// Whether it stands in the ring of `residency`.
    in_ring: AtomicBool,
    /// Held by whoever brings the list back from rest.
    waking: Mutex<()>,
    residency: Arc<Residency>,
    /// Held while the plugin is brought up to date, so that a write is either in the plugin when it is
    /// acknowledged, or the plugin is out of service.
    order: Mutex<Order>,
    /// How many generations have served, this one included.
    number: AtomicU64,
    recovery: Recovery,
    saving: Saving,
    visits: Visits,
    confirmations: Confirmations,
    /// Who exchanges the tenant's plugin, and goes back where a new one fails.
    reload: Weak<Reload>,
    pub(crate) metrics: ListMetrics,
    /// Where background tasks run: faults are noticed on threads of all kinds.
    runtime: Handle,
}

/// Who answers for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Service {
    /// The tenant's policy: the plugin failed, or was never filled.
    Out,
    /// The plugin, which has every acknowledged entry.
    Serving,
    /// The plugin, once it is filled again: it was put to rest, as nobody asked.
    Resting,
}

/// Why there is no verdict of a plugin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVerdict {
    /// It failed: the tenant's policy has to answer.
    Failed,
    /// It rests: whoever may block can wake it.
    Resting,
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
    pub(crate) reload: Weak<Reload>,
    pub(crate) residency: Arc<Residency>,
    pub(crate) metrics: ListMetrics,
    pub(crate) runtime: Handle,
}

impl Gate {
    /// A gate that is out of service until it is filled.
    ///
    /// Starts the plugin, so that options which the plugin refuses are found here.
    pub(crate) fn open(parts: Parts) -> Result<Self, CallError> {
        let Parts { list, state, recipe, reload, residency, metrics, runtime } = parts;
        let blacklist = Blacklist::new(Generation::empty(recipe.clone())?);
        // It was only to be seen that it starts: there may be more lists than there is room for.
        blacklist.generation().retire();
        Ok(Gate {
            state: KeptState::new(state, list.clone()),
            entries: Arc::new(Entries(list)),
            blacklist: Arc::new(blacklist),
            service: AtomicU8::new(Service::Out as u8),
            asked: AtomicBool::new(false),
            in_ring: AtomicBool::new(false),
            waking: Mutex::new(()),
            residency,
            order: Mutex::new(Order { recipe, version: 0, kept: None }),
            number: AtomicU64::new(0),
            recovery: Recovery::default(),
            saving: Saving::default(),
            visits: Visits::default(),
            confirmations: Confirmations::default(),
            reload,
            metrics,
            runtime,
        })
    }

    /// The ledger's list.
    pub(crate) fn list(&self) -> &List {
        &self.entries.0
    }

    /// That somebody wrote to the sender now. May read the ledger, the first time.
    pub(crate) fn note_visit(&self, who: Subject) -> Result<(), LedgerError> {
        self.visits.note(self.list(), who)
    }

    /// Whether somebody wrote to the sender within 24 hours, as far as that is known.
    pub(crate) fn wrote_lately(&self, who: Subject) -> Result<bool, LedgerError> {
        self.visits.is_lately(self.list(), who)
    }

    /// Lets one message, the confirmation of an opt-out, go out within this time.
    pub(crate) fn allow_confirmation(&self, to: Subject, within: Duration) {
        self.confirmations.allow(to, within);
    }

    /// Whether a message is that confirmation. It then has gone out.
    pub(crate) fn take_confirmation(&self, to: Subject) -> bool {
        self.confirmations.take(to)
    }

    /// Gives that one its time again, unless it has gone out.
    pub(crate) fn renew_confirmation(&self, to: Subject, within: Duration) {
        self.confirmations.renew(to, within);
    }

    /// What stands for somebody's message of this id.
    pub(crate) fn mark_of(&self, from: Subject, id: &str) -> Mark {
        self.confirmations.mark_of(from, id)
    }

    /// Whether that message has come.
    pub(crate) fn has_come(&self, mark: Mark) -> bool {
        self.confirmations.has_come(mark)
    }

    /// That it has.
    pub(crate) fn remember(&self, mark: Mark) {
        self.confirmations.remember(mark);
    }

    /// Lets none go out any more.
    pub(crate) fn forget_confirmation(&self, to: Subject) {
        self.confirmations.forget(to);
    }

    /// Puts on disk who wrote since the last time.
    pub(crate) fn write_visits_down(&self) -> Result<(), LedgerError> {
        self.visits.write_down(self.list())
    }

    /// How many entries are in force: a hint for the plugin, so that a ledger which can't be read now says so elsewhere.
    pub(crate) fn entry_count(&self) -> u64 {
        self.list().count().unwrap_or_default()
    }

    /// The same, as the host asks for entries.
    pub(crate) fn entries(&self) -> &Arc<Entries> {
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
            _ => Service::Resting,
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
                Err(NoVerdict::Resting) => self.wake(),
                answered => return answered,
            }
        }
    }

    #[inline]
    fn ask<R>(self: &Arc<Self>, check: impl Fn(&Blacklist) -> Result<R, CallError>) -> Result<R, NoVerdict> {
        self.note_asked();
        loop {
            match self.service() {
                Service::Serving => {}
                Service::Resting => return Err(NoVerdict::Resting),
                Service::Out => return Err(NoVerdict::Failed),
            }
            match check(&self.blacklist) {
                // It was put to rest between the two, and may be back already.
                Err(CallError::OutOfService) if self.has_changed_hands() => {}
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
        if self.service() == Service::Resting {
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
        if self.service() == Service::Resting {
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
        self.residency.enter(self);
    }

    fn set_service(&self, service: Service) {
        self.service.store(service as u8, Ordering::SeqCst);
    }

    /// A check had no answer.
    #[cold]
    fn fault(self: &Arc<Self>, fault: &CallError) {
        self.metrics.fault(fault.kind());
        let generation = self.generation();
        if generation.is_whole() || self.service() == Service::Resting {
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
        self.metrics.fault(error.kind());
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

    /// Has the plugin before put back in place, where the new one was still watched; otherwise has a new generation made.
    fn mend(self: &Arc<Self>, kind: &'static str) {
        let goes_back = self.reload.upgrade().is_some_and(|reload| reload.fault(self.name(), kind));
        if !goes_back {
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
