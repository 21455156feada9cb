//! The exchange of one tenant's plugin while messages flow: over all lists of the tenant, or over none.
//!
//! The host's state machine ([`Exchange`]) says what is to be done; here it is done, on a thread of its own, and most of it with
//! low priority, so that checks go first.

mod driver;
mod error;
mod record;
mod request;
mod shadow;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use portcullis_host::{Exchange, ExchangeError, ExchangeRequest, Stage, Task, Ticket};
use portcullis_ledger::TenantId;
use portcullis_plugin_store::Digest;
use tokio::sync::oneshot;
use tracing::{info, warn};

pub use error::ReloadError;
pub use record::{Attempt, ReloadStatus, ShadowReport};
pub use request::{ReloadRequest, Reloaded, Setup, ShadowTerms};

pub(crate) use request::{Answer, Goal, Queued};

use crate::context::Context;
use crate::events::Event;
use crate::live::FaultListener;
use crate::members::Members;
use crate::outcome::Outcome;
use driver::Candidates;
use record::Record;
use request::Reply;

/// Held by whoever changes the tenant.
pub(crate) type ReloadGuard = parking_lot::ArcMutexGuard<parking_lot::RawMutex, ()>;

/// The exchange of one tenant's plugin.
pub(crate) struct Reload {
    tenant: TenantId,
    context: Arc<Context>,
    /// The tenant's lists; none once it was removed. Changed only by whoever holds `at_work`.
    members: Arc<ArcSwapOption<Members>>,
    /// Held while an exchange is at work, and while an administrator changes the tenant: either waits for the other. Before
    /// `inner`, and before the engine's own lock on changes.
    at_work: Arc<parking_lot::Mutex<()>>,
    inner: Mutex<Inner>,
}

struct Inner {
    machine: Exchange<Queued>,
    tasks: VecDeque<Task<Queued>>,
    /// Whether a thread does the tasks.
    is_driven: bool,
    candidates: Option<Candidates>,
    record: Record,
    /// Why what is under way is not wanted any more, or what served had to go.
    why: Option<Arc<ReloadError>>,
    /// Who asked for what is under way.
    reply: Option<Reply>,
    /// Who asked for what served before.
    back_reply: Option<Reply>,
    /// What was rolled back from: it is not tried again until there is something else.
    refused: Option<Digest>,
}

impl Reload {
    /// For a tenant that is served by `serving`.
    pub(crate) fn new(
        tenant: TenantId,
        serving: Setup,
        context: Arc<Context>,
        members: Arc<ArcSwapOption<Members>>,
    ) -> Self {
        let record = Record { serving, before: None, last: None, shadow: None };
        let inner = Inner {
            machine: Exchange::default(),
            tasks: VecDeque::new(),
            is_driven: false,
            candidates: None,
            record,
            why: None,
            reply: None,
            back_reply: None,
            refused: None,
        };
        Reload { tenant, context, members, at_work: Arc::default(), inner: Mutex::new(inner) }
    }

    /// Queues a request, and returns at once.
    fn ask(self: &Arc<Self>, queued: Queued) {
        let shadow = queued.shadow.is_some();
        let mut inner = self.inner();
        if inner.machine.stage() == Stage::Shadowing {
            self.end(&mut inner, &Arc::new(ReloadError::Superseded));
        }
        let tasks = inner.machine.request(ExchangeRequest { to: queued, shadow });
        self.begin(inner, tasks);
    }

    /// Queues a request, and returns where its answer will be.
    pub(crate) fn request(self: &Arc<Self>, goal: Goal, shadow: Option<ShadowTerms>) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.ask(Queued { goal, shadow, reply: Some(reply) });
        answer
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
            self.ask(Queued { goal: Goal::Newest, shadow: None, reply: None });
        }
    }

    /// There is something new that can't even be asked for.
    pub(crate) fn refuse(&self, to: String, error: ReloadError) {
        let mut inner = self.inner();
        if inner.record.last.as_ref().is_some_and(|last| last.outcome == Outcome::UnderWay) {
            return;
        }
        let (began, stages) = (Timestamp::now(), Vec::new());
        inner.record.last = Some(Attempt { to, began, outcome: Outcome::UnderWay, error: None, stages });
        self.conclude(&mut inner, Outcome::Refused, Some(Arc::new(error)));
    }

    /// Ends a shadow run: the candidate serves, of which the caller is told.
    pub(crate) fn promote(self: &Arc<Self>) -> Result<Answer, ExchangeError> {
        let mut inner = self.inner();
        let tasks = inner.machine.promote()?;
        let (reply, answer) = oneshot::channel();
        inner.reply = Some(reply);
        self.begin(inner, tasks);
        Ok(answer)
    }

    /// Goes back to what served before the exchange that is under way, or the last one.
    ///
    /// # Errors
    ///
    /// [`ExchangeError::NothingToRollBackTo`] where nothing else has served since the start.
    pub(crate) fn go_back(self: &Arc<Self>) -> Result<Answer, ExchangeError> {
        let mut inner = self.inner();
        let was_shadowing = inner.machine.stage() == Stage::Shadowing;
        match inner.machine.roll_back() {
            Ok(tasks) => {
                let (reply, answer) = oneshot::channel();
                let why = Arc::new(ReloadError::RolledBack);
                inner.why = Some(Arc::clone(&why));
                if was_shadowing {
                    self.end(&mut inner, &why);
                }
                inner.back_reply = Some(reply);
                self.begin(inner, tasks);
                Ok(answer)
            }
            Err(nothing) => {
                let before = inner.record.before.clone().ok_or(nothing)?;
                drop(inner);
                Ok(self.request(Goal::Back(before), None))
            }
        }
    }

    fn shadow_over(self: &Arc<Self>, ticket: Ticket, refused: Option<ReloadError>) {
        let mut inner = self.inner();
        let tasks = inner.machine.end_shadow(ticket, refused.is_none());
        if let (Some(why), false) = (refused, tasks.is_empty()) {
            self.end(&mut inner, &Arc::new(why));
        }
        self.begin(inner, tasks);
    }

    fn watch_over(self: &Arc<Self>, ticket: Ticket) {
        let mut inner = self.inner();
        let tasks = inner.machine.end_watch(ticket);
        if !tasks.is_empty() {
            info!(tenant = %self.tenant, "the new plugin has served well: the one before is let go of");
        }
        self.begin(inner, tasks);
    }

    /// Holds exchanges up while the tenant is changed.
    pub(crate) fn hold(&self) -> ReloadGuard {
        self.at_work.lock_arc()
    }

    /// While held: the tenant is another now, and served by `serving`. What was under way is given up.
    pub(crate) fn changed(&self, serving: Setup) {
        let mut inner = self.inner();
        let stage = inner.machine.stage();
        if matches!(stage, Stage::Shadowing | Stage::Watching) {
            if stage == Stage::Shadowing {
                self.end(&mut inner, &Arc::new(ReloadError::SettingsChanged));
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

    /// How it stands.
    pub(crate) fn status(&self) -> ReloadStatus {
        let inner = self.inner();
        let Record { serving, before, last, shadow } = inner.record.clone();
        ReloadStatus {
            stage: inner.machine.stage(),
            queued: inner.machine.queued().is_some(),
            serving,
            before,
            last,
            shadow,
        }
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

    /// What is under way ends without serving, unless it has ended.
    fn end(&self, inner: &mut Inner, why: &Arc<ReloadError>) {
        if inner.record.last.as_ref().is_some_and(|last| last.outcome == Outcome::UnderWay) {
            self.conclude(inner, Outcome::Refused, Some(Arc::clone(why)));
        }
        inner.answer(Err(Arc::clone(why)));
    }

    /// Records how the last exchange went, and tells of it.
    fn conclude(&self, inner: &mut Inner, outcome: Outcome, error: Option<Arc<ReloadError>>) {
        if let Some(last) = &mut inner.record.last {
            (last.outcome, last.error) = (outcome, error);
        }
        self.context.events.emit(|| Event::Reloaded { tenant: self.tenant.clone(), outcome });
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FaultListener for Reload {
    fn fault(self: Arc<Self>, list: &str, kind: &'static str) -> bool {
        let mut inner = self.inner();
        let stage = inner.machine.stage();
        match inner.machine.fault() {
            Some(tasks) => {
                warn!(tenant = %self.tenant, list, kind, "the new plugin failed: the one before takes its place again");
                inner.why = Some(Arc::new(ReloadError::Faulted { list: list.to_owned(), kind }));
                self.begin(inner, tasks);
                true
            }
            // Of several lists, or instances, each may notice.
            None => stage == Stage::RollingBack,
        }
    }
}

impl Inner {
    fn answer(&mut self, answer: Result<Reloaded, Arc<ReloadError>>) {
        if let Some(reply) = self.reply.take() {
            // Whoever asked may have stopped waiting.
            let _ = reply.send(answer);
        }
    }
}
