//! Doing what the state machine says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use jiff::Timestamp;
use portcullis_host::{
    ExchangeError, FillError, FilledFrom, Generation, Stage, Task, Ticket, at_low_priority,
};
use portcullis_ledger::LedgerError;
use tracing::{error, info, warn};

use super::error::ReloadError;
use super::record::Attempt;
use super::request::{Goal, Queued, ReloadRequest, Reloaded, Setup, ShadowTerms};
use super::{Inner, Reload};
use crate::events::Event;
use crate::live::LiveList;
use crate::members::Members;
use crate::outcome::Outcome;

/// What is to serve, for each of the tenant's lists.
pub(super) struct Candidates {
    setup: Setup,
    /// Empty until they are filled.
    pub(super) lists: Vec<Candidate>,
    pub(super) shadow: Option<ShadowTerms>,
    /// Cleared when they are given up: a shadow run then ends.
    pub(super) wanted: Arc<AtomicBool>,
}

pub(super) struct Candidate {
    pub(super) list: Arc<LiveList>,
    pub(super) generation: Arc<Generation>,
    from: FilledFrom,
}

impl Drop for Candidates {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Release);
    }
}

/// Generations that are not filled yet.
type Empty = Vec<(Arc<LiveList>, Generation)>;

impl Reload {
    /// Has the tasks done, on a thread of their own, unless one is at it.
    pub(super) fn begin(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, tasks: Vec<Task<Queued>>) {
        inner.tasks.extend(tasks);
        if inner.tasks.is_empty() || std::mem::replace(&mut inner.is_driven, true) {
            return;
        }
        drop(inner);
        let driver = Arc::clone(self);
        let thread = std::thread::Builder::new().name("portcullis-reload".to_owned());
        if let Err(error) = thread.spawn(move || driver.drive()) {
            error!(tenant = %self.tenant, %error, "the system starts no thread: the plugin is exchanged later");
            self.inner().is_driven = false;
        }
    }

    fn drive(self: &Arc<Self>) {
        let _slot = self.context.slots.take();
        let _at_work = self.hold();
        let (mut empty, mut back_failed) = (Empty::new(), None);
        loop {
            let (task, stage) = {
                let mut inner = self.inner();
                let Some(task) = inner.tasks.pop_front() else {
                    inner.is_driven = false;
                    inner.why = None;
                    if let Some(reply) = inner.back_reply.take() {
                        let _ = reply.send(back_failed.map_or(Ok(Reloaded::Serves), Err));
                    }
                    return;
                };
                (task, inner.machine.stage())
            };
            let start = Instant::now();
            let done = self.perform(task, &mut empty);
            let took = start.elapsed();
            let mut inner = self.inner();
            // Otherwise it is nothing that the machine waits for.
            let Some(done) = done else { continue };
            let is_done = done.is_ok();
            self.context.events.emit(|| Event::ReloadStage {
                tenant: self.tenant.clone(),
                stage,
                took,
                succeeded: is_done,
            });
            if let Some(last) = &mut inner.record.last {
                last.stages.push((stage, took));
            }
            let tasks = match done {
                Ok(()) => inner.machine.done(),
                Err(why) => {
                    let why = Arc::new(why);
                    warn!(tenant = %self.tenant, stage = stage.as_str(), "the exchange of the plugin failed: what served goes on");
                    if stage == Stage::RollingBack {
                        back_failed = Some(why);
                    } else {
                        self.end(&mut inner, &why);
                    }
                    inner.machine.failed()
                }
            };
            inner.tasks.extend(tasks);
            if is_done && stage == Stage::Swapping {
                // Not before the machine knows: whoever is told may ask at once how it stands.
                inner.answer(Ok(Reloaded::Serves));
            }
        }
    }

    /// Does one task. `None` for one that the machine does not wait for.
    fn perform(self: &Arc<Self>, task: Task<Queued>, empty: &mut Empty) -> Option<Result<(), ReloadError>> {
        match task {
            // With low priority, but for the swap: writes wait for that.
            Task::Prepare(queued) => Some(at_low_priority(|| self.prepare(queued)).map(|made| *empty = made)),
            Task::Fill => {
                let empty = std::mem::take(empty);
                Some(at_low_priority(|| self.fill(empty)))
            }
            Task::Prove => Some(at_low_priority(|| self.prove())),
            Task::Shadow(ticket) => {
                self.shadow(ticket);
                None
            }
            Task::Swap => Some(self.swap()),
            Task::RollBack => Some(self.roll_back()),
            Task::Watch(ticket) => {
                self.watch(ticket);
                None
            }
            Task::Discard => {
                empty.clear();
                let mut inner = self.inner();
                if let Some(why) = inner.why.clone() {
                    self.end(&mut inner, &why);
                }
                let candidates = inner.candidates.take();
                drop(inner);
                drop(candidates);
                None
            }
            Task::Release => {
                if let Some(members) = self.members.load_full() {
                    members.lists().for_each(|list| list.release());
                }
                None
            }
        }
    }

    /// The tenant's lists, unless it is not served any more.
    fn members(&self) -> Result<Arc<Members>, ReloadError> {
        self.members.load_full().ok_or(ReloadError::TenantRemoved)
    }

    fn prepare(&self, queued: Queued) -> Result<Empty, ReloadError> {
        let Queued { goal, shadow, reply } = queued;
        let began = Timestamp::now();
        let found = self.members().and_then(|members| {
            let setup = self.resolve(&members, goal)?;
            Ok((members, setup))
        });
        let to = found.as_ref().map_or_else(|_| "what was asked for".to_owned(), |(_, setup)| setup.name());
        let mut inner = self.inner();
        inner.why = None;
        inner.record.last =
            Some(Attempt { to, began, outcome: Outcome::UnderWay, error: None, stages: Vec::new() });
        inner.reply = reply;
        drop(inner);
        let (members, setup) = found?;
        let mut empty = Empty::new();
        for list in members.lists() {
            let generation = Generation::empty(members.recipe(&setup, list.entry_count()))?;
            empty.push((Arc::clone(list), generation));
        }
        let wanted = Arc::new(AtomicBool::new(true));
        self.inner().candidates = Some(Candidates { setup, lists: Vec::new(), shadow, wanted });
        Ok(empty)
    }

    /// What a request means now.
    fn resolve(&self, members: &Members, goal: Goal) -> Result<Setup, ReloadError> {
        let now = members.plugin();
        let (name, version, options) = match goal {
            Goal::Back(setup) => return Ok(Setup { pinned: true, ..setup }),
            Goal::Newest => (now.name.clone(), None, now.options.clone()),
            Goal::Requested(ReloadRequest { plugin, version, options, .. }) => {
                let name = plugin.unwrap_or_else(|| now.name.clone());
                // Options are a plugin's own: another one starts without.
                let options = options.or_else(|| (name == now.name).then(|| now.options.clone()));
                (name, version, options.unwrap_or_default())
            }
        };
        let plugins = &self.context.plugins;
        let found = match &version {
            Some(version) => plugins.version(&name, version)?,
            None => plugins.latest(&name)?,
        };
        if version.is_none()
            && let Some(problem) = plugins.problem(&name)
        {
            // There is a newer file than what was found, and it can't be used.
            return Err(problem.into());
        }
        Ok(Setup { version: found, options, pinned: version.is_some() })
    }

    fn fill(&self, empty: Empty) -> Result<(), ReloadError> {
        let mut filled = Vec::with_capacity(empty.len());
        for (list, generation) in empty {
            let (generation, from) =
                generation.fill(&**list.entries(), Some(list.state())).map_err(on_list(&list))?;
            filled.push(Candidate { list, generation: Arc::new(generation), from });
        }
        if let Some(candidates) = &mut self.inner().candidates {
            candidates.lists = filled;
        }
        Ok(())
    }

    fn prove(&self) -> Result<(), ReloadError> {
        for (list, generation) in self.generations() {
            generation.prove(&**list.entries()).map_err(on_list(&list))?;
        }
        Ok(())
    }

    fn generations(&self) -> Vec<(Arc<LiveList>, Arc<Generation>)> {
        let inner = self.inner();
        let candidates = inner.candidates.iter().flat_map(|candidates| &candidates.lists);
        candidates.map(|one| (Arc::clone(&one.list), Arc::clone(&one.generation))).collect()
    }

    /// All lists or none.
    fn swap(&self) -> Result<(), ReloadError> {
        let members = self.members()?;
        let lists = self.generations();
        let has_all = members.lists().all(|list| lists.iter().any(|(other, _)| Arc::ptr_eq(list, other)));
        if !has_all {
            return Err(ReloadError::SendersChanged);
        }
        for (n, (list, generation)) in lists.iter().enumerate() {
            if let Err(error) = list.install(Arc::clone(generation)) {
                let serving = self.serving();
                for (swapped, _) in &lists[..n] {
                    let recipe = members.recipe(&serving, swapped.entry_count());
                    if let Err(error) = swapped.roll_back(recipe) {
                        warn!(tenant = %self.tenant, list = swapped.name(), kind = error.kind(), "the list could not go back at once");
                    }
                }
                return Err(on_list(list)(error));
            }
        }
        let Some(candidates) = self.inner().candidates.take() else { return Ok(()) };
        for Candidate { list, from, .. } in &candidates.lists {
            list.was_installed(from);
        }
        let setup = candidates.setup.clone();
        let kept = self.adopt(&setup);
        let mut inner = self.inner();
        inner.refused = None;
        inner.record.before = Some(std::mem::replace(&mut inner.record.serving, setup));
        let unkept = kept.err().map(|error| Arc::new(ReloadError::NotKept(error)));
        self.conclude(&mut inner, Outcome::Served, unkept);
        let name = inner.record.serving.name();
        drop(inner);
        info!(tenant = %self.tenant, plugin = name, lists = lists.len(), "the plugin is exchanged");
        Ok(())
    }

    fn roll_back(&self) -> Result<(), ReloadError> {
        let members = self.members()?;
        let mut failed = None;
        let before = self.inner().record.before.clone().ok_or(ExchangeError::NothingToRollBackTo)?;
        for list in members.lists() {
            if let Err(error) = list.roll_back(members.recipe(&before, list.entry_count())) {
                failed = Some(on_list(list)(error));
            }
        }
        let mut inner = self.inner();
        let setup = Setup { pinned: true, ..before };
        let from = std::mem::replace(&mut inner.record.serving, setup.clone());
        inner.refused = Some(from.version.digest);
        inner.record.before = Some(from);
        let why = inner.why.clone();
        self.conclude(&mut inner, Outcome::RolledBack, why);
        drop(inner);
        if let Err(error) = self.adopt(&setup) {
            warn!(tenant = %self.tenant, %error, "the plugin is rolled back, but that could not be kept for the next start");
        }
        info!(tenant = %self.tenant, plugin = setup.name(), "the plugin before serves again");
        // What could not go back at once is filled anew by now, with the plugin before.
        failed.map_or(Ok(()), Err)
    }

    /// Another plugin serves the tenant now: it does so after a restart, too, as long as the spec says what it says now.
    fn adopt(&self, setup: &Setup) -> Result<(), LedgerError> {
        let Some(members) = self.members.load_full() else { return Ok(()) };
        let plugin = setup.plugin();
        let kept = self.context.kept.choose(&self.tenant, &plugin, members.configured_plugin());
        self.members.store(Some(Arc::new(members.with_plugin(plugin))));
        kept
    }

    fn watch(self: &Arc<Self>, ticket: Ticket) {
        let (reload, time) = (Arc::downgrade(self), self.context.watch);
        drop(self.context.runtime.spawn(async move {
            tokio::time::sleep(time).await;
            if let Some(reload) = reload.upgrade() {
                reload.watch_over(ticket);
            }
        }));
    }
}

fn on_list(list: &LiveList) -> impl FnOnce(FillError) -> ReloadError + use<> {
    let list = list.name().to_owned();
    move |source| ReloadError::List { list, source }
}
