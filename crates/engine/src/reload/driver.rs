//! Doing what the state machine says.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, MutexGuard};
use std::time::Instant;

use jiff::Timestamp;
use portcullis_host::{FilledFrom, Generation, Stage, Task, Ticket, quietly};
use tracing::{error, info, warn};

use super::record::{Attempt, Outcome};
use super::wish::{Setup, Shadowing, Told, What, Wish};
use super::{Inner, Reload};
use crate::gate::Gate;
use crate::gateway::Gateway;
use crate::sentence;
use crate::tenant::Tenant;

/// What is to serve, for each of the tenant's lists.
pub(super) struct Candidates {
    setup: Setup,
    /// Empty until they are filled.
    pub(super) lists: Vec<Candidate>,
    pub(super) shadow: Option<Shadowing>,
    /// Cleared when they are given up: a shadow run then ends.
    pub(super) wanted: Arc<AtomicBool>,
}

pub(super) struct Candidate {
    pub(super) gate: Arc<Gate>,
    pub(super) generation: Arc<Generation>,
    from: FilledFrom,
}

impl Drop for Candidates {
    fn drop(&mut self) {
        self.wanted.store(false, Ordering::Release);
    }
}

/// Generations that are not filled yet.
type Empty = Vec<(Arc<Gate>, Generation)>;

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
        let gateway = self.whole.get().and_then(std::sync::Weak::upgrade);
        let Some(gateway) = gateway else {
            // It is starting, or ending.
            self.inner().is_driven = false;
            return;
        };
        let _slot = gateway.reloads.take();
        let _at_work = self.hold();
        let (mut empty, mut back_failed) = (Empty::new(), None);
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
            // Otherwise it is nothing that the machine waits for.
            let Some(done) = done else { continue };
            let is_done = done.is_ok();
            self.metrics.stage(stage, took, is_done);
            if let Some(last) = &mut inner.record.last {
                last.stages.push((stage, took));
            }
            let tasks = match done {
                Ok(()) => inner.machine.done(),
                Err(why) => {
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
                inner.tell(Told::Serves);
            }
        }
    }

    /// Does one task. `None` for one that the machine does not wait for; else whether it is done, or in one sentence, why not.
    fn perform(
        self: &Arc<Self>,
        gateway: &Arc<Gateway>,
        task: Task<Wish>,
        empty: &mut Empty,
    ) -> Option<Result<(), String>> {
        match task {
            // Quietly, but for the swap: writes wait for that.
            Task::Prepare(wish) => Some(quietly(|| self.prepare(gateway, wish)).map(|made| *empty = made)),
            Task::Fill => {
                let empty = std::mem::take(empty);
                Some(quietly(|| self.fill(empty)))
            }
            Task::Prove => Some(quietly(|| self.prove())),
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
                if let Some(tenant) = gateway.registry.load().tenant(self.tenant.as_str()) {
                    tenant.gates().for_each(|gate| gate.release());
                }
                None
            }
        }
    }

    fn prepare(&self, gateway: &Gateway, wish: Wish) -> Result<Empty, String> {
        let Wish { what, shadow, told } = wish;
        let began = Timestamp::now();
        let tenant = gateway.registry.load().tenant(self.tenant.as_str()).cloned();
        let found = tenant.ok_or_else(|| "the tenant was removed".to_owned()).and_then(|tenant| {
            let setup = self.made_definite(gateway, &tenant, what)?;
            Ok((tenant, setup))
        });
        let to = found.as_ref().map_or_else(|_| "what was asked for".to_owned(), |(_, setup)| setup.name());
        let mut inner = self.inner();
        inner.why = None;
        inner.record.last =
            Some(Attempt { to, began, outcome: Outcome::UnderWay, why: None, stages: Vec::new() });
        inner.told = told;
        drop(inner);
        let (tenant, setup) = found?;
        let mut empty = Empty::new();
        for gate in tenant.gates() {
            let recipe = tenant.recipe(&setup, gate.entry_count());
            let generation = Generation::empty(recipe).map_err(|error| sentence::of(&error))?;
            empty.push((Arc::clone(gate), generation));
        }
        let wanted = Arc::new(AtomicBool::new(true));
        self.inner().candidates = Some(Candidates { setup, lists: Vec::new(), shadow, wanted });
        Ok(empty)
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
        let found = found.map_err(|error| sentence::of(&error))?;
        if version.is_none()
            && let Some(problem) = gateway.equipment.shelf.problem(&plugin)
        {
            // There is a newer file than what was found, and it can't be used.
            return Err(problem);
        }
        Ok(Setup { version: found, options, pinned: version.is_some() })
    }

    fn fill(&self, empty: Empty) -> Result<(), String> {
        let mut filled = Vec::with_capacity(empty.len());
        for (gate, generation) in empty {
            let (generation, from) = generation
                .fill(&**gate.entries(), Some(gate.state()))
                .map_err(|error| on_list(&gate, &error))?;
            filled.push(Candidate { gate, generation: Arc::new(generation), from });
        }
        if let Some(candidates) = &mut self.inner().candidates {
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
                let serving = self.serving();
                for (swapped, _) in &lists[..n] {
                    let recipe = tenant.recipe(&serving, swapped.entry_count());
                    if let Err(error) = swapped.roll_back(recipe) {
                        warn!(tenant = %self.tenant, list = swapped.name(), kind = error.kind(), "the list could not go back at once");
                    }
                }
                return Err(on_list(gate, &error));
            }
        }
        let Some(candidates) = self.inner().candidates.take() else { return Ok(()) };
        for Candidate { gate, from, .. } in &candidates.lists {
            gate.was_installed(from);
        }
        let setup = candidates.setup.clone();
        let kept = gateway.adopt(&tenant, &setup);
        let mut inner = self.inner();
        inner.refused = None;
        inner.record.before = Some(std::mem::replace(&mut inner.record.serving, setup));
        let unkept = kept.err().map(|error| {
            format!(
                "it serves, but the choice could not be kept, and is lost with a restart: {}",
                sentence::of(&error)
            )
        });
        self.conclude(&mut inner, Outcome::Served, unkept);
        let name = inner.record.serving.name();
        drop(inner);
        info!(tenant = %self.tenant, plugin = name, lists = lists.len(), "the plugin is exchanged");
        Ok(())
    }

    fn roll_back(&self, gateway: &Arc<Gateway>) -> Result<(), String> {
        let tenant = gateway.registry.load().tenant(self.tenant.as_str()).cloned();
        let tenant = tenant.ok_or("the tenant was removed")?;
        let mut failed = None;
        let before = self.inner().record.before.clone().ok_or("nothing served before")?;
        for gate in tenant.gates() {
            if let Err(error) = gate.roll_back(tenant.recipe(&before, gate.entry_count())) {
                failed = Some(on_list(gate, &error));
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

fn on_list(gate: &Gate, error: &(dyn std::error::Error + 'static)) -> String {
    format!("{}, on the list {}", sentence::of(error), gate.name())
}
