//! Filling the new lists of several tenants, so that a plugin that does not start holds up the others for a bounded time, however
//! many lists it has, and however many such plugins there are.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use portcullis_host::{CallError, FillError, at_low_priority};
use tracing::{info, warn};

use crate::context::Context;
use crate::error::TenantError;
use crate::live::{LiveList, Priority};
use crate::tenant::Opened;

/// How long a start waits for plugins that take no entries: while a long list is filled, the plugin takes some every few
/// milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often that is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// How much time a tenant's plugin may lose by failing until the tenant's other lists are left to recovery.
const LOSS: Duration = Duration::from_millis(250);
/// The most tenants at a time: those whose plugins compute in vain leave time for the others.
const MOST_THREADS: usize = 64;

/// The lists of tenants that are put together.
pub(crate) struct Filling {
    tenants: Vec<Unfilled>,
    /// The index of the next one that no thread fills.
    next: AtomicUsize,
    /// How many of them are done.
    done: Mutex<usize>,
    one_done: Condvar,
    context: Arc<Context>,
}

/// The lists of a tenant.
struct Unfilled {
    lists: Vec<Arc<LiveList>>,
    plugin: String,
    /// Whether the others need not wait for it.
    may_lag: bool,
    /// Whether its plugin started on a list.
    has_started: AtomicBool,
    progress: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    is_done: bool,
    /// Why its plugin does not start.
    problem: Option<TenantError>,
    /// Why the first of its lists was not filled that was not.
    unfit: Option<FillError>,
    /// Whether nobody waits for it any more.
    is_late: bool,
}

impl Filling {
    /// Fills the new lists of these tenants. A list that can't be filled goes into recovery; one that memory has no room for starts
    /// evicted. A lenient tenant whose plugin does not get on is filled in the background.
    pub(crate) fn run<'a>(context: &Arc<Context>, opened: impl Iterator<Item = &'a mut Opened>) {
        let mut opened: Vec<_> = opened.filter(|opened| !opened.unfilled.is_empty()).collect();
        let tenants: Vec<_> = opened.iter().map(|opened| Unfilled::of(opened)).collect();
        let filling = Arc::new(Filling {
            next: AtomicUsize::new(0),
            done: Mutex::new(0),
            one_done: Condvar::new(),
            context: Arc::clone(context),
            tenants,
        });
        filling.start();
        filling.wait();
        for (opened, tenant) in opened.iter_mut().zip(&filling.tenants) {
            let mut progress = tenant.progress.lock();
            progress.is_late = !progress.is_done;
            let late = progress.is_late.then(|| TenantError::Late { plugin: tenant.plugin.clone() });
            opened.problem = opened.problem.take().or(progress.problem.take()).or(late);
            let unfit = progress.unfit.take().filter(|_| tenant.may_lag);
            opened.unfit = unfit.map(|source| TenantError::Fill { plugin: tenant.plugin.clone(), source });
        }
    }

    /// Starts as many threads as there are processors, or more if there is a tenant that others need not wait for.
    fn start(self: &Arc<Self>) {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let lists: usize = self.tenants.iter().map(|tenant| tenant.lists.len()).sum();
        let threads = match self.tenants.iter().any(|tenant| tenant.may_lag) {
            true => MOST_THREADS.max(processors).min(self.tenants.len()),
            false => processors.min(lists).min(self.tenants.len()),
        };
        let mut started = 0;
        for _ in 0..threads {
            // Those that lag go on when the caller is gone.
            let Ok(operation) = self.context.lifecycle.begin() else { break };
            let filling = Arc::clone(self);
            let fill = move || {
                let _operation = operation;
                filling.fill();
            };
            if thread::Builder::new().name("portcullis-fill".to_owned()).spawn(fill).is_ok() {
                started += 1;
            }
        }
        if started == 0 {
            self.fill();
        }
    }

    fn fill(&self) {
        while let Some(tenant) = self.tenants.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            // Also if there is a defect, so that nobody waits in vain.
            let _done = Done { filling: self, tenant };
            let processors = thread::available_parallelism().map_or(1, usize::from);
            tenant.fill(processors / self.tenants.len(), &self.context);
        }
    }

    /// Waits until all are done, or those that are not don't get on.
    fn wait(&self) {
        let mut seen: Vec<_> = self.tenants.iter().map(|tenant| (tenant.reads(), Instant::now())).collect();
        let mut done = self.done.lock();
        let mut next_look = Instant::now() + LOOK;
        while *done < self.tenants.len() {
            let is_early = !self.one_done.wait_until(&mut done, next_look).timed_out();
            // There may be ten thousand tenants, each of which wakes this.
            if is_early && Instant::now() < next_look {
                continue;
            }
            next_look = Instant::now() + LOOK;
            let begun = self.next.load(Ordering::Relaxed);
            let now = Instant::now();
            let mut is_any_awaited = false;
            for (index, (tenant, (reads, since))) in self.tenants.iter().zip(&mut seen).enumerate() {
                let now_read = tenant.reads();
                if index >= begun || now_read != *reads {
                    (*reads, *since) = (now_read, now);
                }
                let is_stuck = tenant.may_lag && now.duration_since(*since) >= PATIENCE;
                is_any_awaited |= !is_stuck && !tenant.progress.lock().is_done;
            }
            if !is_any_awaited {
                return;
            }
        }
    }
}

/// Marks a tenant as done when it is dropped.
struct Done<'a> {
    filling: &'a Filling,
    tenant: &'a Unfilled,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.filling.context.opened.fetch_add(self.tenant.lists.len(), Ordering::Relaxed);
        self.tenant.progress.lock().is_done = true;
        *self.filling.done.lock() += 1;
        self.filling.one_done.notify_all();
    }
}

impl Unfilled {
    fn of(opened: &Opened) -> Self {
        Unfilled {
            lists: opened.unfilled.clone(),
            plugin: opened.plugin().to_owned(),
            may_lag: opened.lenient,
            has_started: AtomicBool::new(false),
            progress: Mutex::default(),
        }
    }

    /// How often its plugin took entries, or was asked about some.
    fn reads(&self) -> u64 {
        self.lists.iter().map(|list| list.entries().reads()).sum()
    }

    /// Fills the lists on as many threads as the tenants leave to each.
    fn fill(&self, threads: usize, context: &Context) {
        let next = AtomicUsize::new(0);
        let lost = Mutex::new(Duration::ZERO);
        thread::scope(|scope| {
            for _ in 1..threads.min(self.lists.len()) {
                scope.spawn(|| self.fill_from(&next, &lost, context));
            }
            self.fill_from(&next, &lost, context);
        });
        if let Some(list) = self.lists.first()
            && self.progress.lock().is_late
        {
            info!(tenant = %list.list().tenant(), plugin = self.plugin, "a start of the plugin that took long is over");
        }
    }

    fn fill_from(&self, next: &AtomicUsize, lost: &Mutex<Duration>, context: &Context) {
        while let Some(list) = self.lists.get(next.fetch_add(1, Ordering::Relaxed)) {
            if context.lifecycle.is_closed() {
                // Closing the engine waits for this.
                return;
            }
            let start = Instant::now();
            let Err(error) = self.fill_one(list, context) else { continue };
            list.fail_to_start(&error);
            let lost = {
                let mut lost = lost.lock();
                *lost += start.elapsed();
                *lost
            };
            let is_slow = matches!(error, FillError::Plugin(CallError::TimedOut { .. })) || lost >= LOSS;
            // Otherwise no thread takes another one.
            let begun =
                if is_slow { next.swap(self.lists.len(), Ordering::Relaxed) } else { self.lists.len() };
            let left = self.lists.get(begun..).unwrap_or_default();
            if !left.is_empty() {
                warn!(
                    tenant = %list.list().tenant(), plugin = self.plugin, lists = left.len(), kind = error.kind(), error = error.reason(),
                    "the plugin can't be filled: the tenant's other lists are out of service until it has recovered"
                );
                left.iter().for_each(|list| list.leave_to_recovery());
            }
            self.progress.lock().unfit.get_or_insert(error);
        }
    }

    fn fill_one(&self, list: &Arc<LiveList>, context: &Context) -> Result<(), FillError> {
        if list.is_withheld() || list.is_behind() {
            // There is nothing to fill it with.
            return Ok(());
        }
        // Of a tenant whose lists have no room, one shows whether the plugin starts.
        let is_needed = !self.has_started.load(Ordering::Relaxed) || !context.residency.is_full();
        if self.may_lag && is_needed {
            // A plugin that computes in vain must not take the others' time.
            at_low_priority(|| list.probe()).inspect_err(|error| self.note(error))?;
            self.has_started.store(true, Ordering::Relaxed);
        }
        let Some(_room) = list.try_reserve_memory() else {
            list.start_evicted();
            return Ok(());
        };
        list.refill(Priority::Normal)
    }

    /// The plugin has seen no entries yet, so its words contain no numbers.
    fn note(&self, error: &CallError) {
        let start = || TenantError::Start { plugin: self.plugin.clone(), source: error.clone() };
        self.progress.lock().problem.get_or_insert_with(start);
    }
}
