//! One blacklist in service: the record of its entries, the plugin that answers for them, and what happens when
//! that fails.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use portcullis_host::{
    Blacklist, CallError, Change, EntrySource, FillError, Generation, Recipe, SourceError, Verdict,
};
use portcullis_ledger::{List, Scope, Seq};
use portcullis_msisdn::{Direction, Subject};
use tokio::runtime::Handle;
use tracing::{info, warn};

/// One blacklist in service.
///
/// The ledger's list is the truth, and the plugin a view of it. A view that failed, or that can't be brought up to
/// date, is out of service until a background task has filled a new one; meanwhile the tenant's policy answers.
pub(crate) struct Gate {
    entries: Entries,
    blacklist: Blacklist,
    /// Whether the plugin has every acknowledged entry. Set under `order`; cleared at any time.
    serving: AtomicBool,
    /// Held while the plugin is brought up to date, so that a write is either in the plugin when it is
    /// acknowledged, or the plugin is out of service.
    order: Mutex<Order>,
    recovery: Recovery,
    /// Where the background task runs: faults are noticed on threads of all kinds.
    runtime: Handle,
}

/// What the next generation is to be made of.
struct Order {
    recipe: Recipe,
    /// How often the recipe was exchanged: a generation made of an older one is not put in.
    version: u64,
}

impl Gate {
    /// A gate that is out of service until it is filled.
    ///
    /// Starts the plugin, so that options which the plugin refuses are found here.
    pub(crate) fn open(list: List, recipe: Recipe, runtime: Handle) -> Result<Self, CallError> {
        let blacklist = Blacklist::new(Generation::empty(recipe.clone())?);
        Ok(Gate {
            entries: Entries(list),
            blacklist,
            serving: AtomicBool::new(false),
            order: Mutex::new(Order { recipe, version: 0 }),
            recovery: Recovery::default(),
            runtime,
        })
    }

    /// The ledger's list.
    pub(crate) fn list(&self) -> &List {
        &self.entries.0
    }

    /// Whether the plugin answers; otherwise the policy does.
    pub(crate) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Acquire)
    }

    /// The generation that is in place.
    pub(crate) fn generation(&self) -> Arc<Generation> {
        self.blacklist.generation()
    }

    /// The plugin's verdict; `None` where the policy has to answer.
    pub(crate) fn check(self: &Arc<Self>, subject: Subject, direction: Direction) -> Option<Verdict> {
        if !self.is_serving() {
            return None;
        }
        self.blacklist.check(subject, direction).map_err(|fault| self.fail(fault.kind())).ok()
    }

    /// The plugin's verdicts, in order; `None` where the policy has to answer.
    pub(crate) fn check_many(
        self: &Arc<Self>,
        subjects: &[Subject],
        direction: Direction,
    ) -> Option<Vec<Verdict>> {
        if !self.is_serving() {
            return None;
        }
        self.blacklist.check_many(subjects, direction).map_err(|fault| self.fail(fault.kind())).ok()
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
            self.blacklist.catch_up(&self.entries)
        };
        if let Err(error) = followed {
            self.fail(kind(&error));
        }
    }

    /// Fills a new generation from the ledger and puts it in place.
    pub(crate) fn refill(&self) -> Result<(), FillError> {
        loop {
            let (recipe, version) = {
                let order = self.order();
                (order.recipe.clone(), order.version)
            };
            self.vacate(&recipe);
            let next = Generation::filled(recipe, &self.entries)?;
            let order = self.order();
            if order.version == version {
                self.blacklist.replace(next, &self.entries)?;
                self.serving.store(true, Ordering::Release);
                return Ok(());
            }
        }
    }

    /// Frees the memory of a generation that is out of service, as the tenant may have none left for another one.
    fn vacate(&self, recipe: &Recipe) {
        let _order = self.order();
        if !self.is_serving()
            && let Ok(empty) = Generation::empty(recipe.clone())
        {
            // It is not asked anything, and has nothing to catch up with.
            let _ = self.blacklist.replace(empty, &Nothing);
        }
    }

    /// A generation of another recipe, filled from the ledger, for [`Gate::exchange`].
    pub(crate) fn prepare(&self, recipe: Recipe) -> Result<Generation, FillError> {
        Generation::filled(recipe, &self.entries)
    }

    /// Puts a prepared generation in place. At no instant is the list without one that has every acknowledged entry.
    pub(crate) fn exchange(self: &Arc<Self>, next: Generation) {
        let exchanged = {
            let mut order = self.order();
            order.recipe = next.recipe().clone();
            order.version += 1;
            self.blacklist.replace(next, &self.entries).map(|_| self.serving.store(true, Ordering::Release))
        };
        if let Err(error) = exchanged {
            self.fail(kind(&error));
        }
    }

    /// Takes the plugin out of service, and has a new generation made.
    pub(crate) fn fail(self: &Arc<Self>, kind: &'static str) {
        if self.serving.swap(false, Ordering::SeqCst) {
            warn!(
                tenant = %self.list().tenant(), list = %self.name(), kind,
                "the plugin failed: the tenant's policy answers until it is filled again"
            );
        }
        self.recover();
    }

    /// As [`Gate::fail`], for a gate that never served.
    pub(crate) fn fail_to_start(self: &Arc<Self>, error: &FillError) {
        warn!(
            tenant = %self.list().tenant(), list = %self.name(), kind = kind(error),
            "the plugin can't be filled: the tenant's policy answers until it is"
        );
        self.recover();
    }

    /// Starts the background task, unless it is at work.
    fn recover(self: &Arc<Self>) {
        if !self.recovery.under_way.swap(true, Ordering::SeqCst) {
            drop(self.runtime.spawn(recover(Arc::downgrade(self))));
        }
    }

    /// The list's name in logs.
    pub(crate) fn name(&self) -> &str {
        match self.list().scope() {
            Scope::Tenant => "tenant-wide",
            Scope::Sender(sender) => sender.as_str(),
        }
    }

    fn order(&self) -> MutexGuard<'_, Order> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of earlier recoveries.
#[derive(Default)]
struct Recovery {
    under_way: AtomicBool,
    attempts: Mutex<Attempts>,
}

#[derive(Default)]
struct Attempts {
    /// How many there were, each soon after the one before.
    count: u32,
    last: Option<Instant>,
}

/// A plugin that lasted this long after a recovery is taken for well.
const STEADY: Duration = Duration::from_secs(60);
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(30);

impl Attempts {
    /// How long to wait before the next attempt: not at all before the first one, then twice as long each time.
    fn next_delay(&mut self, now: Instant) -> Duration {
        if self.last.is_none_or(|last| now.duration_since(last) > STEADY) {
            self.count = 0;
        }
        self.last = Some(now);
        self.count += 1;
        match self.count.checked_sub(2) {
            None => Duration::ZERO,
            Some(doublings) => FIRST_DELAY.saturating_mul(1 << doublings.min(16)).min(LONGEST_DELAY),
        }
    }
}

/// Refills a gate until it serves, or is gone.
async fn recover(gate: Weak<Gate>) {
    loop {
        let Some(delay) = gate.upgrade().map(|gate| {
            let mut attempts = gate.recovery.attempts.lock().unwrap_or_else(PoisonError::into_inner);
            attempts.next_delay(Instant::now())
        }) else {
            return;
        };
        tokio::time::sleep(delay).await;
        let Some(strong) = gate.upgrade() else { return };
        let filled = tokio::task::spawn_blocking(move || {
            let filled = strong.refill();
            let (tenant, list) = (strong.list().tenant(), strong.name());
            match &filled {
                Ok(()) => info!(%tenant, list, "the plugin is filled again and answers"),
                Err(error) => warn!(%tenant, list, kind = kind(error), "the plugin could not be filled"),
            }
            filled.is_ok()
        });
        if filled.await.unwrap_or(false) {
            let Some(gate) = gate.upgrade() else { return };
            gate.recovery.under_way.store(false, Ordering::SeqCst);
            // A fault since then found this task still at work, and left the gate to it.
            if gate.is_serving() || gate.recovery.under_way.swap(true, Ordering::SeqCst) {
                return;
            }
        }
    }
}

/// What failed, for logs. A plugin's own words stay out: one that works on numbers in clear may put them there.
fn kind(error: &FillError) -> &'static str {
    match error {
        FillError::Plugin(fault) => fault.kind(),
        FillError::Source(_) => "ledger",
        FillError::EntryRefused { .. } => "entry-refused",
        FillError::Miscounted { .. } => "miscounted",
        FillError::Forgotten { .. } => "forgotten",
        _ => "other",
    }
}

/// The ledger's list, as the host asks for entries.
struct Entries(List);

fn source_error(error: portcullis_ledger::LedgerError) -> SourceError {
    Box::new(error)
}

fn at_least_one(limit: usize) -> std::num::NonZeroUsize {
    std::num::NonZeroUsize::new(limit).unwrap_or(std::num::NonZeroUsize::MIN)
}

impl EntrySource for Entries {
    fn sequence(&self) -> Result<u64, SourceError> {
        self.0.sequence().map(Seq::get).map_err(source_error)
    }

    fn members(
        &self,
        after: Option<Subject>,
        limit: usize,
    ) -> Result<Vec<portcullis_host::Entry>, SourceError> {
        let members = self.0.members(after, at_least_one(limit)).map_err(source_error)?;
        let entry = |(subject, directions)| portcullis_host::Entry { subject, directions };
        Ok(members.into_iter().map(entry).collect())
    }

    fn changes_since(&self, sequence: u64, limit: usize) -> Result<Vec<Change>, SourceError> {
        let changes = self.0.changes_since(Seq::new(sequence), at_least_one(limit)).map_err(source_error)?;
        let change = |change: portcullis_ledger::Change| Change {
            subject: change.subject,
            directions: change.directions,
            sequence: change.sequence.get(),
        };
        Ok(changes.changes.into_iter().map(change).collect())
    }
}

/// A source without entries.
struct Nothing;

impl EntrySource for Nothing {
    fn sequence(&self) -> Result<u64, SourceError> {
        Ok(0)
    }

    fn members(&self, _: Option<Subject>, _: usize) -> Result<Vec<portcullis_host::Entry>, SourceError> {
        Ok(Vec::new())
    }

    fn changes_since(&self, _: u64, _: usize) -> Result<Vec<Change>, SourceError> {
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_attempt_is_made_at_once_and_later_ones_ever_less_often() {
        let mut attempts = Attempts::default();
        let start = Instant::now();
        let delays: Vec<_> = (0..12).map(|_| attempts.next_delay(start).as_millis()).collect();
        assert_eq!(delays[..5], [0, 50, 100, 200, 400]);
        assert_eq!(delays[11], 30_000);
        assert_eq!(attempts.next_delay(start + STEADY), LONGEST_DELAY);
        assert_eq!(attempts.next_delay(start + 2 * STEADY + Duration::from_secs(1)), Duration::ZERO);
    }
}
