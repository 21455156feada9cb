//! A plugin that failed is filled again in the background: from its saved state and the changes since, or from the ledger.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use portcullis_host::{Breaker, BreakerState, FillError, FilledFrom, Generation, at_low_priority};
use tracing::{info, warn};

use super::{LiveList, Service};
use crate::events::Event;

/// What is known of earlier faults, and whether one is being mended.
#[derive(Default)]
pub(super) struct Recovery {
    under_way: AtomicBool,
    breaker: Mutex<Breaker>,
    recoveries: AtomicU64,
}

/// How a generation is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Priority {
    /// As fast as can be.
    Normal,
    /// With what the machine has to spare.
    Low,
}

/// How a list's plugin has fared.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Health {
    /// Whether faults are retried at once, after a pause, or not for now.
    pub breaker: BreakerState,
    /// How often the plugin recovered from a fault since the engine was opened.
    pub recoveries: u64,
}

impl Recovery {
    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Another plugin has another record.
    pub(super) fn forget(&self) {
        self.breaker().reset();
    }
}

impl LiveList {
    /// Fills a new generation and puts it in place.
    pub(crate) fn refill(self: &Arc<Self>, pace: Priority) -> Result<(), FillError> {
        loop {
            let (mut recipe, version) = {
                let order = self.order();
                (order.recipe.clone(), order.version)
            };
            if !self.is_serving() {
                // The tenant may have no memory left for another one besides.
                self.generation().retire();
            }
            recipe.settings.capacity = self.entry_count();
            let make = || Generation::empty(recipe)?.filled_and_proved(&**self.entries(), Some(self.state()));
            let (next, from) = match pace {
                Priority::Normal => make(),
                Priority::Low => at_low_priority(make),
            }?;
            let order = self.order();
            if order.version != version {
                // The plugin was exchanged meanwhile, which may have mended it.
                if self.is_serving() && self.generation().is_whole() {
                    return Ok(());
                }
                continue;
            }
            self.blacklist.replace(Arc::new(next), &**self.entries())?;
            self.put_in_service();
            drop(order);
            self.was_filled(&from);
            return Ok(());
        }
    }

    /// Says where a generation was filled from, and sees to it that the next one can be filled from a saved state.
    pub(crate) fn was_filled(self: &Arc<Self>, from: &FilledFrom) {
        match from {
            FilledFrom::State { sequence } => self.saved_at(*sequence),
            FilledFrom::Source => {}
            FilledFrom::Fallback(error) => warn!(
                tenant = %self.list().tenant(), list = %self.name(), kind = error.kind(),
                "the saved state was of no use: the plugin was filled from the ledger"
            ),
        }
        self.save_if_due(self.generation().sequence());
    }

    /// For a gate that never served.
    pub(crate) fn fail_to_start(self: &Arc<Self>, error: &FillError) {
        warn!(
            tenant = %self.list().tenant(), list = %self.name(), kind = error.kind(),
            "the plugin can't be filled: the tenant's policy answers until it is"
        );
        self.note_fault(error.kind());
        self.recover();
    }

    /// Starts the background task, unless it is at work.
    pub(super) fn recover(self: &Arc<Self>) {
        if !self.recovery.under_way.swap(true, Ordering::SeqCst) {
            drop(self.context.runtime.spawn(recover(Arc::downgrade(self))));
        }
    }

    /// How its plugin stands.
    pub(crate) fn health(&self) -> Health {
        Health {
            breaker: self.recovery.breaker().state(Instant::now()),
            recoveries: self.recovery.recoveries.load(Ordering::Relaxed),
        }
    }

    /// Whether there is nothing to mend.
    fn is_well(&self) -> bool {
        match self.service() {
            Service::Serving => self.generation().is_whole(),
            Service::Evicted => true,
            Service::Out => false,
        }
    }

    /// Tries once. Whether the gate serves now.
    fn try_to_recover(self: &Arc<Self>, pace: Priority) -> bool {
        let start = Instant::now();
        let filled = self.refill(pace);
        let (tenant, list) = (self.list().tenant(), self.name());
        match &filled {
            Ok(()) => {
                let took = start.elapsed();
                self.recovery.recoveries.fetch_add(1, Ordering::Relaxed);
                self.recovery.breaker().serve(Instant::now());
                self.context.events.emit(|| Event::Recovered {
                    tenant: tenant.clone(),
                    scope: self.list().scope().clone(),
                    took,
                });
                info!(%tenant, list, took = micros(took), "the plugin is filled again and answers");
            }
            Err(error) => {
                self.note_fault(error.kind());
                warn!(%tenant, list, kind = error.kind(), "the plugin could not be filled");
            }
        }
        filled.is_ok()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Refills a gate until it serves, or is gone.
async fn recover(gate: Weak<LiveList>) {
    loop {
        let Some(wait) = gate.upgrade().map(|gate| gate.recovery.breaker().fault(Instant::now())) else {
            return;
        };
        tokio::time::sleep(wait).await;
        let Some(strong) = gate.upgrade() else { return };
        // A plugin that fails again and again does so where it is in nobody's way.
        let how = if wait.is_zero() { Priority::Normal } else { Priority::Low };
        let filled = tokio::task::spawn_blocking(move || strong.is_well() || strong.try_to_recover(how));
        if filled.await.unwrap_or(false) {
            let Some(gate) = gate.upgrade() else { return };
            gate.recovery.under_way.store(false, Ordering::SeqCst);
            // A fault since then found this task still at work, and left the gate to it.
            if gate.is_well() || gate.recovery.under_way.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}
