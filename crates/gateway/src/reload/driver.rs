//! Doing what the state machine says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use jiff::Timestamp;
use portcullis_host::{FilledFrom, Generation, MemoryAccount, Recipe, Settings, Stage, Task, Ticket};
use portcullis_ledger::TenantKeys;
use tracing::{error, info, warn};

use super::record::{Attempt, Outcome};
use super::wish::{Setup, Shadowing, Told, What, Wish};
use super::{Inner, Reload};
use crate::config::TenantConfig;
use crate::gate::Gate;
use crate::gateway::Gateway;
use crate::tenant::Tenant;

/// What is to serve, for each of the tenant's lists.
pub(super) struct Candidates {
    pub(super) setup: Setup,
    pub(super) lists: Vec<Candidate>,
    pub(super) shadow: Option<Shadowing>,
    told: Option<Sender<Told>>,
    /// Cleared when they are given up: a shadow run then ends.
    pub(super) wanted: Arc<AtomicBool>,
}

pub(super) struct Candidate {
    pub(super) gate: Arc<Gate>,
    pub(super) generation: Arc<Generation>,
    from: FilledFrom,
}

impl Candidates {
    pub(super) fn tell(&mut self, told: Told) {
        if let Some(teller) = self.told.take() {
            // Whoever wished may have stopped waiting.
            let _ = teller.send(told);
        }
    }

    /// From now on somebody else is to be told.
    pub(super) fn hear(&mut self, told: Sender<Told>) {
        self.told = Some(told);
    }
}

impl Drop for Candidates {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Release);
    }
}

/// Candidates that are made, and not filled yet.
struct Empty {
    setup: Setup,
    lists: Vec<(Arc<Gate>, Generation)>,
}

/// What a list's next generation is made of.
pub(crate) fn recipe(
    config: &TenantConfig,
    keys: &TenantKeys,
    account: &Arc<MemoryAccount>,
    setup: &Setup,
    entries: u64,
) -> Recipe {
    Recipe {
        plugin: setup.version.plugin.clone(),
        settings: Settings { capacity: entries, options: setup.options.clone() },
        account: Arc::clone(account),
        numbers: config.clear_numbers.then(|| keys.permutation().clone()),
        replicas: config.replicas,
    }
}

impl Reload {
    /// Has the tasks done, on a thread of their own, unless one is at it.
    pub(super) fn begin(self: &Arc<Self>, mut inner: MutexGuard<'_, Inner>, tasks: Vec<Task<Wish>>) {
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
        portcullis_host::yield_to_checks();
        let gateway = self.whole.get().and_then(std::sync::Weak::upgrade);
        let Some(gateway) = gateway else {
            // It is starting, or ending.
            self.inner().is_driven = false;
            return;
        };
        let _slot = gateway.reloads.take();
        let _at_work = self.hold();
        let (mut empty, mut back_failed) = (None, None);
        loop {
            let (task, stage) = {
                let mut inner = self.inner();
                let Some(task) = inner.tasks.pop_front() else {
                    inner.is_driven = false;
                    inner.why = None;
                    if let Some(gone_back) = inner.gone_back.take() {
                        let _ = gone_back.send(back_failed.map_or(Told::Serves, Told::Refused));
                    }
                    return;
                };
                (task, inner.machine.stage())
            };
            let start = Instant::now();
            let done = self.perform(&gateway, task, &mut empty);
            let took = start.elapsed();
            let mut inner = self.inner();
            let tasks = match done {
                // Nothing that the machine waits for.
                None => continue,
                Some(done) => {
                    self.metrics.stage(stage, took, done.is_ok());
                    if let Some(last) = &mut inner.record.last {
                        last.stages.push((stage, took));
                    }
                    match done {
                        Ok(()) => inner.machine.done(),
                        Err(why) => {
                            let (tenant, stage) = (&self.tenant, stage.as_str());
                            warn!(%tenant, stage, "the exchange of the plugin failed: what served goes on");
                            if stage == Stage::RollingBack.as_str() {
                                back_failed = Some(why);
                            } else {
                                inner.end(&why);
                            }
                            inner.machine.failed()
                        }
                    }
                }
            };
            self.ended(&mut inner, stage);
            inner.tasks.extend(tasks);
            if let Some(served) = inner.served.take() {
                // Not before the machine knows: whoever is told may ask at once how it stands.
                let _ = served.send(Told::Serves);
            }
        }
    }

    /// Counts an exchange whose end is known.
    fn ended(&self, inner: &mut Inner, stage: Stage) {
        let Some(last) = &inner.record.last else { return };
        let is_end = match last.outcome {
            Outcome::UnderWay => false,
            Outcome::Served => stage == Stage::Swapping,
            Outcome::Refused => !matches!(stage, Stage::Resting | Stage::Watching),
            Outcome::RolledBack => stage == Stage::RollingBack,
        };
        if is_end {
            self.metrics.exchange(&self.tenant, last.outcome);
        }
    }

    /// Does one task. `None` for one that the machine does not wait for; else whether it is done, or in one sentence, why not.
    fn perform(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
        task: Task<Wish>,
        empty: &mut Option<Empty>,
    ) -> Option<Result<(), String>> {
        match task {
            Task::Prepare(wish) => Some(self.prepare(gateway, wish).map(|made| *empty = Some(made))),
            Task::Fill => Some(self.fill(empty.take())),
            Task::Prove => Some(self.prove()),
            Task::Shadow(ticket) => {
                self.shadow(ticket);
                None
            }
            Task::Swap => Some(self.swap(gateway)),
            Task::RollBack => Some(self.roll_back(gateway)),
            Task::Watch(ticket) => {
                self.watch(gateway, ticket);
                None
            }
            Task::Discard => {
                *empty = None;
                let mut inner = self.inner();
                if let Some(why) = inner.why.clone() {
                    inner.end(&why);
                }
                let candidates = inner.candidates.take();
                drop(inner);
                drop(candidates);
                None
            }
            Task::Release => {
                if let Some(tenant) = gateway.registry.load().tenant(self.tenant.as_str()) {
                    tenant.gates().for_each(|gate| gate.release());
                }
                None
            }
        }
    }

    fn prepare(&self, gateway: &Gateway, wish: Wish) -> Result<Empty, String> {
        let Wish { what, shadow, told } = wish;
        let mut attempt = Attempt {
            to: String::new(),
            began: Timestamp::now(),
            outcome: Outcome::UnderWay,
            why: None,
            stages: Vec::new(),
        };
        let tenant = gateway.registry.load().tenant(self.tenant.as_str()).cloned();
        let setup = tenant
            .as_ref()
            .ok_or_else(|| "the tenant was removed".to_owned())
            .and_then(|tenant| self.made_definite(gateway, tenant, what));
        let mut inner = self.inner();
        inner.why = None;
        attempt.to = setup.as_ref().map_or_else(|_| "what was asked for".to_owned(), Setup::name);
        inner.record.last = Some(attempt);
        // So that whoever wished is told, whatever comes.
        let wanted = Arc::new(AtomicBool::new(true));
        let candidates = |setup: Setup| Candidates { setup, lists: Vec::new(), shadow, told, wanted };
        inner.candidates = Some(candidates(setup.clone().unwrap_or_else(|_| inner.record.serving.clone())));
        drop(inner);
        let (Some(tenant), setup) = (tenant, setup?) else { return Err("the tenant was removed".to_owned()) };
        let mut lists = Vec::new();
        for gate in tenant.gates() {
            let entries = gate.list().count().map_err(|error| sentence(&error))?;
            let recipe = recipe(&tenant.config, &tenant.keys, &tenant.account, &setup, entries);
            let generation = Generation::empty(recipe).map_err(|error| sentence(&error))?;
            lists.push((Arc::clone(gate), generation));
        }
        Ok(Empty { setup, lists })
    }

    /// What a wish means now.
    fn made_definite(&self, gateway: &Gateway, tenant: &Tenant, what: What) -> Result<Setup, String> {
        let config = &tenant.config;
        let (plugin, version, options) = match what {
            What::Back(setup) => return Ok(Setup { pinned: true, ..setup }),
            What::Newest => (config.plugin.clone(), None, config.plugin_options.clone()),
            What::Other { plugin, version, options } => {
                let plugin = plugin.unwrap_or_else(|| config.plugin.clone());
                // Options are of a plugin: another one begins without.
                let stays = if plugin == config.plugin { config.plugin_options.as_str() } else { "{}" };
                let options = options.unwrap_or_else(|| stays.to_owned());
                (plugin, version, options)
            }
        };
        let found = match &version {
            Some(version) => gateway.equipment.shelf.version(&plugin, version),
            None => gateway.equipment.shelf.latest(&plugin),
        };
        let found = found.map_err(|error| error.sentence())?;
        if version.is_none()
            && let Some(problem) = gateway.equipment.shelf.problem(&plugin)
        {
            // There is a newer file than what was found, and it can't be used.
            return Err(problem);
        }
        Ok(Setup { version: found, options, pinned: version.is_some() })
    }

    fn fill(&self, empty: Option<Empty>) -> Result<(), String> {
        let Empty { setup, lists } = empty.ok_or("there is nothing to fill")?;
        let mut filled = Vec::with_capacity(lists.len());
        for (gate, generation) in lists {
            let (generation, from) = generation
                .fill(&**gate.entries(), Some(gate.state()))
                .map_err(|error| on_list(&gate, &error))?;
            filled.push(Candidate { gate, generation: Arc::new(generation), from });
        }
        if let Some(candidates) = &mut self.inner().candidates {
            candidates.setup = setup;
            candidates.lists = filled;
        }
        Ok(())
    }

    fn prove(&self) -> Result<(), String> {
        let lists = self.generations();
        for (gate, generation) in lists {
            generation.prove(&**gate.entries()).map_err(|error| on_list(&gate, &error))?;
        }
        Ok(())
    }

    fn generations(&self) -> Vec<(Arc<Gate>, Arc<Generation>)> {
        let inner = self.inner();
        let lists = inner.candidates.iter().flat_map(|candidates| &candidates.lists);
        lists.map(|list| (Arc::clone(&list.gate), Arc::clone(&list.generation))).collect()
    }

    /// All lists or none.
    fn swap(&self, gateway: &Arc<Gateway>) -> Result<(), String> {
        let tenant = gateway.registry.load().tenant(self.tenant.as_str()).cloned();
        let tenant = tenant.ok_or("the tenant was removed")?;
        let lists = self.generations();
        let has_all = tenant.gates().all(|gate| lists.iter().any(|(other, _)| Arc::ptr_eq(gate, other)));
        if !has_all {
            return Err("the tenant's senders were changed meanwhile: ask again".to_owned());
        }
        for (n, (gate, generation)) in lists.iter().enumerate() {
            if let Err(error) = gate.install(Arc::clone(generation)) {
                for (swapped, _) in &lists[..n] {
                    if let Err(error) = swapped.roll_back() {
                        warn!(tenant = %self.tenant, list = swapped.name(), kind = error.kind(), "the list could not go back at once");
                    }
                }
                return Err(on_list(gate, &error));
            }
        }
        let Some(mut candidates) = self.inner().candidates.take() else { return Ok(()) };
        for Candidate { gate, from, .. } in candidates.lists.drain(..) {
            gate.was_installed(&from);
        }
        let setup = candidates.setup.clone();
        let kept = gateway.adopt(&tenant, &setup);
        let mut inner = self.inner();
        inner.refused = None;
        inner.record.before = Some(std::mem::replace(&mut inner.record.serving, setup));
        inner.record.since = Timestamp::now();
        if let Some(last) = &mut inner.record.last {
            last.outcome = Outcome::Served;
            last.why = kept.err().map(|error| {
                format!(
                    "it serves, but the choice could not be kept, and is lost with a restart: {}",
                    sentence(&error)
                )
            });
        }
        inner.served = candidates.told.take();
        let name = inner.record.serving.name();
        drop(inner);
        info!(tenant = %self.tenant, plugin = name, lists = lists.len(), "the plugin is exchanged");
        Ok(())
    }

    fn roll_back(&self, gateway: &Arc<Gateway>) -> Result<(), String> {
        let tenant = gateway.registry.load().tenant(self.tenant.as_str()).cloned();
        let tenant = tenant.ok_or("the tenant was removed")?;
        let mut failed = None;
        for gate in tenant.gates() {
            if let Err(error) = gate.roll_back() {
                failed = Some(on_list(gate, &error));
            }
        }
        let mut inner = self.inner();
        let before = inner.record.before.clone().ok_or("nothing served before")?;
        let setup = Setup { pinned: true, ..before };
        let from = std::mem::replace(&mut inner.record.serving, setup.clone());
        inner.refused = Some(from.version.digest);
        inner.record.before = Some(from);
        inner.record.since = Timestamp::now();
        let why = inner.why.clone();
        if let Some(last) = &mut inner.record.last {
            last.outcome = Outcome::RolledBack;
            last.why = why;
        }
        drop(inner);
        if let Err(error) = gateway.adopt(&tenant, &setup) {
            warn!(tenant = %self.tenant, %error, "the plugin is rolled back, but that could not be kept for the next start");
        }
        info!(tenant = %self.tenant, plugin = setup.name(), "the plugin before serves again");
        // What could not go back at once is filled anew by now, with the plugin before.
        failed.map_or(Ok(()), Err)
    }

    fn watch(self: &Arc<Self>, gateway: &Gateway, ticket: Ticket) {
        let (reload, time) = (Arc::downgrade(self), gateway.watch);
        drop(gateway.equipment.runtime.spawn(async move {
            tokio::time::sleep(time).await;
            if let Some(reload) = reload.upgrade() {
                reload.watch_over(ticket);
            }
        }));
    }
}

/// An error with its causes, in one sentence.
pub(crate) fn sentence(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn on_list(gate: &Gate, error: &(dyn std::error::Error + 'static)) -> String {
    format!("{}, on the list {}", sentence(error), gate.name())
}
