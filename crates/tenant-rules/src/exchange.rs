//! Exchanges of a rule: another version or other options, at once or after a shadow run, and the way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_host::{ShadowPlan, ShadowTally, ShadowVerdict, at_low_priority};
use portcullis_plugin_store::Digest;
use portcullis_rules::{Rule, ShadowRun};
use portcullis_tenant_settings::{Chosen, PluginRef, TenantSpec};
use serde_json::{Map, Value};
use tracing::{info, warn};

use crate::error::{RuleError, RuleExchangeError};
use crate::setup::RuleSetup;
use crate::status::RuleShadow;
use crate::tenant_rules::{Place, Run, TenantRules};

/// A request for another version of a rule, or for other options. What it does not name stays; without a version, the newest is loaded.
#[derive(Clone, Debug, Default)]
pub struct RuleRequest {
    /// A fixed version, by the digest of its component: `sha256:` and the hexadecimal digits, or at least the first eight of them.
    pub version: Option<String>,
    /// The options.
    pub options: Option<Map<String, Value>>,
    /// Has it decide beside the one that serves first, under these terms. Its disagreements are messages that one of the two stops, and the
    /// other does not.
    pub shadow: Option<RuleTerms>,
}

/// The terms of a shadow run of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleTerms {
    /// How many messages to compare; `None` for no limit.
    pub checks: Option<u64>,
    /// How many disagreements to allow; `None` for any number: a rule is there to stop messages.
    pub max_disagreements: Option<u64>,
    /// The longest duration of the run.
    pub time: Option<Duration>,
}

impl RuleTerms {
    fn plan(&self) -> ShadowPlan {
        let RuleTerms { checks, max_disagreements, .. } = *self;
        ShadowPlan { checks, max_disagreements: max_disagreements.unwrap_or(u64::MAX) }
    }
}

/// The result of an exchange of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExchangedRule {
    /// The rule serves.
    Serves,
    /// The rule decides beside the one that serves: its shadow run began.
    Shadows,
}

/// What became of an exchange of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleOutcome {
    /// Its shadow run is in progress.
    UnderWay,
    /// The rule served.
    Served,
    /// The rule was refused.
    Refused,
    /// The rule was rolled back.
    RolledBack,
}

impl RuleOutcome {
    /// `under_way`, `served`, `refused` or `rolled_back`.
    pub const fn as_str(self) -> &'static str {
        match self {
            RuleOutcome::UnderWay => "under_way",
            RuleOutcome::Served => "served",
            RuleOutcome::Refused => "refused",
            RuleOutcome::RolledBack => "rolled_back",
        }
    }
}

/// The last exchange of a rule.
#[derive(Clone, Debug)]
pub(crate) struct Attempted {
    pub(crate) to: String,
    pub(crate) began: Timestamp,
    pub(crate) outcome: RuleOutcome,
    pub(crate) error: Option<Arc<RuleExchangeError>>,
}

impl Attempted {
    /// One that is over at once: the rule can't be put into service.
    pub(crate) fn refused(to: &str, why: RuleError) -> Self {
        let error = Some(Arc::new(RuleExchangeError::Rule(why)));
        Attempted { to: to.to_owned(), began: Timestamp::now(), outcome: RuleOutcome::Refused, error }
    }
}

/// How long a shadow run waits for messages before it looks whether it is still wanted.
const PAUSE: Duration = Duration::from_millis(100);

/// All of these block, and hold the tenant's reloads meanwhile.
impl TenantRules {
    /// Exchanges a rule, or begins a shadow run.
    ///
    /// # Errors
    /// If there is no such rule, or the version can't serve: what served before goes on. [`RuleExchangeError::NotKept`] if it serves, and that
    /// can't be stored.
    pub fn exchange(
        self: &Arc<Self>,
        spec: &TenantSpec,
        name: &str,
        request: RuleRequest,
    ) -> Result<ExchangedRule, Arc<RuleExchangeError>> {
        let _held = self.running.lock();
        self.exchange_held(spec, name, request)
    }

    fn exchange_held(
        self: &Arc<Self>,
        spec: &TenantSpec,
        name: &str,
        request: RuleRequest,
    ) -> Result<ExchangedRule, Arc<RuleExchangeError>> {
        let now = self.place(name)?;
        let began = Timestamp::now();
        let mut to = name.to_owned();
        let done = self.load(&now, &request, spec).and_then(|setup| {
            to = setup.label();
            let rule = setup.start(spec, &self.keys, &self.around).map_err(RuleExchangeError::Rule)?;
            let rule = Arc::new(rule);
            match request.shadow {
                Some(terms) => self.begin_run(setup, rule, terms).map(|()| ExchangedRule::Shadows),
                None => self.swap(setup, rule).map(|()| ExchangedRule::Serves),
            }
        });
        let done = done.map_err(Arc::new);
        let outcome = match &done {
            Ok(ExchangedRule::Serves) => RuleOutcome::Served,
            Ok(ExchangedRule::Shadows) => RuleOutcome::UnderWay,
            Err(error) => {
                warn!(tenant = %self.tenant, rule = name, error = error.reason(), "the rule is not exchanged: the one before it stays");
                RuleOutcome::Refused
            }
        };
        let error = done.as_ref().err().map(Arc::clone);
        self.edit(name, |place| place.last = Some(Attempted { to, began, outcome, error }));
        done
    }

    /// Ends a shadow run: its candidate serves.
    ///
    /// # Errors
    /// If there is no such rule or no shadow run, or as of [`exchange`](Self::exchange).
    pub fn promote(self: &Arc<Self>, name: &str) -> Result<ExchangedRule, Arc<RuleExchangeError>> {
        let _held = self.running.lock();
        let run = self.place(name)?.run.ok_or_else(|| RuleExchangeError::NoShadow)?;
        self.conclude(name, self.swap(run.setup, run.rule).map_err(Arc::new))?;
        Ok(ExchangedRule::Serves)
    }

    /// Ends a shadow run, or rolls back to what served before the last exchange.
    ///
    /// # Errors
    /// If there is no such rule or nothing to roll back to, or as of [`exchange`](Self::exchange).
    pub fn roll_back(self: &Arc<Self>, name: &str) -> Result<ExchangedRule, Arc<RuleExchangeError>> {
        let _held = self.running.lock();
        let place = self.place(name)?;
        if place.run.is_some() {
            self.edit(name, |place| place.end_run_as(RuleOutcome::RolledBack));
            self.end_shadow(name);
            let _ = self.conclude(name, Err(Arc::new(RuleExchangeError::RunEnded)));
            return Ok(ExchangedRule::Serves);
        }
        let nothing = || RuleExchangeError::NothingToRollBackTo;
        let (mut setup, rule) = place.before.ok_or_else(nothing)?;
        let (from, label_from) = (place.setup.digest(), place.setup.label());
        // As for list plugins: of engines that share a ledger, each has the version that is stored.
        setup.pinned |= !self.around.plugins.is_shared();
        let to = match setup.digest() == from {
            true => format!("{} with the options before", setup.label()),
            false => setup.label(),
        };
        self.swap(setup, rule).map_err(Arc::new)?;
        info!(tenant = %self.tenant, rule = name, to, "the rule is rolled back");
        // What was tried last may have been refused, and another one is rolled back.
        let last = place.last.filter(|last| last.outcome == RuleOutcome::Served);
        let attempted = Attempted {
            to: label_from,
            began: last.map_or_else(Timestamp::now, |last| last.began),
            outcome: RuleOutcome::RolledBack,
            error: Some(Arc::new(RuleExchangeError::RolledBack { to })),
        };
        self.edit(name, |place| {
            place.refused = from;
            place.last = Some(attempted);
        });
        Ok(ExchangedRule::Serves)
    }

    /// Loads a newer version of rules plugins in the background, unless the tenant is pinned to another one. Returns whether it has the plugin.
    pub fn follow(self: &Arc<Self>, plugin: &str, newest: Digest, spec: &TenantSpec) -> bool {
        let Ok(place) = self.place(plugin) else { return false };
        let has_it = place.setup.version.as_ref().is_ok_and(|version| version.digest == newest);
        // One that was rolled back is followed by newer versions.
        let is_pinned = place.setup.pinned && place.setup.version.is_ok() && place.refused.is_none();
        if !has_it && place.refused != Some(newest) && !is_pinned {
            let (rules, spec, plugin) = (Arc::clone(self), spec.clone(), plugin.to_owned());
            let exchange = move || {
                let Ok(_operation) = rules.around.lifecycle.begin() else { return };
                let _ = rules.exchange(&spec, &plugin, RuleRequest::default());
            };
            if let Err(error) = self.around.workers.run(exchange) {
                warn!(tenant = %self.tenant, rule = place.setup.name, %error, "the rule's new version is not loaded");
            }
        }
        true
    }

    /// Tries rules again whose plugin could not be loaded.
    pub fn retry_missing(self: &Arc<Self>, spec: &TenantSpec) {
        // A lock in the loop's head would be held throughout.
        let places = self.places.lock().clone();
        for place in places {
            if place.setup.version.is_err() {
                let version = place.spec.plugin.pinned_version().map(str::to_owned);
                let _ =
                    self.exchange(spec, &place.setup.name, RuleRequest { version, ..RuleRequest::default() });
            }
        }
    }

    fn place(&self, name: &str) -> Result<Place, RuleExchangeError> {
        let places = self.places.lock();
        let place = places.iter().find(|place| place.setup.name == name).cloned();
        place.ok_or_else(|| RuleExchangeError::Unknown)
    }

    fn edit(&self, name: &str, edit: impl FnOnce(&mut Place)) {
        if let Some(place) = self.places.lock().iter_mut().find(|place| place.setup.name == name) {
            edit(place);
        }
    }

    fn load(
        &self,
        now: &Place,
        request: &RuleRequest,
        spec: &TenantSpec,
    ) -> Result<RuleSetup, RuleExchangeError> {
        let options = request.options.clone().unwrap_or_else(|| now.setup.options.clone());
        let name = &now.setup.name;
        let plugin = match &request.version {
            Some(version) => PluginRef::version(name, version),
            None => PluginRef::latest(name),
        };
        let plugins = &self.around.plugins;
        let chosen = Chosen { plugin: plugin.options(options), at: None };
        let trusted = plugins.trusted_by(&spec.trusted_keys);
        if request.version.is_none() {
            // The newest is asked for, not one before it that the tenant trusts.
            trusted.latest(name).map_err(RuleError::from)?;
        }
        let setup = RuleSetup::load(&chosen, now.setup.grants, trusted).map_err(RuleError::from)?;
        match plugins.problem(name) {
            // The newest file can't be used, and this is an older version.
            Some(problem) if request.version.is_none() => Err(RuleError::from(problem).into()),
            _ => Ok(setup),
        }
    }

    /// Puts a rule in the place of the one of the same name, and stores that.
    fn swap(&self, setup: RuleSetup, rule: Arc<Rule>) -> Result<(), RuleExchangeError> {
        let rules = self.serving().ok_or(RuleExchangeError::SettingsChanged)?;
        let over = self.place(&setup.name)?.spec.plugin;
        let mut chosen = Chosen { plugin: setup.plugin_ref(), at: None };
        if let Ok(version) = &setup.version
            && self.around.plugins.is_shared()
            && (setup.pinned || !self.around.plugins.is_built_in(version))
        {
            self.around.plugins.share(version).map_err(RuleExchangeError::NotShared)?;
            chosen.at = (!setup.pinned).then(|| version.digest.to_string());
        }
        rules.exchange(Arc::clone(&rule)).map_err(|error| RuleExchangeError::Rule(error.into()))?;
        let (name, label) = (setup.name.clone(), setup.label());
        self.edit(&name, |place| {
            match place.run.as_ref().is_some_and(|run| Arc::ptr_eq(&run.rule, &rule)) {
                true => place.end_run_as(RuleOutcome::Served),
                false => place.end_run(),
            }
            let setup = std::mem::replace(&mut place.setup, setup);
            let rule = std::mem::replace(&mut place.rule, rule);
            place.before = setup.version.is_ok().then_some((setup, rule));
            place.refused = None;
            if let Some(last) = &mut place.last
                && last.outcome == RuleOutcome::UnderWay
            {
                last.outcome = RuleOutcome::Served;
            }
        });
        info!(tenant = %self.tenant, rule = name, plugin = label, "the rule is exchanged");
        let kept = self.around.settings.choose_rule(&self.tenant, chosen, &over);
        kept.map_err(RuleExchangeError::NotKept)
    }

    fn conclude(
        &self,
        name: &str,
        done: Result<(), Arc<RuleExchangeError>>,
    ) -> Result<(), Arc<RuleExchangeError>> {
        self.edit(name, |place| {
            if let Some(last) = &mut place.last {
                last.outcome = match &done {
                    Ok(()) => RuleOutcome::Served,
                    Err(why) if matches!(**why, RuleExchangeError::RunEnded) => RuleOutcome::RolledBack,
                    Err(_) => RuleOutcome::Refused,
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
        terms: RuleTerms,
    ) -> Result<(), RuleExchangeError> {
        let rules = self.serving().ok_or(RuleExchangeError::SettingsChanged)?;
        let name = setup.name.clone();
        let run =
            rules.begin_shadow(Arc::clone(&rule)).map_err(|error| RuleExchangeError::Rule(error.into()))?;
        let is_wanted = Arc::new(AtomicBool::new(true));
        self.edit(&name, |place| {
            place.end_run();
            place.shadow =
                Some(RuleShadow { terms, tally: portcullis_rules::ShadowTally::default(), ended: None });
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
            return Err(RuleExchangeError::Thread(error));
        }
        Ok(())
    }

    /// Compares some messages. Returns whether the candidate may serve, or why not, once that is known.
    fn step(
        &self,
        run: &mut ShadowRun,
        name: &str,
        terms: RuleTerms,
        start: Instant,
    ) -> Option<Result<(), RuleExchangeError>> {
        let tally = match run.compare(PAUSE) {
            Ok(tally) => tally.clone(),
            Err(error) => return Some(Err(RuleExchangeError::FailedInShadow(error))),
        };
        let (compared, disagreements) = (tally.compared, tally.disagreements);
        let of_plan = ShadowTally { compared, disagreements, ..ShadowTally::default() };
        let time_is_up = terms.time.is_some_and(|time| start.elapsed() >= time);
        self.edit(name, |place| {
            if let Some(report) = &mut place.shadow {
                report.tally = tally;
            }
        });
        let plan = terms.plan();
        match plan.verdict(&of_plan, time_is_up)? {
            ShadowVerdict::Promote => Some(Ok(())),
            ShadowVerdict::Discard => {
                let allowed = plan.max_disagreements;
                Some(Err(RuleExchangeError::Disagreed { disagreements, compared, allowed }))
            }
        }
    }

    fn run_over(&self, name: &str, is_wanted: &AtomicBool, done: Result<(), RuleExchangeError>) {
        let Ok(_operation) = self.around.lifecycle.begin() else { return };
        let _held = self.running.lock();
        if !is_wanted.load(Ordering::Acquire) {
            return;
        }
        let run = self.place(name).ok().and_then(|place| place.run);
        let Some(run) = run else { return };
        let done = done.and_then(|()| self.swap(run.setup, run.rule)).map_err(Arc::new);
        let _ = self.conclude(name, done.clone());
        if let Err(error) = &done {
            warn!(tenant = %self.tenant, rule = name, error = error.reason(), "the rule's shadow run failed: the candidate is discarded");
            self.edit(name, |place| place.end_run_as(RuleOutcome::Refused));
            self.end_shadow(name);
        }
    }
}
