//! The driver: does what the state machine decides.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use jiff::Timestamp;
use portcullis_host::{
    ExchangeError, FillError, FilledFrom, Generation, ReloadOutcome as Outcome, Stage, Task, Ticket,
    at_low_priority,
};
use portcullis_plugin_store::PluginVersion;
use tracing::{error, info, info_span, warn};

use super::Reload;
use super::error::ReloadError;
use super::record::Attempt;
use super::request::{Goal, Queued, ReloadRequest, Reloaded, ShadowTerms};
use super::storing::Storing;
use crate::error::TenantError;
use crate::events::Event;
use crate::live::LiveList;
use crate::members::Members;
use crate::setup::Setup;

/// The generations that are to serve, one for each of the tenant's lists.
pub(super) struct Candidates {
    pub(super) setup: Setup,
    /// Empty until they are filled.
    pub(super) lists: Vec<Candidate>,
    pub(super) shadow: Option<ShadowTerms>,
    /// Why it is not the newest version that is to serve; `None` if nothing was the matter with it.
    instead_of: Option<Arc<ReloadError>>,
    /// Cleared when they are dropped, which ends a shadow run.
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
    /// Does the tasks until there are none, or those that are left are another worker's: only a driver that `fills` begins a reload.
    pub(super) fn drive(self: &Arc<Self>, fills: bool) {
        let _running = self.hold();
        let (mut empty, mut rollback_error, mut has_stored) = (Empty::new(), None, false);
        let exchange =
            info_span!(target: "portcullis_trace", parent: None, "exchange", tenant = %self.tenant);
        loop {
            let (task, stage, epoch) = {
                let mut inner = self.inner();
                let is_another_s = !fills && matches!(inner.tasks.front(), Some(Task::Prepare(_)));
                let task = if is_another_s { None } else { inner.tasks.pop_front() };
                let Some(task) = task else {
                    if inner.is_due() && !has_stored {
                        has_stored = true;
                        drop(inner);
                        if let Err(error) = self.store_due() {
                            warn!(tenant = %self.tenant, %error, "it can't be stored which plugin serves; retrying");
                        }
                        continue;
                    }
                    inner.is_driven = false;
                    inner.why = None;
                    let answer = rollback_error.map_or(Ok(Reloaded::Serves), Err);
                    inner.answer_rollbacks(&answer);
                    self.begin(inner, Vec::new());
                    return;
                };
                (task, inner.machine.stage(), inner.epoch)
            };
            has_stored = false;
            let start = Instant::now();
            let traced = info_span!(target: "portcullis_trace", parent: &exchange, "stage", otel.name = stage.as_str());
            let done = traced.in_scope(|| self.perform_caught(task, &mut empty));
            let took = start.elapsed();
            // Otherwise the machine does not wait for it.
            let Some(done) = done else { continue };
            let mut inner = self.inner();
            if inner.epoch != epoch {
                // The engine is closing.
                continue;
            }
            let succeeded = done.is_ok();
            inner.events.push(Event::ReloadStage { tenant: self.tenant.clone(), stage, took, succeeded });
            if let Some(last) = &mut inner.record.last {
                last.stages.push((stage, took));
            }
            let tasks = match done {
                Ok(()) => inner.machine.done(),
                Err(why) => {
                    let why = Arc::new(why);
                    let consequence = match inner.record.serving.missing {
                        None => "the plugin before it stays",
                        Some(_) => "there is none that serves, and the tenant's policy answers",
                    };
                    warn!(
                        tenant = %self.tenant, stage = stage.as_str(), error = why.reason(),
                        "the reload failed: {consequence}"
                    );
                    inner.note_failure(&why);
                    if stage == Stage::RollingBack {
                        rollback_error = Some(why);
                    } else {
                        self.end(&mut inner, &why);
                    }
                    inner.machine.failed()
                }
            };
            inner.tasks.extend(tasks);
            if stage == Stage::RollingBack {
                // A list that failed meanwhile was left to the rollback, which may have been done with it, or has failed itself.
                drop(inner);
                if let Some(members) = self.members.load_full() {
                    members.lists().for_each(|list| list.recover_if_failed());
                }
            } else if succeeded && stage == Stage::Swapping {
                // After the machine knows it: the caller may ask for the status at once.
                inner.answer(Ok(Reloaded::Serves));
            }
        }
    }

    /// A panic must not leave the tenant without reloads for good.
    fn perform_caught(
        self: &Arc<Self>,
        task: Task<Queued>,
        empty: &mut Empty,
    ) -> Option<Result<(), ReloadError>> {
        let is_waited_for =
            matches!(task, Task::Prepare(_) | Task::Fill | Task::Prove | Task::Swap | Task::RollBack);
        match catch_unwind(AssertUnwindSafe(|| self.perform(task, empty))) {
            Ok(done) => done,
            Err(_) => {
                error!(tenant = %self.tenant, "a stage of the reload panicked");
                is_waited_for.then_some(Err(ReloadError::Defect))
            }
        }
    }

    /// Does one task. Returns `None` for one that the machine does not wait for.
    fn perform(self: &Arc<Self>, task: Task<Queued>, empty: &mut Empty) -> Option<Result<(), ReloadError>> {
        match task {
            // With low priority, except for the swap, which writes wait for.
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
                inner.take_storing();
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

    /// The tenant's lists, unless it was removed.
    fn members(&self) -> Result<Arc<Members>, ReloadError> {
        self.members.load_full().ok_or(ReloadError::TenantRemoved)
    }

    fn prepare(&self, queued: Queued) -> Result<Empty, ReloadError> {
        let Queued { goal, shadow, reply } = queued;
        let began = Timestamp::now();
        let storing = Storing::of(&goal, self.context.plugins.is_shared(), self.stored_choice());
        let why = match &goal {
            Goal::Earlier(why) => Some(Arc::clone(why)),
            _ => None,
        };
        let found = self.members().and_then(|members| {
            let setup = self.resolve(&members, goal)?;
            let newest = || self.context.plugins.latest(&setup.version.name);
            let is_newest = || newest().is_ok_and(|newest| newest.digest == setup.version.digest);
            let instead_of =
                why.filter(|_| !is_newest()).map(|newest| Arc::new(ReloadError::InsteadOf { newest }));
            let inner = self.inner();
            let known = [Some(&inner.record.serving), inner.record.before.as_ref()];
            let setup = known.into_iter().flatten().fold(setup, Setup::knowing);
            Ok((members, setup, instead_of))
        });
        let to =
            found.as_ref().map_or_else(|_| "the requested plugin".to_owned(), |(_, setup, _)| setup.name());
        let mut inner = self.inner();
        inner.why = None;
        inner.storing = storing;
        inner.record.last =
            Some(Attempt { to, began, outcome: Outcome::UnderWay, error: None, stages: Vec::new() });
        inner.reply = reply;
        let (members, setup, instead_of) = found?;
        let wanted = Arc::new(AtomicBool::new(true));
        // From now on the version is in use.
        inner.candidates =
            Some(Candidates { setup: setup.clone(), lists: Vec::new(), shadow, instead_of, wanted });
        drop(inner);
        // An account of its own, for as long as both are in memory: the plugin that serves may have filled its own.
        let members = self.with_another_account(&members);
        let mut empty = Empty::new();
        for list in members.lists() {
            let generation = Generation::empty(members.recipe(&setup, list.entry_count()))?;
            empty.push((Arc::clone(list), generation));
        }
        Ok(empty)
    }

    /// The newest version of the tenant's plugin that starts, and takes the entries of all lists.
    fn newest_that_serves(&self, members: &Members, why: &Arc<TenantError>) -> Result<Setup, ReloadError> {
        let (name, options) = (members.chosen.name(), members.chosen.plugin_options());
        let plugins = self.context.plugins.trusted_by(&members.spec.trusted_keys);
        let serves = |version: Arc<PluginVersion>| {
            let setup = Setup::of(version, options.clone(), false).ok()?;
            let members = self.with_another_account(members);
            let takes_all = members.lists().all(|list| {
                let empty = Generation::empty(members.recipe(&setup, list.entry_count()));
                empty
                    .is_ok_and(|empty| empty.filled_and_proved(&**list.entries(), Some(list.state())).is_ok())
            });
            takes_all.then_some(setup)
        };
        let mut versions = plugins.latest(name).into_iter().chain(plugins.before_latest(name));
        versions.find_map(serves).ok_or_else(|| ReloadError::Settings(Arc::clone(why)))
    }

    /// Finds out what a request means now.
    fn resolve(&self, members: &Members, goal: Goal) -> Result<Setup, ReloadError> {
        let now = &members.chosen;
        let plugins = self.context.plugins.trusted_by(&members.spec.trusted_keys);
        let (name, version, options) = match goal {
            Goal::Back(Setup { missing: Some(_), .. }) => {
                return Err(ExchangeError::NothingToRollBackTo.into());
            }
            Goal::Back(setup) => return Ok(self.back(setup)),
            Goal::Trial(trial) if trial.version.name == now.name() => {
                let (version, options) = (Arc::clone(&trial.version), now.plugin_options().clone());
                let version = plugins.check(version)?;
                return Ok(Setup::of(version, options, false)?);
            }
            Goal::Trial(_) => return Err(ReloadError::SettingsChanged),
            Goal::Earlier(why) => return self.newest_that_serves(members, &why),
            Goal::Stored(stored) => return Ok(Setup::load(&stored, plugins)?),
            Goal::Newest => (now.name().to_owned(), None, now.plugin_options().clone()),
            Goal::Requested(ReloadRequest { plugin, version, options, .. }) => {
                let name = plugin.unwrap_or_else(|| now.name().to_owned());
                // Options belong to a plugin: another one starts without.
                let options = options.or_else(|| (name == now.name()).then(|| now.plugin_options().clone()));
                (name, version, options.unwrap_or_default())
            }
        };
        let found = match &version {
            Some(version) => plugins.version(&name, version)?,
            None => plugins.latest(&name)?,
        };
        if version.is_none()
            && let Some(problem) = self.context.plugins.problem(&name)
        {
            // The newest file can't be used, and this is an older version.
            return Err(problem.into());
        }
        Ok(Setup::of(found, options, version.is_some())?)
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

    /// Puts the candidates in place: on all lists, or on none.
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
                        warn!(
                            tenant = %self.tenant, list = swapped.name(), kind = error.kind(), error = error.reason(),
                            "the list can't be rolled back: its plugin is filled again"
                        );
                    }
                }
                return Err(on_list(list)(error));
            }
        }
        let Some(candidates) = self.inner().candidates.take() else { return Ok(()) };
        for Candidate { list, from, .. } in &candidates.lists {
            list.was_installed(from);
        }
        let (setup, instead_of) = (candidates.setup.clone(), candidates.instead_of.clone());
        self.adopt(&setup);
        let kept = self.note_service(&setup);
        let mut inner = self.inner();
        inner.refused = None;
        let before = std::mem::replace(&mut inner.record.serving, setup);
        // What could not be loaded, or never served, is nothing to go back to.
        inner.record.before = Some(before).filter(|before| before.missing.is_none() && instead_of.is_none());
        let not_kept = kept.err().map(|error| Arc::new(ReloadError::NotKept(error)));
        self.conclude(&mut inner, Outcome::Served, not_kept.or(instead_of.clone()));
        let name = inner.record.serving.name();
        drop(inner);
        if let Some(why) = instead_of {
            error!(tenant = %self.tenant, plugin = name, error = why.reason(), "an earlier version of the tenant's plugin serves");
        }
        info!(tenant = %self.tenant, plugin = name, lists = lists.len(), "the plugin is reloaded");
        Ok(())
    }

    fn roll_back(&self) -> Result<(), ReloadError> {
        let members = self.members()?;
        // Lists without a generation to fall back to are filled anew, which the plugin that is rolled back may leave no memory for.
        let members = match members.lists().find_map(|list| list.account_to_fall_back_to()) {
            Some(account) => members.with_account(account),
            None => self.with_another_account(&members),
        };
        let mut failed = None;
        let before = self.inner().record.before.clone().ok_or(ExchangeError::NothingToRollBackTo)?;
        for list in members.lists() {
            if let Err(error) = list.roll_back(members.recipe(&before, list.entry_count())) {
                failed = Some(on_list(list)(error));
            }
        }
        let mut inner = self.inner();
        let setup = self.back(before);
        let from = std::mem::replace(&mut inner.record.serving, setup.clone());
        inner.refused = Some(from.version.digest);
        inner.record.before = Some(from);
        let why = inner.why.clone();
        self.conclude(&mut inner, Outcome::RolledBack, why);
        drop(inner);
        self.adopt(&setup);
        if let Err(error) = self.store_now(&setup) {
            warn!(tenant = %self.tenant, %error, "the plugin is rolled back, but this can't be stored for the next start");
        }
        info!(tenant = %self.tenant, plugin = setup.name(), "the previous plugin serves again");
        // A list without a fallback is being filled with the previous plugin.
        failed.map_or(Ok(()), Err)
    }

    /// The tenant with an account for generations that are in memory beside those that serve.
    fn with_another_account(&self, members: &Members) -> Members {
        let account = self.context.memory.account_beside(&members.account, members.spec.memory_limit);
        members.with_account(account)
    }

    /// Another plugin serves the tenant from now on.
    fn adopt(&self, setup: &Setup) {
        let Some(members) = self.members.load_full() else { return };
        let account = Arc::clone(&members.wide.generation().recipe().account);
        self.members.store(Some(Arc::new(members.with_plugin(setup.plugin_ref()).with_account(account))));
    }

    /// What a tenant is rolled back to, which stays until something newer arrives. Of engines that share a ledger, each has the version
    /// that is stored. An engine that is alone has to be pinned to it.
    fn back(&self, before: Setup) -> Setup {
        Setup { pinned: before.pinned || !self.context.plugins.is_shared(), ..before }
    }

    fn watch(self: &Arc<Self>, ticket: Ticket) {
        let (reload, time, epoch) = (Arc::downgrade(self), self.context.watch, self.inner().epoch);
        drop(self.context.runtime.spawn(async move {
            tokio::time::sleep(time).await;
            if let Some(reload) = reload.upgrade() {
                reload.watch_over(epoch, ticket);
            }
        }));
    }
}

fn on_list(list: &LiveList) -> impl FnOnce(FillError) -> ReloadError + use<> {
    let list = list.name().to_owned();
    move |cause| ReloadError::List { list, cause }
}
