//! Reloads: another plugin, version or options for a tenant while messages flow, on all of its lists or on none.
//!
//! The host's state machine ([`Exchange`]) decides what to do next. The driver does it on a worker thread, mostly with low priority,
//! so that checks go first.

mod driver;
mod error;
mod record;
mod request;
mod shadow;
mod storing;

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use portcullis_host::{
    Exchange, ExchangeError, ExchangeRequest, ReloadOutcome as Outcome, Stage, Task, Ticket,
};
use portcullis_ledger::TenantId;
use portcullis_plugin_store::{Digest, Trial};
use portcullis_tenant_settings::Chosen;
use tracing::{error, info, warn};

use crate::setup::Setup;
pub use error::ReloadError;
pub use record::{Attempt, ReloadStatus, ShadowReport};
pub use request::{ReloadRequest, Reloaded, ShadowTerms};

pub(crate) use request::{Answer, Goal, Queued};

use crate::context::Context;
use crate::error::TenantError;
use crate::events::Event;
use crate::live::FaultListener;
use crate::members::Members;
use driver::Candidates;
use record::Record;
use request::Reply;
use storing::{Due, Storing};

/// What becomes of a version that a tenant is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// The tenant loads it.
    Accepted,
    /// It was refused before, or the tenant was rolled back from it.
    Refused,
    /// The tenant has it, or is pinned to another one.
    NotNeeded,
}

/// Keeps a tenant's reloads from running.
pub(crate) type ReloadGuard = parking_lot::ArcMutexGuard<parking_lot::RawMutex, ()>;

/// The reloads of one tenant.
pub(crate) struct Reload {
    tenant: TenantId,
    context: Arc<Context>,
    /// The tenant's lists; `None` once it was removed. Changed only under `running`.
    members: Arc<ArcSwapOption<Members>>,
    /// Held while a reload runs, and while the tenant's spec is changed. Taken before `inner`.
    running: Arc<Mutex<()>>,
    inner: Mutex<Inner>,
}

struct Inner {
    machine: Exchange<Queued>,
    /// How often the machine was reset: its tickets start again with each.
    epoch: u64,
    tasks: VecDeque<Task<Queued>>,
    /// Whether a driver does the tasks.
    is_driven: bool,
    candidates: Option<Candidates>,
    record: Record,
    /// When it is stored that the plugin of the reload in progress serves.
    storing: Storing,
    /// Set while what serves is not stored.
    due: Option<Due>,
    /// What is stored, and does not serve yet.
    following: Option<Chosen>,
    /// Why the reload in progress is unwanted, or why it is rolled back.
    why: Option<Arc<ReloadError>>,
    /// Waits for the reload in progress.
    reply: Option<Reply>,
    /// Wait for the rollback.
    rollback_replies: Vec<Reply>,
    /// The version that was rolled back. It is not followed again.
    refused: Option<Digest>,
    /// Delivered when the lock is released.
    events: Vec<Event>,
    /// Sent when the lock is released, after the events: whoever waits for an answer may look at what was counted.
    answers: Vec<(Reply, Result<Reloaded, Arc<ReloadError>>)>,
}

/// The lock of [`Inner`]. Releasing it delivers the events and the answers, so that a listener may read the tenant's status.
struct Locked<'a> {
    inner: MutexGuard<'a, Inner>,
    context: &'a Context,
}

impl Reload {
    /// For a tenant that `serving` serves.
    pub(crate) fn new(
        tenant: TenantId,
        serving: Setup,
        context: Arc<Context>,
        members: Arc<ArcSwapOption<Members>>,
    ) -> Self {
        let record = Record { serving, before: None, last: None, shadow: None };
        let inner = Inner {
            machine: Exchange::default(),
            epoch: 0,
            tasks: VecDeque::new(),
            is_driven: false,
            candidates: None,
            record,
            storing: Storing::AtOnce,
            due: None,
            following: None,
            why: None,
            reply: None,
            rollback_replies: Vec::new(),
            refused: None,
            events: Vec::new(),
            answers: Vec::new(),
        };
        Reload { tenant, context, members, running: Arc::default(), inner: Mutex::new(inner) }
    }

    /// Queues a request. Does not wait for it.
    fn enqueue(self: &Arc<Self>, queued: Queued) {
        let shadow = queued.shadow.is_some();
        let mut inner = self.inner();
        inner.following = match &queued.goal {
            Goal::Stored(stored) => Some(stored.clone()),
            _ => None,
        };
        if inner.machine.stage() == Stage::Shadowing {
            self.end(&mut inner, &Arc::new(ReloadError::Superseded));
        }
        let tasks = inner.machine.request(ExchangeRequest { to: queued, shadow });
        self.begin(inner, tasks);
    }

    /// Queues a request, and returns where to wait for its answer.
    pub(crate) fn request(self: &Arc<Self>, goal: Goal, shadow: Option<ShadowTerms>) -> Answer {
        let (reply, answer) = Reply::new();
        self.enqueue(Queued { goal, shadow, reply: Some(reply) });
        answer
    }

    /// Requests a newer version of the tenant's plugin, unless the tenant is pinned to the one it has.
    ///
    /// A version on `trial` is not for a tenant whose plugin is missing, which has nothing to try it against.
    pub(crate) fn follow(self: &Arc<Self>, newest: Digest, trial: Option<&Arc<Trial>>) -> Offer {
        {
            let inner = self.inner();
            let serving = &inner.record.serving;
            let waits = trial.is_some() && serving.missing.is_some();
            let stays = serving.pinned && inner.refused.is_none();
            // Two scans of the folder may find it.
            let has_it = serving.version.digest == newest && serving.missing.is_none() && !serving.pinned;
            if inner.refused == Some(newest) {
                return Offer::Refused;
            }
            if stays || has_it || waits {
                return Offer::NotNeeded;
            }
        }
        let goal = trial.map_or(Goal::Newest, |trial| Goal::Trial(Arc::clone(trial)));
        self.enqueue(Queued { goal, shadow: None, reply: None });
        Offer::Accepted
    }

    /// Requests the tenant's own plugin again, which could not be loaded.
    pub(crate) fn retry(self: &Arc<Self>) {
        let Some(members) = self.members.load_full() else { return };
        let is_idle = {
            let inner = self.inner();
            inner.machine.stage() == Stage::Resting && inner.tasks.is_empty()
        };
        if is_idle {
            let stored = self.context.settings.chosen_over(&self.tenant, &members.spec.plugin);
            let goal = match stored.filter(|stored| stored.at.is_some()) {
                Some(stored) => Goal::Stored(stored),
                None => Goal::Requested(ReloadRequest::from(members.chosen.clone())),
            };
            self.enqueue(Queued { goal, shadow: None, reply: None });
        }
    }

    /// The newest version can't serve a new tenant, for this reason: requests the newest one that can, unless there is only one, or the tenant
    /// is pinned to it.
    pub(crate) fn fall_back(self: &Arc<Self>, why: Arc<TenantError>) {
        let Some(members) = self.members.load_full() else { return };
        let is_of_version = match &*why {
            TenantError::Missing(error) => !error.is_transient(),
            TenantError::Start { .. } | TenantError::Fill { .. } => !why.is_transient(),
            _ => false,
        };
        let (plugins, chosen) = (&self.context.plugins, &members.chosen);
        let is_free = chosen.pinned_version().is_none();
        let has_earlier =
            || plugins.trusted_by(&members.spec.trusted_keys).before_latest(chosen.name()).next().is_some();
        if is_of_version && is_free && has_earlier() {
            self.enqueue(Queued { goal: Goal::Earlier(why), shadow: None, reply: None });
        }
    }

    /// Records something new that can't even be requested.
    pub(crate) fn refuse(&self, to: String, error: ReloadError) {
        let mut inner = self.inner();
        if inner.record.last.as_ref().is_some_and(|last| last.outcome == Outcome::UnderWay) {
            return;
        }
        let (began, stages) = (Timestamp::now(), Vec::new());
        inner.record.last = Some(Attempt { to, began, outcome: Outcome::UnderWay, error: None, stages });
        self.conclude(&mut inner, Outcome::Refused, Some(Arc::new(error)));
    }

    /// Ends a shadow run: the candidates serve.
    pub(crate) fn promote(self: &Arc<Self>) -> Result<Answer, ExchangeError> {
        let mut inner = self.inner();
        let tasks = inner.machine.promote()?;
        // If the run is about to begin.
        inner.answer(Ok(Reloaded::Shadows));
        let (reply, answer) = Reply::new();
        inner.reply = Some(reply);
        self.begin(inner, tasks);
        Ok(answer)
    }

    /// Goes back to what served before the reload in progress, or before the last one.
    ///
    /// # Errors
    /// [`ExchangeError::NothingToRollBackTo`] if nothing else has served since the engine was opened.
    pub(crate) fn roll_back_to_previous(self: &Arc<Self>) -> Result<Answer, ExchangeError> {
        let mut inner = self.inner();
        let was_shadowing = inner.machine.stage() == Stage::Shadowing;
        match inner.machine.roll_back() {
            Ok(tasks) => {
                let (reply, answer) = Reply::new();
                let why = Arc::new(ReloadError::RolledBack);
                inner.why = Some(Arc::clone(&why));
                if was_shadowing {
                    self.end(&mut inner, &why);
                }
                inner.rollback_replies.push(reply);
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

    fn shadow_over(self: &Arc<Self>, epoch: u64, ticket: Ticket, refused: Option<ReloadError>) {
        let mut inner = self.inner();
        if inner.epoch != epoch {
            return;
        }
        let tasks = inner.machine.end_shadow(ticket, refused.is_none());
        if let (Some(why), false) = (refused, tasks.is_empty()) {
            self.end(&mut inner, &Arc::new(why));
        }
        self.begin(inner, tasks);
    }

    fn watch_over(self: &Arc<Self>, epoch: u64, ticket: Ticket) {
        let mut inner = self.inner();
        if inner.epoch != epoch {
            return;
        }
        let tasks = inner.machine.end_watch(ticket);
        if !tasks.is_empty() {
            info!(tenant = %self.tenant, "the reload is over: the previous plugin is unloaded");
        }
        self.begin(inner, tasks);
    }

    /// Has a worker do the tasks, unless one is at it. A swap or a rollback does not wait until one that fills other tenants' lists is
    /// free.
    fn begin(self: &Arc<Self>, mut inner: Locked<'_>, tasks: Vec<Task<Queued>>) {
        inner.tasks.extend(tasks);
        if inner.tasks.is_empty() || std::mem::replace(&mut inner.is_driven, true) {
            return;
        }
        let fills = inner.tasks.iter().any(|task| matches!(task, Task::Prepare(_)));
        drop(inner);
        let Ok(operation) = self.context.lifecycle.begin() else {
            self.inner().is_driven = false;
            self.abandon(ReloadError::Closed);
            return;
        };
        let driver = Arc::clone(self);
        let job = move || {
            let _operation = operation;
            driver.drive(fills);
        };
        let workers = if fills { &self.context.workers } else { &self.context.swaps };
        if let Err(error) = workers.run(job) {
            error!(tenant = %self.tenant, %error, "the system refuses a thread: the reload is given up");
            self.inner().is_driven = false;
            self.abandon(ReloadError::Thread(error));
        }
    }

    /// Keeps reloads from running until the guard is dropped.
    pub(crate) fn hold(&self) -> ReloadGuard {
        self.running.lock_arc()
    }

    /// What is held while reloads run, or are kept from running.
    pub(crate) fn running(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.running)
    }

    /// Like [`hold`](Self::hold), unless one is running. Does not wait.
    pub(crate) fn try_hold(&self) -> Option<ReloadGuard> {
        self.running.try_lock_arc()
    }

    /// Under the guard: the tenant has another spec now, and `serving` serves it. If the plugin, or how it is run, changed, then
    /// reloads are given up that began before that. Requests that have not begun apply to the new spec.
    pub(crate) fn respecified(self: &Arc<Self>, serving: Setup, plugin_stays: bool) {
        let mut inner = self.inner();
        let shadowing = inner.machine.stage() == Stage::Shadowing;
        if plugin_stays && !shadowing {
            // A watched reload stays watched, and a rollback that was about to begin still does.
            inner.record.serving = serving;
            return;
        }
        let why = Arc::new(ReloadError::SettingsChanged);
        let waiting = inner.take_waiting();
        let has_begun = shadowing || inner.machine.stage() == Stage::Swapping;
        if has_begun {
            self.end(&mut inner, &why);
        }
        inner.answer_rollbacks(&Err(why));
        let due = inner.due.take();
        let candidates = inner.reset();
        if serving.is(&inner.record.serving) {
            inner.due = due;
        } else {
            inner.record.before = Some(inner.record.serving.clone());
            inner.refused = None;
        }
        if !has_begun {
            // What became of an earlier plugin says nothing about this one.
            inner.record.last = None;
        }
        inner.record.serving = serving;
        for ask in waiting {
            let tasks = inner.machine.request(ask);
            inner.tasks.extend(tasks);
        }
        self.begin(inner, Vec::new());
        drop(candidates);
        if let Some(members) = self.members.load_full() {
            members.lists().for_each(|list| list.release());
        }
    }

    /// Gives up everything in progress and every request, for good.
    pub(crate) fn abandon(&self, why: ReloadError) {
        let why = Arc::new(why);
        let mut inner = self.inner();
        for ask in inner.take_waiting() {
            let refused = ask.to.reply.map(|reply| (reply, Err(Arc::clone(&why))));
            inner.answers.extend(refused);
        }
        inner.answer_rollbacks(&Err(Arc::clone(&why)));
        self.end(&mut inner, &why);
        let was_rolling_back = inner.machine.stage() == Stage::RollingBack;
        let candidates = inner.reset();
        drop(inner);
        drop(candidates);
        if let Some(members) = self.members.load_full() {
            members.lists().for_each(|list| list.release());
            if was_rolling_back {
                members.lists().for_each(|list| list.recover_if_failed());
            }
        }
    }

    /// A snapshot of the status.
    pub(crate) fn status(&self) -> ReloadStatus {
        let inner = self.inner();
        let Record { serving, before, mut last, shadow } = inner.record.clone();
        let was_refused = last.as_ref().is_some_and(Attempt::is_of_a_file);
        if was_refused && self.context.plugins.problem(&serving.version.name).is_none() {
            // The file that serves was put back.
            last = None;
        }
        ReloadStatus {
            stage: inner.machine.stage(),
            queued: inner.machine.queued().is_some(),
            is_stored: inner.due.is_none(),
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

    /// The versions that serve, served before, or are about to serve.
    pub(crate) fn in_use(&self) -> Vec<(String, Digest)> {
        let inner = self.inner();
        let candidate = inner.candidates.as_ref().map(|candidates| &candidates.setup);
        [Some(&inner.record.serving), inner.record.before.as_ref(), candidate]
            .into_iter()
            .flatten()
            .map(|setup| (setup.version.name.clone(), setup.version.digest))
            .collect()
    }

    /// Ends the reload in progress without its plugin serving, unless it has ended.
    fn end(&self, inner: &mut Inner, why: &Arc<ReloadError>) {
        if inner.record.last.as_ref().is_some_and(|last| last.outcome == Outcome::UnderWay) {
            self.conclude(inner, Outcome::Refused, Some(Arc::clone(why)));
        }
        inner.answer(Err(Arc::clone(why)));
    }

    /// Records the outcome of the last reload, and reports it.
    fn conclude(&self, inner: &mut Inner, outcome: Outcome, error: Option<Arc<ReloadError>>) {
        if let Some(last) = &mut inner.record.last {
            (last.outcome, last.error) = (outcome, error);
        }
        inner.events.push(Event::Reloaded { tenant: self.tenant.clone(), outcome });
    }

    fn inner(&self) -> Locked<'_> {
        Locked { inner: self.inner.lock(), context: &self.context }
    }
}

impl FaultListener for Reload {
    fn fault(self: Arc<Self>, list: &str, kind: &'static str, why: &str) -> bool {
        let mut inner = self.inner();
        let stage = inner.machine.stage();
        match inner.machine.fault() {
            Some(tasks) => {
                warn!(tenant = %self.tenant, list, kind, error = why, "the new plugin failed: rolling back to the previous one");
                inner.why = Some(Arc::new(ReloadError::Faulted { list: list.to_owned(), kind }));
                self.begin(inner, tasks);
                true
            }
            // Each of several lists, or instances, may notice.
            None => stage == Stage::RollingBack,
        }
    }
}

impl Inner {
    fn answer(&mut self, answer: Result<Reloaded, Arc<ReloadError>>) {
        if let Some(reply) = self.reply.take() {
            self.answers.push((reply, answer));
        }
    }

    fn answer_rollbacks(&mut self, answer: &Result<Reloaded, Arc<ReloadError>>) {
        let replies = std::mem::take(&mut self.rollback_replies);
        self.answers.extend(replies.into_iter().map(|reply| (reply, answer.clone())));
    }

    /// Takes the requests that have not begun, in order.
    fn take_waiting(&mut self) -> Vec<ExchangeRequest<Queued>> {
        let mut waiting = Vec::new();
        for task in self.tasks.drain(..) {
            if let Task::Prepare(queued) = task {
                waiting.push(ExchangeRequest { shadow: queued.shadow.is_some(), to: queued });
            }
        }
        waiting.extend(self.machine.queued().cloned());
        waiting
    }

    /// Resets the machine. Returns the candidates, to be dropped without the lock.
    #[must_use]
    fn reset(&mut self) -> Option<Candidates> {
        self.machine = Exchange::default();
        self.epoch += 1;
        self.tasks.clear();
        self.why = None;
        (self.storing, self.due, self.following) = (Storing::AtOnce, None, None);
        self.candidates.take()
    }
}

impl Deref for Locked<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl DerefMut for Locked<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

impl Drop for Locked<'_> {
    fn drop(&mut self) {
        let events = std::mem::take(&mut self.inner.events);
        let answers = std::mem::take(&mut self.inner.answers);
        if !events.is_empty() || !answers.is_empty() {
            MutexGuard::unlocked(&mut self.inner, || {
                for event in events {
                    self.context.events.emit(|| event);
                }
                for (reply, answer) in answers {
                    reply.send(answer);
                }
            });
        }
    }
}
