//! Recovery from a plugin's faults: a background task fills another generation, from the saved state and the changes since, or from
//! the ledger.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};
use portcullis_host::{
    Breaker, BreakerState, FillError, FilledFrom, Generation, at_low_priority, at_low_priority_after,
};
use tokio::sync::Notify;
use tracing::{debug, info, warn};

use super::lies::Lies;
use super::{LiveList, Phase, Purpose};
use crate::events::Event;

/// Earlier faults, and whether one is being recovered from.
#[derive(Default)]
pub(super) struct Recovery {
    under_way: AtomicBool,
    breaker: Mutex<Breaker>,
    lies: Mutex<Lies>,
    recoveries: AtomicU64,
    /// Why the last attempts failed, and how many of them for the same reason.
    failures: Mutex<(String, u32)>,
    /// Why the plugin failed last, until another one serves.
    last_fault: Mutex<Option<String>>,
    /// Another plugin serves: a task that pauses has nothing to wait for.
    replaced: Arc<Notify>,
}

/// How long a tenant's lists rest after an attempt that failed, in multiples of what it took. So a plugin that fails slowly has a
/// small share of a processor, however many lists it has.
const REST: u32 = 15;

/// How long a list that failed for the first time in a while is filled with normal priority.
const PROMPT: Duration = Duration::from_secs(1);

/// How a generation is filled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// With the priority of the caller.
    Normal,
    /// On a thread of its own, with low priority from [`PROMPT`] on: many plugins are filled by then.
    LowSoon,
    /// With low priority, so that checks go first.
    Low,
}

/// The health of a list's plugin.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether the next fault is recovered from at once, or with backoff.
    pub breaker: BreakerState,
    /// How often the plugin recovered from a fault since the engine was opened.
    pub recoveries: u64,
}

impl Recovery {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock()
    }

    /// Forgets earlier faults: another plugin serves.
    pub(super) fn reset(&self) {
        self.breaker().reset();
        *self.lies.lock() = Lies::default();
        *self.failures.lock() = Default::default();
        *self.last_fault.lock() = None;
        self.replaced.notify_one();
    }

    /// Remembers why the plugin failed.
    pub(super) fn note_fault(&self, why: String) {
        *self.last_fault.lock() = Some(why);
    }

    /// Notes that the plugin gave wrong verdicts. Returns how long it stays out of service.
    pub(super) fn lied(&self) -> Duration {
        self.lies.lock().find(Instant::now())
    }

    fn has_recovered(&self, now: Instant) {
        self.recoveries.fetch_add(1, Ordering::Relaxed);
        self.breaker().serve(now);
        self.lies.lock().serve(now);
        *self.failures.lock() = Default::default();
    }

    /// Notes that an attempt failed. Returns whether that is worth a line in the log: a new reason is, and an old one as often as its
    /// attempts have doubled.
    fn has_failed(&self, why: &str) -> bool {
        let mut failures = self.failures.lock();
        if failures.0 != why {
            *failures = (why.to_owned(), 0);
        }
        failures.1 = failures.1.saturating_add(1);
        failures.1.is_power_of_two()
    }
}

impl LiveList {
    /// Fills a generation and puts it in place.
    pub(crate) fn refill(self: &Arc<Self>, priority: Priority) -> Result<(), FillError> {
        loop {
            let (mut recipe, revision) = {
                let slot = self.slot.lock();
                (slot.recipe.clone(), slot.revision)
            };
            if self.is_detached() || self.behind {
                return Ok(());
            }
            if !self.is_serving() {
                // The tenant's memory limit may leave no room for both.
                self.generation().retire();
            }
            recipe.settings.capacity = self.entry_count();
            let lineage = self.context.ledger.lineage();
            let fill = || Generation::empty(recipe)?.filled_and_proved(&**self.entries(), Some(self.state()));
            let (next, from) = match priority {
                Priority::Normal => fill(),
                Priority::LowSoon => at_low_priority_after(PROMPT, fill),
                Priority::Low => at_low_priority(fill),
            }?;
            // Whether another server took over meanwhile, which may lack some of what was read before.
            let is_mixed = || self.context.ledger.lineage() != lineage;
            if is_mixed() {
                continue;
            }
            let slot = self.slot.lock();
            if slot.revision != revision {
                // The plugin was reloaded meanwhile, which may have ended the fault.
                if self.is_serving() && self.generation().is_whole() {
                    return Ok(());
                }
                continue;
            }
            self.blacklist.replace(Arc::new(next), &**self.entries())?;
            if is_mixed() {
                continue;
            }
            self.put_in_service();
            drop(slot);
            self.was_filled(&from);
            return Ok(());
        }
    }

    /// Logs a saved state that was of no use, and saves another one if that is due.
    pub(crate) fn was_filled(self: &Arc<Self>, from: &FilledFrom) {
        match from {
            FilledFrom::State { sequence } => self.saved_at(*sequence),
            FilledFrom::Source => {}
            FilledFrom::Fallback(error) => warn!(
                tenant = %self.list().tenant(), list = %self.name(), kind = error.kind(),
                "the saved state can't be used: the plugin was filled from the ledger"
            ),
        }
        self.save_if_due(self.generation().sequence());
    }

    /// Starts recovery of a list that has never served.
    pub(crate) fn fail_to_start(self: &Arc<Self>, error: &FillError) {
        warn!(
            tenant = %self.list().tenant(), list = %self.name(), kind = error.kind(), error = error.reason(),
            "the plugin can't be filled: the tenant's policy answers until it has recovered"
        );
        self.leave_to_recovery();
        self.report_fault(error.kind(), error.reason());
    }

    /// Leaves a list that has never served to the background task, with backoff and low priority: its plugin has just failed, on
    /// this list or on another one of the tenant.
    pub(crate) fn leave_to_recovery(self: &Arc<Self>) {
        self.recovery.breaker().fault(Instant::now());
        self.recover();
    }

    /// Starts the background task, unless it is running.
    pub(super) fn recover(self: &Arc<Self>) {
        if !self.recovery.under_way.swap(true, Ordering::SeqCst) {
            drop(self.context.runtime.spawn(recover(Arc::downgrade(self))));
        }
    }

    /// Starts recovery unless the plugin is healthy: the rollback that was to replace it is cancelled.
    pub(crate) fn recover_if_failed(self: &Arc<Self>) {
        if !self.is_well() {
            self.recover();
        }
    }

    pub(crate) fn health(&self) -> Health {
        Health {
            breaker: self.recovery.breaker().state(Instant::now()),
            recoveries: self.recovery.recoveries.load(Ordering::Relaxed),
        }
    }

    /// Why the plugin failed last. `None` if it has not since it began to serve the list.
    pub(crate) fn last_fault(&self) -> Option<String> {
        self.recovery.last_fault.lock().clone()
    }

    /// Whether there is nothing to recover from.
    fn is_well(&self) -> bool {
        match self.phase() {
            Phase::Serving => self.generation().is_whole(),
            Phase::Evicted | Phase::Detached => true,
            // Nothing to try until there is a plugin, and a ledger.
            Phase::Failed => self.is_withheld() || self.behind,
        }
    }

    /// Tries once. Returns whether the task is done.
    fn try_to_recover(self: &Arc<Self>, priority: Priority) -> bool {
        let Ok(_operation) = self.context.lifecycle.begin() else { return true };
        let start = Instant::now();
        let filled = self.refill(priority);
        let (tenant, list) = (self.list().tenant(), self.name());
        match &filled {
            Ok(()) if self.is_detached() => {}
            Ok(()) => {
                let took = start.elapsed();
                self.recovery.has_recovered(Instant::now());
                info!(%tenant, list, took = micros(took), "the plugin has recovered");
                self.context.events.emit(|| Event::Recovered {
                    tenant: tenant.clone(),
                    scope: self.list().scope().clone(),
                    took,
                });
            }
            Err(failed) => {
                let (kind, error) = (failed.kind(), failed.reason());
                match self.recovery.has_failed(&error) {
                    true => {
                        warn!(%tenant, list, kind, error = error.as_str(), "the plugin can't be filled; trying again");
                    }
                    false => {
                        debug!(%tenant, list, kind, error = error.as_str(), "the plugin still can't be filled");
                    }
                }
                self.report_fault(kind, error);
            }
        }
        filled.is_ok()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Refills a list, with backoff, until it serves or is gone.
async fn recover(list: Weak<LiveList>) {
    loop {
        let Some(wait) = list.upgrade().map(|list| list.recovery.breaker().fault(Instant::now())) else {
            return;
        };
        let mut left = wait;
        loop {
            let Some((pause, replaced)) = list.upgrade().map(|list| {
                (list.recovery.lies.lock().pause(Instant::now()), Arc::clone(&list.recovery.replaced))
            }) else {
                return;
            };
            left = left.max(pause);
            if left.is_zero() {
                break;
            }
            // If it was cut short, or it lied meanwhile, a pause is left.
            let _ = tokio::time::timeout(left, replaced.notified()).await;
            left = Duration::ZERO;
        }
        let is_first = wait.is_zero();
        let purpose = if is_first { Purpose::Recovery } else { Purpose::RepeatedRecovery };
        let Some(turn) = list.upgrade().map(|list| list.turns.take(purpose)) else { return };
        let turn = turn.await;
        let Some(strong) = list.upgrade() else { return };
        let start = Instant::now();
        // A plugin that is slow to fill, or fails again and again, must not slow down checks.
        let priority = if is_first { Priority::LowSoon } else { Priority::Low };
        let done = tokio::task::spawn_blocking(move || strong.is_well() || strong.try_to_recover(priority));
        let done = done.await.unwrap_or(false);
        if !done && !is_first {
            tokio::time::sleep(start.elapsed().saturating_mul(REST).min(Breaker::LONGEST_WAIT)).await;
        }
        drop(turn);
        if done {
            let Some(list) = list.upgrade() else { return };
            list.recovery.under_way.store(false, Ordering::SeqCst);
            // A fault since then found this task running, and left the list to it.
            if list.is_well()
                || list.context.lifecycle.is_closed()
                || list.recovery.under_way.swap(true, Ordering::SeqCst)
            {
                return;
            }
        }
    }
}
