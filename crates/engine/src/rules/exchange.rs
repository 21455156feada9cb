//! Exchanges of a rule: another version or other options, at once or after a shadow run, and the way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_host::{ExchangeError, ShadowTally, ShadowVerdict, at_low_priority};
use portcullis_plugin_store::Digest;
use portcullis_rules::{Rule, ShadowRun};
use portcullis_tenant_settings::{Chosen, PluginRef};
use serde_json::{Map, Value};
use tracing::{info, warn};

use super::setup::RuleSetup;
use super::status::RuleShadow;
use super::{Place, Run, TenantRules};
use crate::members::Members;
use crate::outcome::Outcome;
use crate::reload::{ReloadError, Reloaded, ShadowTerms};

/// A request for another version of a rule, or for other options. What it does not name stays; without a version, the newest is loaded.
#[derive(Clone, Debug, Default)]
pub struct RuleRequest {
    /// A fixed version, by the digest of its component: `sha256:` and the hexadecimal digits, or at least the first eight of them.
    pub version: Option<String>,
    /// The options.
    pub options: Option<Map<String, Value>>,
    /// Has it decide beside the one that serves first, under these terms. Its disagreements are messages that one of the two stops, and the
    /// other does not.
    pub shadow: Option<ShadowTerms>,
}

/// The last exchange of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Attempted {
    pub(crate) to: String,
    pub(crate) began: Timestamp,
    pub(crate) outcome: Outcome,
    pub(crate) error: Option<Arc<ReloadError>>,
}

/// How long a shadow run waits for messages before it looks whether it is still wanted.
const PAUSE: Duration = Duration::from_millis(100);

/// All of these block, and hold the tenant's reloads meanwhile.
impl TenantRules {
    /// Exchanges a rule, or begins a shadow run.
    pub(crate) fn exchange(
        self: &Arc<Self>,
        members: &Members,
        name: &str,
        request: RuleRequest,
    ) -> Result<Reloaded, Arc<ReloadError>> {
        let _held = self.reload.hold();
        self.exchange_held(members, name, request)
    }

    fn exchange_held(
        self: &Arc<Self>,
        members: &Members,
        name: &str,
        request: RuleRequest,
    ) -> Result<Reloaded, Arc<ReloadError>> {
        let now = self.place(name)?;
        let began = Timestamp::now();
        let mut to = name.to_owned();
        let done = self.load(&now, &request).and_then(|setup| {
            to = setup.label();
            let rule = setup.start(&members.spec, &members.keys, &self.context).map_err(ReloadError::Rule)?;
            let rule = Arc::new(rule);
            match request.shadow {
                Some(terms) => self.begin_run(setup, rule, terms).map(|()| Reloaded::Shadows),
                None => self.swap(setup, rule).map(|()| Reloaded::Serves),
            }
        });
        let done = done.map_err(Arc::new);
        let outcome = match &done {
            Ok(Reloaded::Serves) => Outcome::Served,
            Ok(Reloaded::Shadows) => Outcome::UnderWay,
            Err(error) => {
                warn!(tenant = %self.tenant, rule = name, error = error.reason(), "the rule is not exchanged: the one before it stays");
                Outcome::Refused
            }
        };
        let error = done.as_ref().err().map(Arc::clone);
        self.edit(name, |place| place.last = Some(Attempted { to, began, outcome, error }));
        done
    }

    /// Ends a shadow run: its candidate serves.
    pub(crate) fn promote(self: &Arc<Self>, name: &str) -> Result<Reloaded, Arc<ReloadError>> {
        let _held = self.reload.hold();
        let run = self.place(name)?.run.ok_or_else(|| ReloadError::NotNow(ExchangeError::NoShadow))?;
        self.conclude(name, self.swap(run.setup, run.rule).map_err(Arc::new))?;
        Ok(Reloaded::Serves)
    }

    /// Ends a shadow run, or rolls back to what served before the last exchange.
    pub(crate) fn roll_back(self: &Arc<Self>, name: &str) -> Result<Reloaded, Arc<ReloadError>> {
        let _held = self.reload.hold();
        let place = self.place(name)?;
        if place.run.is_some() {
            self.edit(name, Place::end_run);
            self.end_shadow(name);
            let _ = self.conclude(name, Err(Arc::new(ReloadError::RolledBack)));
            return Ok(Reloaded::Serves);
        }
        let nothing = || ReloadError::NotNow(ExchangeError::NothingToRollBackTo);
        let (mut setup, rule) = place.before.ok_or_else(nothing)?;
        let from = place.setup.version.as_ref().ok().map(|version| version.digest);
        // As for list plugins: of engines that share a ledger, each has the version that is stored.
        setup.pinned |= !self.context.plugins.is_shared();
        let label = setup.label();
        self.swap(setup, rule).map_err(Arc::new)?;
        info!(tenant = %self.tenant, rule = name, to = label, "the rule is rolled back");
        self.edit(name, |place| {
            place.refused = from;
            if let Some(last) = &mut place.last {
                last.outcome = Outcome::RolledBack;
                last.error = Some(Arc::new(ReloadError::RolledBack));
            }
        });
        Ok(Reloaded::Serves)
    }

    /// Loads a newer version of rules plugins in the background, unless the tenant is pinned to another one. Returns whether it has the plugin.
    pub(crate) fn follow(self: &Arc<Self>, plugin: &str, newest: Digest, members: &Arc<Members>) -> bool {
        let Ok(place) = self.place(plugin) else { return false };
        let has_it = place.setup.version.as_ref().is_ok_and(|version| version.digest == newest);
        // One that was rolled back is followed by newer versions.
        let is_pinned = place.setup.pinned && place.setup.version.is_ok() && place.refused.is_none();
        if !has_it && place.refused != Some(newest) && !is_pinned {
            let (rules, members, plugin) = (Arc::clone(self), Arc::clone(members), plugin.to_owned());
            let exchange = move || {
                let Ok(_operation) = rules.context.lifecycle.begin() else { return };
                let _ = rules.exchange(&members, &plugin, RuleRequest::default());
            };
            if let Err(error) = self.context.workers.run(exchange) {
                warn!(tenant = %self.tenant, rule = place.setup.name, %error, "the rule's new version is not loaded");
            }
        }
        true
    }

    /// Tries rules again whose plugin could not be loaded.
    pub(crate) fn retry_missing(self: &Arc<Self>, members: &Arc<Members>) {
        for place in self.places.lock().clone() {
            if place.setup.version.is_err() {
                let version = place.spec.plugin.pinned_version().map(str::to_owned);
                let _ = self.exchange(
                    members,
                    &place.setup.name,
                    RuleRequest { version, ..RuleRequest::default() },
                );
            }
        }
    }

    fn place(&self, name: &str) -> Result<Place, ReloadError> {
        let places = self.places.lock();
        let place = places.iter().find(|place| place.setup.name == name).cloned();
        place.ok_or_else(|| ReloadError::UnknownRule)
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Place)) {
        if let Some(place) = self.places.lock().iter_mut().find(|place| place.setup.name == name) {
            edit(place);
        }
    }

    fn load(&self, now: &Place, request: &RuleRequest) -> Result<RuleSetup, ReloadError> {
        let options = request.options.clone().unwrap_or_else(|| now.setup.options.clone());
        let name = &now.setup.name;
        let plugin = match &request.version {
            Some(version) => PluginRef::version(name, version),
            None => PluginRef::latest(name),
        };
        let plugins = &self.context.plugins;
        let chosen = Chosen { plugin: plugin.options(options), at: None };
        let setup = RuleSetup::load(&chosen, now.setup.grants, plugins)?;
        match plugins.problem(name) {
            // The newest file can't be used, and this is an older version.
            Some(problem) if request.version.is_none() => Err(problem.into()),
            _ => Ok(setup),
        }
    }

    /// Puts a rule in the place of the one of the same name, and stores that.
    fn swap(&self, setup: RuleSetup, rule: Arc<Rule>) -> Result<(), ReloadError> {
        let rules = self.serving().ok_or(ReloadError::SettingsChanged)?;
        let over = self.place(&setup.name)?.spec.plugin;
        let mut chosen = Chosen { plugin: setup.plugin_ref(), at: None };
        if let Ok(version) = &setup.version
            && self.context.plugins.is_shared()
            && (setup.pinned || !self.context.plugins.is_built_in(version))
        {
            self.context.plugins.share(version).map_err(ReloadError::NotKept)?;
            chosen.at = (!setup.pinned).then(|| version.digest.to_string());
        }
        rules.exchange(Arc::clone(&rule)).map_err(|error| ReloadError::Rule(error.into()))?;
        let (name, label) = (setup.name.clone(), setup.label());
        self.edit(&name, |place| {
            place.end_run();
            let setup = std::mem::replace(&mut place.setup, setup);
            let rule = std::mem::replace(&mut place.rule, rule);
            place.before = setup.version.is_ok().then_some((setup, rule));
            place.refused = None;
            if let Some(last) = &mut place.last
                && last.outcome == Outcome::UnderWay
            {
                last.outcome = Outcome::Served;
            }
        });
        info!(tenant = %self.tenant, rule = name, plugin = label, "the rule is exchanged");
        let kept = self.context.settings.choose_rule(&self.tenant, chosen, &over);
        kept.map_err(ReloadError::RuleNotKept)
    }

    fn conclude(&self, name: &str, done: Result<(), Arc<ReloadError>>) -> Result<(), Arc<ReloadError>> {
        self.edit(name, |place| {
            if let Some(last) = &mut place.last {
                last.outcome = match &done {
                    Ok(()) => Outcome::Served,
                    Err(why) if matches!(**why, ReloadError::RolledBack) => Outcome::RolledBack,
                    Err(_) => Outcome::Refused,
                };
                last.error = done.as_ref().err().map(Arc::clone);
            }
        });
        done
    }

    fn end_shadow(&self, name: &str) {
        if let Some(rules) = self.serving() {
            rules.end_shadow(name);
        }
    }

    fn begin_run(
        self: &Arc<Self>,
        setup: RuleSetup,
        rule: Arc<Rule>,
        terms: ShadowTerms,
    ) -> Result<(), ReloadError> {
        let rules = self.serving().ok_or(ReloadError::SettingsChanged)?;
        let name = setup.name.clone();
        let run = rules.begin_shadow(Arc::clone(&rule)).map_err(|error| ReloadError::Rule(error.into()))?;
        let is_wanted = Arc::new(AtomicBool::new(true));
        self.edit(&name, |place| {
            place.end_run();
            place.shadow = Some(RuleShadow { terms, tally: portcullis_rules::ShadowTally::default() });
            place.run = Some(Run { setup, rule, is_wanted: Arc::clone(&is_wanted) });
        });
        let (this, of_run) = (Arc::downgrade(self), name.clone());
        let begun = thread::Builder::new().name("portcullis-shadow".to_owned()).spawn(move || {
            let mut run = run;
            let start = Instant::now();
            let ended = at_low_priority(|| {
                while is_wanted.load(Ordering::Acquire) {
                    let rules = this.upgrade()?;
                    if let Some(done) = rules.step(&mut run, &of_run, terms, start) {
                        return Some(done);
                    }
                }
                None
            });
            if let (Some(done), Some(rules)) = (ended, this.upgrade()) {
                rules.run_over(&of_run, &is_wanted, done);
            }
        });
        if let Err(error) = begun {
            self.edit(&name, Place::end_run);
            self.end_shadow(&name);
            return Err(ReloadError::Thread(error));
        }
        Ok(())
    }

    /// Compares some messages. Returns whether the candidate may serve, or why not, once that is known.
    fn step(
        &self,
        run: &mut ShadowRun,
        name: &str,
        terms: ShadowTerms,
        start: Instant,
    ) -> Option<Result<(), ReloadError>> {
        let tally = match run.compare(PAUSE) {
            Ok(tally) => tally.clone(),
            Err(error) => return Some(Err(ReloadError::FailedInShadow(error.into()))),
        };
        let (compared, disagreements) = (tally.compared, tally.disagreements);
        let of_plan = ShadowTally { compared, disagreements, ..ShadowTally::default() };
        let time_is_up = terms.time.is_some_and(|time| start.elapsed() >= time);
        self.edit(name, |place| {
            if let Some(report) = &mut place.shadow {
                report.tally = tally;
            }
        });
        match terms.plan.verdict(&of_plan, time_is_up)? {
            ShadowVerdict::Promote => Some(Ok(())),
            ShadowVerdict::Discard => {
                let allowed = terms.plan.max_disagreements;
                Some(Err(ReloadError::Disagreed { disagreements, compared, allowed }))
            }
        }
    }

    fn run_over(&self, name: &str, is_wanted: &AtomicBool, done: Result<(), ReloadError>) {
        let Ok(_operation) = self.context.lifecycle.begin() else { return };
        let _held = self.reload.hold();
        if !is_wanted.load(Ordering::Acquire) {
            return;
        }
        let run = self.place(name).ok().and_then(|place| place.run);
        let Some(run) = run else { return };
        let done = done.and_then(|()| self.swap(run.setup, run.rule)).map_err(Arc::new);
        let _ = self.conclude(name, done.clone());
        if let Err(error) = &done {
            warn!(tenant = %self.tenant, rule = name, error = error.reason(), "the rule's shadow run failed: the candidate is discarded");
            self.edit(name, Place::end_run);
            self.end_shadow(name);
        }
    }
}
