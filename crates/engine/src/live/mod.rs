//! A blacklist in service: its entries in the ledger, the plugin that answers for them, and recovery when the plugin fails.

mod eviction;
mod following;
mod history;
mod lies;
mod pace;
mod recovery;
mod saving;
mod turns;

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_entries::{Known, LedgerSource, VerifiedState};
use portcullis_host::{
    Blacklist, CallError, FillError, FilledFrom, Generation, MemoryAccount, Plugin, Recipe, TryCheckError,
    Verdict,
};
use portcullis_ledger::{LedgerError, List, Scope, Seq, Span};
use portcullis_msisdn::{Direction, Subject};
use portcullis_residency::{Accounted, Resident};
use portcullis_saved_states::StateFile;
use tokio::sync::Notify;
use tracing::warn;

pub use recovery::Health;

pub(crate) use following::Reach;
pub(crate) use recovery::Priority;
pub(crate) use turns::Turns;

use crate::context::Context;
use crate::events::Event;
use history::History;
use recovery::Recovery;
use saving::Saving;
use turns::Purpose;

/// A blacklist in service.
///
/// The ledger's list is authoritative, and the plugin a view of it. A view that failed, or that can't follow the ledger, is out of
/// service until a background task has filled another one. Meanwhile the tenant's failure policy answers.
pub(crate) struct LiveList {
    entries: Arc<LedgerSource>,
    state: VerifiedState,
    blacklist: Arc<Blacklist>,
    /// A [`Phase`]. Becomes `Serving` or `Evicted` only under `slot`, `Failed` at any time, and stays `Detached`.
    phase: AtomicU8,
    /// Who has not yet seen that it was checked: of [`UNSEEN_BY_RESIDENCY`] and [`UNSEEN_BY_PROOF`].
    checked: AtomicU8,
    /// Whether its plugin can't be loaded. Nothing is filled until another plugin is installed.
    withheld: AtomicBool,
    /// Whether the ledger lacks changes of the list, as its saved state says. Nothing is filled from it.
    behind: bool,
    accounted: Arc<Accounted>,
    /// Whether the log said last that the plugin is slow.
    was_slow: AtomicBool,
    /// Until when nobody waits for the plugin, because somebody waited in vain.
    congested: Mutex<Option<Instant>>,
    /// The number of entries when residency last looked.
    last_count: AtomicU64,
    /// The memory of the plugin when it was evicted, or installed; 0 if it is not known.
    last_bytes: AtomicU64,
    /// The memory of the plugin without entries; 0 if it was not started.
    empty_bytes: AtomicU64,
    /// Held while an evicted list is restored, so that it is filled once.
    restoring: Mutex<()>,
    /// Held while the plugin is brought up to date. So when a write is acknowledged, either the plugin has it, or the plugin is
    /// out of service.
    slot: Mutex<Slot>,
    /// How many generations have served, including this one.
    number: AtomicU64,
    recovery: Recovery,
    history: History,
    saving: Saving,
    /// Whether it waits for its turn to follow the ledger.
    is_following: AtomicBool,
    /// Notified when the plugin has taken changes.
    followed: Notify,
    turns: Arc<Turns>,
    faults: Weak<dyn FaultListener>,
    context: Arc<Context>,
}

/// Learns of a plugin's faults before the list recovers by itself.
pub(crate) trait FaultListener: Send + Sync {
    /// A plugin failed on this list. Returns whether the listener handles it, by rolling back to the previous plugin.
    fn fault(self: Arc<Self>, list: &str, kind: &'static str, why: &str) -> bool;
}

/// What answers for a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The tenant's [failure policy](crate::OnFailure): the plugin failed, or was never filled.
    Out,
    /// The plugin, which has every acknowledged entry.
    Serving,
    /// The plugin, once it is filled again: it was evicted from memory because the list was not checked for a while.
    Evicted,
}

/// How a plugin followed the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Followed {
    /// It took changes.
    Changed,
    /// There were none.
    Already,
    /// It is not in memory, or went out of service: it is filled from the ledger when it comes back.
    NotServing,
    /// The ledger is shared and can't be asked. The plugin follows when it is back.
    LedgerAway,
    /// The ledger has lost changes that the plugin has. It is filled again, in the background.
    Rebuilding,
}

impl Followed {
    /// Whether the next check sees what was written before.
    pub(crate) fn is_seen(self) -> bool {
        !matches!(self, Followed::LedgerAway | Followed::Rebuilding)
    }
}

/// What a list does with checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// The failure policy answers them.
    Failed,
    /// The plugin answers them.
    Serving,
    /// The plugin is filled first.
    Evicted,
    /// They fail: the list was removed, or the engine is closed.
    Detached,
}

/// Why the plugin gives no verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoVerdict {
    /// It failed: the tenant's policy has to answer.
    Failed,
    /// It is evicted: a caller that may block can restore it.
    Evicted,
    /// It is slow, or others call it, or it is evicted and there is no room for it: a caller that may wait can ask again.
    Busy,
    /// The list is no longer served.
    Detached,
}

/// The recipe of the next generation, and the generation to fall back to.
struct Slot {
    recipe: Recipe,
    /// Counts changes of the recipe: a generation made from an older one is not put in place.
    revision: u64,
    /// The previous generation, while a reload is watched.
    fallback: Option<Arc<Generation>>,
}

/// How long a status waits for a write that is being applied.
const BRIEFLY: Duration = Duration::from_millis(10);

/// Residency has not seen that the list was checked.
const UNSEEN_BY_RESIDENCY: u8 = 1;
/// The background proof has not seen that the list was checked.
const UNSEEN_BY_PROOF: u8 = 2;

/// The parts of a list.
pub(crate) struct Parts {
    /// Whether the plugin can't be loaded, and the recipe's is a placeholder.
    pub(crate) withheld: bool,
    /// Whether the list is opened without starting its plugin.
    pub(crate) unstarted: bool,
    /// Whether the ledger lacks changes of the list. It is out of service then for good.
    pub(crate) behind: bool,
    pub(crate) list: List,
    pub(crate) state: StateFile,
    pub(crate) recipe: Recipe,
    pub(crate) turns: Arc<Turns>,
    pub(crate) faults: Weak<dyn FaultListener>,
    pub(crate) context: Arc<Context>,
}

impl LiveList {
    /// Creates a list that is out of service until it is filled.
    ///
    /// Starts the plugin, to find options that the plugin refuses, unless it is withheld or to be left unstarted.
    pub(crate) fn open(parts: Parts) -> Result<Self, CallError> {
        let Parts { withheld, unstarted, behind, list, state, recipe, turns, faults, context } = parts;
        let generation = match withheld || unstarted {
            true => Generation::without_instances(recipe.clone()),
            false => Generation::empty(recipe.clone())?,
        };
        let empty_bytes = generation.memory_bytes();
        let blacklist = Blacklist::new(generation);
        // It started, and that is all: there may be more lists than memory has room for.
        blacklist.generation().retire();
        let accounted = Accounted::new(list.tenant().clone());
        let entries = Arc::new(LedgerSource::new(list, Arc::clone(&context.staleness)));
        Ok(LiveList {
            state: VerifiedState::new(state, Arc::clone(&entries)),
            last_count: AtomicU64::new(recipe.settings.capacity),
            entries,
            blacklist: Arc::new(blacklist),
            phase: AtomicU8::new(Phase::Failed as u8),
            checked: AtomicU8::new(0),
            withheld: AtomicBool::new(withheld),
            behind,
            accounted,
            last_bytes: AtomicU64::new(0),
            empty_bytes: AtomicU64::new(empty_bytes),
            was_slow: AtomicBool::new(false),
            congested: Mutex::default(),
            restoring: Mutex::new(()),
            slot: Mutex::new(Slot { recipe, revision: 0, fallback: None }),
            number: AtomicU64::new(0),
            recovery: Recovery::default(),
            history: History::default(),
            saving: Saving::default(),
            is_following: AtomicBool::new(false),
            followed: Notify::new(),
            turns,
            faults,
            context,
        })
    }

    /// Finds out whether the plugin starts, without its entries, and what memory it takes.
    pub(crate) fn probe(&self) -> Result<(), CallError> {
        let mut recipe = self.slot.lock().recipe.clone();
        recipe.settings.capacity = self.entry_count();
        let generation = Generation::empty(recipe)?;
        self.empty_bytes.store(generation.memory_bytes(), Ordering::Relaxed);
        Ok(())
    }

    /// Whether the plugin can't be loaded. Another one has to be installed.
    pub(crate) fn is_withheld(&self) -> bool {
        self.withheld.load(Ordering::Acquire)
    }

    /// Whether the ledger lacks changes of the list. Neither a plugin nor the ledger can answer for it.
    #[inline]
    pub(crate) fn is_behind(&self) -> bool {
        self.behind
    }

    /// An error if a shared ledger could not be asked last: a check does not wait for it then.
    pub(crate) fn check_ledger(&self) -> Result<(), LedgerError> {
        self.context.staleness.check_ledger()
    }

    /// The ledger's list.
    pub(crate) fn list(&self) -> &List {
        self.entries.list()
    }

    /// The number of active entries. It is a hint for the plugin: 0 if the ledger can't be read, which filling will report.
    pub(crate) fn entry_count(&self) -> u64 {
        self.list().count().unwrap_or_default()
    }

    /// The ledger's list as the host reads it.
    pub(crate) fn entries(&self) -> &Arc<LedgerSource> {
        &self.entries
    }

    /// The plugin's saved state.
    pub(crate) fn state(&self) -> &VerifiedState {
        &self.state
    }

    pub(crate) fn blacklist(&self) -> &Arc<Blacklist> {
        &self.blacklist
    }

    /// Whether the plugin is in memory and answers.
    #[inline]
    pub(crate) fn is_serving(&self) -> bool {
        self.phase() == Phase::Serving
    }

    fn is_detached(&self) -> bool {
        self.phase() == Phase::Detached
    }

    #[inline]
    fn phase(&self) -> Phase {
        Phase::of(self.phase.load(Ordering::Acquire))
    }

    /// What answers.
    pub(crate) fn service(&self) -> Service {
        match self.phase() {
            Phase::Serving => Service::Serving,
            Phase::Evicted => Service::Evicted,
            Phase::Failed | Phase::Detached => Service::Out,
        }
    }

    /// The plugin that answers, or will.
    pub(crate) fn plugin(&self) -> Plugin {
        // A slow plugin may hold the slot for long, and then it is the one that was installed.
        match self.slot.try_lock_for(BRIEFLY) {
            Some(slot) => slot.recipe.plugin.clone(),
            None => self.generation().recipe().plugin.clone(),
        }
    }

    /// The generation in place.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.blacklist.generation()
    }

    /// The sequence number up to which the plugin has the list's changes.
    pub(crate) fn sequence(&self) -> u64 {
        self.generation().sequence()
    }

    /// How many generations have served since the engine was opened, including this one.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Relaxed)
    }

    /// The plugin's verdict. Does not wait, nor restore an evicted plugin.
    #[inline]
    pub(crate) fn check(
        self: &Arc<Self>,
        subject: Subject,
        direction: Direction,
    ) -> Result<Verdict, NoVerdict> {
        self.ask(|blacklist| blacklist.try_check(subject, direction))
    }

    /// The plugin's verdicts, in order. Does not wait, nor restore an evicted plugin.
    pub(crate) fn try_check_many(
        self: &Arc<Self>,
        subjects: &[Subject],
        direction: Direction,
    ) -> Result<Vec<Verdict>, NoVerdict> {
        self.ask(|blacklist| blacklist.try_check_many(subjects, direction))
    }

    /// The plugin's verdicts, in order. Waits for a busy plugin, or for room in memory for an evicted one, until `patience` has passed.
    /// Then restores it, which blocks.
    pub(crate) fn check_many(
        self: &Arc<Self>,
        subjects: &[Subject],
        direction: Direction,
        patience: Duration,
    ) -> Result<Vec<Verdict>, NoVerdict> {
        // Whoever checks many people one by one does not wait for each of them.
        let is_congested = self.congested.lock().is_some_and(|until| Instant::now() < until);
        let wait = if is_congested { Duration::ZERO } else { patience };
        loop {
            let answered = match self.ask(|blacklist| blacklist.check_many_within(wait, subjects, direction))
            {
                Err(NoVerdict::Evicted) => match self.restore(wait) {
                    Ok(()) => continue,
                    Err(why) => Err(why),
                },
                answered => answered,
            };
            if matches!(answered, Err(NoVerdict::Busy)) && !is_congested {
                *self.congested.lock() = Some(Instant::now() + patience);
            }
            return answered;
        }
    }

    #[inline]
    fn ask<R>(
        self: &Arc<Self>,
        check: impl Fn(&Blacklist) -> Result<R, TryCheckError>,
    ) -> Result<R, NoVerdict> {
        self.note_checked();
        loop {
            match self.phase() {
                Phase::Serving => {}
                Phase::Evicted => return Err(NoVerdict::Evicted),
                Phase::Failed => return Err(NoVerdict::Failed),
                Phase::Detached => return Err(NoVerdict::Detached),
            }
            match check(&self.blacklist) {
                // It was unloaded between the two. It may even be back.
                Err(TryCheckError::Failed(CallError::OutOfService)) if self.was_unloaded() => {}
                Err(TryCheckError::Busy) => {
                    self.note_busy();
                    return Err(NoVerdict::Busy);
                }
                Err(TryCheckError::Failed(fault)) => {
                    self.fault(&fault);
                    return Err(NoVerdict::Failed);
                }
                Ok(answer) => {
                    if self.was_slow.load(Ordering::Relaxed) {
                        self.note_answered();
                    }
                    return Ok(answer);
                }
            }
        }
    }

    /// Brings the plugin up to date with the ledger. Call it after each write, before the write is acknowledged.
    ///
    /// A plugin that can't follow goes out of service: the write stands all the same. If the ledger is shared and can't be asked, the
    /// plugin stays in service, and follows when the ledger is back.
    pub(crate) fn catch_up(self: &Arc<Self>) -> Followed {
        self.catch_up_with(None, None)
    }

    /// Like [`catch_up`](Self::catch_up), but a plugin that has the change `up_to` is up to date, and of what the span tells, the ledger is
    /// not asked.
    pub(crate) fn catch_up_with(self: &Arc<Self>, up_to: Option<Seq>, span: Option<&Span>) -> Followed {
        let (before, followed, generation) = {
            let _slot = self.slot.lock();
            if !self.is_serving() {
                return Followed::NotServing;
            }
            if self.has_lost_history() {
                return Followed::Rebuilding;
            }
            let generation = self.generation();
            let before = generation.sequence();
            // Those who wrote in the same commit have brought it there.
            if up_to.is_some_and(|sequence| before >= sequence.get()) {
                return Followed::Already;
            }
            let followed = match span {
                Some(span) => self.blacklist.catch_up(&Known::new(&self.entries, span)),
                None => self.blacklist.catch_up(&*self.entries),
            };
            (before, followed, generation)
        };
        match followed {
            // One of several instances may have failed on the way.
            Ok(_) if self.is_serving() && !generation.is_whole() => {
                self.followed.notify_waiters();
                self.mend("lost", "an instance of it was lost");
                Followed::Changed
            }
            Ok(sequence) => {
                self.context.residency.resize(&**self, generation.memory_bytes());
                self.save_if_due(sequence);
                if sequence > before {
                    self.followed.notify_waiters();
                    Followed::Changed
                } else {
                    Followed::Already
                }
            }
            Err(error) if self.means_away(&error) => {
                self.context.staleness.add_behind(self.list().id());
                Followed::LedgerAway
            }
            Err(error) => {
                self.fail(&generation, &error);
                Followed::NotServing
            }
        }
    }

    /// The plugin can't be brought up to date: it goes out of service.
    fn fail(self: &Arc<Self>, generation: &Generation, error: &FillError) {
        let (kind, why) = (error.kind(), error.reason());
        self.take_out(kind, &why);
        // It is not to be trusted, and the next one needs its memory.
        generation.retire();
        self.mend(kind, &why);
        self.report_fault(kind, why);
    }

    /// Whether filling or following failed only because a shared ledger can't be asked now.
    fn means_away(&self, error: &FillError) -> bool {
        let FillError::Source(source) = error else { return false };
        source.downcast_ref().is_some_and(|error| self.context.staleness.means_away(error))
    }

    /// Puts a prepared generation in place, and keeps the previous one to fall back to if it is healthy. At any time the list has a
    /// generation with every acknowledged entry.
    ///
    /// An evicted list stays evicted: `next` was proven on its entries, and the generation that restores it has the same recipe.
    pub(crate) fn install(self: &Arc<Self>, next: Arc<Generation>) -> Result<(), FillError> {
        // All but the last changes, without holding up writes.
        next.catch_up(&*self.entries)?;
        let mut slot = self.slot.lock();
        let recipe = next.recipe().clone();
        let bytes = next.memory_bytes();
        let before = self.blacklist.replace(next, &*self.entries)?;
        self.last_bytes.store(bytes, Ordering::Relaxed);
        slot.recipe = recipe;
        slot.revision += 1;
        self.withheld.store(false, Ordering::Release);
        self.recovery.reset();
        if self.phase() == Phase::Evicted {
            self.number.fetch_add(1, Ordering::Relaxed);
            self.generation().retire();
            return Ok(());
        }
        slot.fallback = self.is_serving().then_some(before);
        self.put_in_service();
        Ok(())
    }

    /// After [`install`](Self::install): saves this plugin's state if that is due.
    pub(crate) fn was_installed(self: &Arc<Self>, from: &FilledFrom) {
        // The state before may be another plugin's.
        self.saving.reset();
        self.was_filled(from);
    }

    /// Takes the list out of service until the background task has filled a generation of this recipe: the one that was prepared
    /// failed.
    pub(crate) fn restart_with(self: &Arc<Self>, recipe: Recipe, error: &FillError) {
        {
            let mut slot = self.slot.lock();
            slot.recipe = recipe;
            slot.revision += 1;
            self.withheld.store(false, Ordering::Release);
            slot.fallback = None;
            self.last_bytes.store(0, Ordering::Relaxed);
            self.recovery.reset();
            if self.phase() != Phase::Evicted {
                self.take_out(error.kind(), &error.reason());
                self.generation().retire();
            }
        }
        self.saving.reset();
        self.recover();
        self.report_fault(error.kind(), error.reason());
    }

    /// Puts the fallback back in place. If there is none, because the previous plugin had failed itself, or if it can't follow the
    /// ledger, a generation of `recipe` is filled in the background.
    pub(crate) fn roll_back(self: &Arc<Self>, recipe: Recipe) -> Result<(), FillError> {
        let fallback = self.slot.lock().fallback.clone();
        if let Some(fallback) = &fallback {
            // All but the last changes, without holding up writes. If it can't follow at all, `replace` below says so.
            let _ = fallback.catch_up(&*self.entries);
        }
        let mut slot = self.slot.lock();
        slot.fallback = None;
        self.last_bytes.store(0, Ordering::Relaxed);
        slot.recipe = match &fallback {
            Some(fallback) => Recipe { account: Arc::clone(&fallback.recipe().account), ..recipe },
            None => recipe,
        };
        slot.revision += 1;
        self.withheld.store(false, Ordering::Release);
        if self.phase() == Phase::Evicted {
            return Ok(());
        }
        let rolled_back = fallback
            .ok_or_else(|| CallError::OutOfService.into())
            .and_then(|fallback| self.blacklist.replace(fallback, &*self.entries));
        match rolled_back {
            Ok(_) => {
                self.put_in_service();
                Ok(())
            }
            Err(error) => {
                self.enter(Phase::Failed);
                drop(slot);
                self.recover();
                Err(error)
            }
        }
    }

    /// The memory account of the generation that a rollback puts back in place.
    pub(crate) fn account_to_fall_back_to(&self) -> Option<Arc<MemoryAccount>> {
        self.slot.lock().fallback.as_ref().map(|fallback| Arc::clone(&fallback.recipe().account))
    }

    /// Drops the fallback.
    pub(crate) fn release(&self) {
        let fallback = self.slot.lock().fallback.take();
        // Freeing a long list takes a while: not under the lock that writes wait for.
        drop(fallback);
    }

    /// Takes the list out of service for good. Does not wait.
    pub(crate) fn detach(&self) {
        self.phase.store(Phase::Detached as u8, Ordering::SeqCst);
    }

    /// After [`detach`](Self::detach): frees the plugin. Waits for calls to it, and for a state that is being saved.
    pub(crate) fn unload(&self) {
        self.release();
        self.generation().retire();
        self.context.residency.leave(self);
        self.saving.wait();
    }

    /// Under the lock of `slot`: the plugin answers from now on, unless the list was detached, or the ledger lacks changes of it.
    fn put_in_service(self: &Arc<Self>) {
        if self.behind || !self.enter(Phase::Serving) {
            self.generation().retire();
            return;
        }
        self.number.fetch_add(1, Ordering::Relaxed);
        let resident: Arc<dyn Resident> = Arc::<Self>::clone(self);
        self.context.residency.enter(&resident);
    }

    /// Returns whether the list is not detached.
    fn enter(&self, phase: Phase) -> bool {
        let next = |now| (now != Phase::Detached as u8).then_some(phase as u8);
        self.phase.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).is_ok()
    }

    /// Goes from one phase to another, unless the list is in a third one.
    fn turn(&self, from: Phase, to: Phase) -> bool {
        self.phase.compare_exchange(from as u8, to as u8, Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }

    /// A background proof found that the plugin lies: it goes out of service at once.
    pub(crate) fn distrust(self: &Arc<Self>, generation: &Arc<Generation>, error: &FillError) {
        let (kind, why) = (error.kind(), error.reason());
        {
            let _slot = self.slot.lock();
            // It may have been replaced since it was looked at.
            if !Arc::ptr_eq(&self.generation(), generation) || !self.is_serving() {
                return;
            }
            self.take_out(kind, &why);
        }
        generation.retire();
        self.mend_after(kind, &why, |recovery| {
            let pause = recovery.lied();
            warn!(
                tenant = %self.list().tenant(), list = %self.name(), seconds = pause.as_secs(),
                "the plugin is put back after a pause, which doubles each time"
            );
        });
        self.report_fault(kind, why);
    }

    /// The plugin did not answer a check.
    #[cold]
    fn fault(self: &Arc<Self>, fault: &CallError) {
        self.fault_of(&self.generation(), fault);
    }

    /// This generation failed.
    pub(crate) fn fault_of(self: &Arc<Self>, generation: &Arc<Generation>, fault: &CallError) {
        if self.is_detached() || !Arc::ptr_eq(generation, &self.generation()) {
            return;
        }
        let why = fault.reason();
        // Otherwise it was a generation that has been replaced or evicted since.
        if !generation.is_whole() && self.phase() != Phase::Evicted {
            if generation.left() == 0 {
                self.take_out(fault.kind(), &why);
            }
            self.mend(fault.kind(), &why);
        }
        self.report_fault(fault.kind(), why);
    }

    fn take_out(&self, kind: &'static str, error: &str) {
        if self.turn(Phase::Serving, Phase::Failed) {
            warn!(
                tenant = %self.list().tenant(), list = %self.name(), plugin = self.plugin().description().name, kind, error,
                "the plugin failed: the tenant's policy answers until it has recovered"
            );
        }
    }

    /// Reports a fault to the host, and remembers why. Call it last and without a lock: the listener may check this very list.
    fn report_fault(&self, kind: &'static str, why: String) {
        self.recovery.note_fault(why);
        self.context.events.emit(|| Event::Fault {
            tenant: self.list().tenant().clone(),
            scope: self.list().scope().clone(),
            kind,
        });
    }

    /// Rolls back to the previous plugin if the new one is still watched; otherwise starts recovery.
    fn mend(self: &Arc<Self>, kind: &'static str, why: &str) {
        self.mend_after(kind, why, |_| {});
    }

    /// Like [`mend`](Self::mend). Calls `prepare` before recovery starts.
    fn mend_after(self: &Arc<Self>, kind: &'static str, why: &str, prepare: impl FnOnce(&Recovery)) {
        let is_handled = self.faults.upgrade().is_some_and(|listener| listener.fault(self.name(), kind, why));
        if !is_handled {
            prepare(&self.recovery);
            self.recover();
        }
    }

    /// The list's name in logs.
    pub(crate) fn name(&self) -> &str {
        Self::name_of(self.list().scope())
    }

    /// The name of a list in logs.
    pub(crate) fn name_of(scope: &Scope) -> &str {
        match scope {
            Scope::Tenant => "tenant-wide",
            Scope::Sender(sender) => sender.as_str(),
        }
    }
}

impl Phase {
    #[inline]
    fn of(byte: u8) -> Self {
        match byte {
            serving if serving == Phase::Serving as u8 => Phase::Serving,
            evicted if evicted == Phase::Evicted as u8 => Phase::Evicted,
            detached if detached == Phase::Detached as u8 => Phase::Detached,
            _ => Phase::Failed,
        }
    }
}
