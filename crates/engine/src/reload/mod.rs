//! The exchange of one tenant's plugin while messages flow: over all lists of the tenant, or over none.
//!
//! The host's state machine ([`Exchange`]) says what is to be done; here it is done, on a thread of its own, and most of it with
//! low priority, so that checks go first.

mod driver;
mod record;
mod shadowing;
mod slots;
mod wish;

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use jiff::Timestamp;
use portcullis_host::{Ask, Exchange, NotNow, Stage, Task, Ticket};
use portcullis_ledger::TenantId;
use tracing::{info, warn};

pub(crate) use record::{Attempt, Outcome, Record, Run};
pub(crate) use slots::Slots;
pub(crate) use wish::{Setup, Shadowing, Told, What, Wish};

use crate::gateway::Gateway;
use crate::metrics::Metrics;
use crate::plugins::Digest;
use driver::Candidates;

const GONE_BACK: &str = "an administrator went back to what served before";

/// How a part of the gateway finds the whole, which is made of it.
pub(crate) type Whole = Arc<OnceLock<Weak<Gateway>>>;

/// Whoever has it changes the tenant, and nobody else does.
pub(crate) type Hold = parking_lot::ArcMutexGuard<parking_lot::RawMutex, ()>;

/// The exchange of one tenant's plugin.
///
/// Outlives the [`Tenant`](crate::tenant::Tenant) it is of, which is replaced with each change.
pub(crate) struct Reload {
    tenant: TenantId,
    whole: Whole,
    metrics: Arc<Metrics>,
    /// Held while an exchange is at work, and while an administrator changes the tenant: either waits for the other. Before
    /// `inner` and before the gateway's own lock on changes.
    at_work: Arc<parking_lot::Mutex<()>>,
    inner: Mutex<Inner>,
}

struct Inner {
    machine: Exchange<Wish>,
    tasks: VecDeque<Task<Wish>>,
    /// Whether a thread does the tasks.
    is_driven: bool,
    candidates: Option<Candidates>,
    record: Record,
    /// Why what is under way is not wanted any more, or what served had to go.
    why: Option<String>,
    /// Who is to be told what becomes of what is under way.
    told: Option<Sender<Told>>,
    /// Who is to be told that what served before serves again.
    gone_back: Option<Sender<Told>>,
    /// What was rolled back from: it is not tried again until there is something else.
    refused: Option<Digest>,
}

impl Reload {
    /// For a tenant that is served by `serving`.
    pub(crate) fn new(tenant: TenantId, serving: Setup, whole: Whole, metrics: Arc<Metrics>) -> Arc<Self> {
        let record = Record { serving, before: None, last: None, shadow: None };
        let inner = Inner {
            machine: Exchange::default(),
            tasks: VecDeque::new(),
            is_driven: false,
            candidates: None,
            record,
            why: None,
            told: None,
            gone_back: None,
            refused: None,
        };
        Arc::new(Reload { tenant, whole, metrics, at_work: Arc::default(), inner: Mutex::new(inner) })
    }

    /// Wishes for an exchange, and goes on at once.
    pub(crate) fn ask(self: &Arc<Self>, wish: Wish) {
        let shadow = wish.shadow.is_some();
        let mut inner = self.inner();
        if inner.machine.stage() == Stage::Shadowing {
            self.end(&mut inner, "another exchange was asked for");
        }
        let tasks = inner.machine.ask(Ask { to: wish, shadow });
        self.begin(inner, tasks);
    }

    /// Wishes for an exchange; whoever wishes is told what became of it.
    pub(crate) fn ask_and_hear(self: &Arc<Self>, what: What, shadow: Option<Shadowing>) -> Receiver<Told> {
        let (told, hear) = std::sync::mpsc::channel();
        self.ask(Wish { what, shadow, told: Some(told) });
        hear
    }

    /// A newer version of the tenant's plugin is there: asks for it, unless the tenant is to stay with the one it has.
    pub(crate) fn follow(self: &Arc<Self>, newest: Digest) {
        let wanted = {
            let inner = self.inner();
            let serving = &inner.record.serving;
            let stays = serving.pinned && inner.refused.is_none();
            !stays && inner.refused != Some(newest)
        };
        if wanted {
            self.ask(Wish { what: What::Newest, shadow: None, told: None });
        }
    }

    /// There is something new that can't even be asked for: why, in one sentence.
    pub(crate) fn refuse(&self, to: String, why: String) {
        let mut inner = self.inner();
        if inner.record.last.as_ref().is_some_and(|last| last.outcome == Outcome::UnderWay) {
            return;
        }
        let (began, stages) = (Timestamp::now(), Vec::new());
        inner.record.last = Some(Attempt { to, began, outcome: Outcome::UnderWay, why: None, stages });
        self.conclude(&mut inner, Outcome::Refused, Some(why));
    }

    /// Ends a shadow run: the candidate serves, of which the caller is told.
    pub(crate) fn promote(self: &Arc<Self>) -> Result<Receiver<Told>, NotNow> {
        let mut inner = self.inner();
        let tasks = inner.machine.promote()?;
        let (told, hear) = std::sync::mpsc::channel();
        inner.told = Some(told);
        self.begin(inner, tasks);
        Ok(hear)
    }

    /// Goes back to what served before the exchange that is under way, or the last one.
    ///
    /// # Errors
    ///
    /// [`NotNow::NothingToGoBackTo`] where nothing else has served since the start.
    pub(crate) fn go_back(self: &Arc<Self>) -> Result<Receiver<Told>, NotNow> {
        let mut inner = self.inner();
        let was_shadowing = inner.machine.stage() == Stage::Shadowing;
        match inner.machine.go_back() {
            Ok(tasks) => {
                let (told, hear) = std::sync::mpsc::channel();
                inner.why = Some(GONE_BACK.to_owned());
                if was_shadowing {
                    self.end(&mut inner, GONE_BACK);
                }
                inner.gone_back = Some(told);
                self.begin(inner, tasks);
                Ok(hear)
            }
            Err(nothing) => {
                let before = inner.record.before.clone().ok_or(nothing)?;
                drop(inner);
                Ok(self.ask_and_hear(What::Back(before), None))
            }
        }
    }

    /// What serves failed on one of the lists. Whether the one before takes its place again, which then is seen to.
    pub(crate) fn fault(self: &Arc<Self>, list: &str, kind: &'static str) -> bool {
        let mut inner = self.inner();
        let stage = inner.machine.stage();
        match inner.machine.fault() {
            Some(tasks) => {
                warn!(tenant = %self.tenant, list, kind, "the new plugin failed: the one before takes its place again");
                inner.why = Some(format!("it failed in service on the list {list}: {kind}"));
                self.begin(inner, tasks);
                true
            }
            // Of several lists, or instances, each may notice.
            None => stage == Stage::RollingBack,
        }
    }

    fn shadow_over(self: &Arc<Self>, ticket: Ticket, refused: Option<String>) {
        let mut inner = self.inner();
        let tasks = inner.machine.shadow_over(ticket, refused.is_none());
        if let (Some(why), false) = (&refused, tasks.is_empty()) {
            self.end(&mut inner, why);
        }
        self.begin(inner, tasks);
    }

    fn watch_over(self: &Arc<Self>, ticket: Ticket) {
        let mut inner = self.inner();
        let tasks = inner.machine.watch_over(ticket);
        if !tasks.is_empty() {
            info!(tenant = %self.tenant, "the new plugin has served well: the one before is let go of");
        }
        self.begin(inner, tasks);
    }

    /// Holds exchanges up while the tenant is changed.
    pub(crate) fn hold(&self) -> Hold {
        self.at_work.lock_arc()
    }

    /// While held: the tenant is another now, and served by `serving`. What was under way is given up.
    pub(crate) fn changed(&self, serving: Setup) {
        let mut inner = self.inner();
        let stage = inner.machine.stage();
        if matches!(stage, Stage::Shadowing | Stage::Watching) {
            if stage == Stage::Shadowing {
                self.end(&mut inner, "the tenant's settings were changed");
            }
            inner.candidates = None;
            inner.machine = Exchange::default();
        }
        if !serving.is(&inner.record.serving) {
            inner.record.before = Some(inner.record.serving.clone());
            inner.refused = None;
        }
        inner.record.serving = serving;
    }

    /// What it is doing, what waits, and what is known.
    pub(crate) fn look(&self) -> (Stage, bool, Record) {
        let inner = self.inner();
        (inner.machine.stage(), inner.machine.queued().is_some(), inner.record.clone())
    }

    /// What serves.
    pub(crate) fn serving(&self) -> Setup {
        self.inner().record.serving.clone()
    }

    /// The versions that must be kept.
    pub(crate) fn in_use(&self) -> Vec<Digest> {
        let record = &self.inner().record;
        [Some(&record.serving), record.before.as_ref()]
            .into_iter()
            .flatten()
            .map(|setup| setup.version.digest)
            .collect()
    }

    /// What is under way ends without serving, unless it has ended: why.
    fn end(&self, inner: &mut Inner, why: &str) {
        if inner.record.last.as_ref().is_some_and(|last| last.outcome == Outcome::UnderWay) {
            self.conclude(inner, Outcome::Refused, Some(why.to_owned()));
        }
        inner.tell(Told::Refused(why.to_owned()));
    }

    /// Writes down, and counts, how the last exchange went.
    fn conclude(&self, inner: &mut Inner, outcome: Outcome, why: Option<String>) {
        if let Some(last) = &mut inner.record.last {
            (last.outcome, last.why) = (outcome, why);
        }
        self.metrics.exchange(&self.tenant, outcome);
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn tell(&mut self, told: Told) {
        if let Some(teller) = self.told.take() {
            // Whoever wished may have stopped waiting.
            let _ = teller.send(told);
        }
    }
}
