//! The rules of a tenant: loading them, putting them into service, and exchanging one for another version.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use portcullis_admission::LogLimit;
use portcullis_host::rules::RuleSet;
use portcullis_host::{CallError, ErrorChain};
use portcullis_ledger::{TenantId, TenantKeys};
use portcullis_meters::{Declared, NodeId};
use portcullis_plugin_store::Digest;
use portcullis_rules::{Rule, Rules, Senders};
use portcullis_tenant_settings::{Chosen, RuleSpec, TenantSpec};
use tracing::{error, warn};

use crate::counting::{self, Counting};
use crate::error::{RuleError, Unprepared};
use crate::exchange::{Attempted, RuleOutcome};
use crate::setup::RuleSetup;
use crate::status::RuleShadow;
use crate::surroundings::Surroundings;

/// The rules of one tenant.
pub struct TenantRules {
    pub(crate) tenant: TenantId,
    pub(crate) around: Arc<Surroundings>,
    /// `None` without any.
    serving: ArcSwapOption<Rules>,
    pub(crate) places: Mutex<Vec<Place>>,
    pub(crate) keys: TenantKeys,
    /// What they count, from when there are any.
    counting: Mutex<Option<Arc<Counting>>>,
    /// Held while the tenant's spec is changed, and while a rule is exchanged.
    pub(crate) running: Arc<Mutex<()>>,
}

/// A rule in its place among the tenant's.
#[derive(Clone)]
pub(crate) struct Place {
    /// As the tenant's settings have it.
    pub(crate) spec: RuleSpec,
    pub(crate) setup: RuleSetup,
    pub(crate) rule: Arc<Rule>,
    /// What served before the last exchange.
    pub(crate) before: Option<(RuleSetup, Arc<Rule>)>,
    pub(crate) last: Option<Attempted>,
    pub(crate) shadow: Option<RuleShadow>,
    /// The version that was rolled back. It is not followed again.
    pub(crate) refused: Option<Digest>,
    /// Set while a shadow run is to go on.
    pub(crate) run: Option<Run>,
}

/// A shadow run in progress. Dropping all clones ends it.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) setup: RuleSetup,
    pub(crate) rule: Arc<Rule>,
    pub(crate) is_wanted: Arc<AtomicBool>,
}

impl Place {
    fn new(spec: RuleSpec, setup: RuleSetup, rule: Rule) -> Self {
        let rule = Arc::new(rule);
        Place { spec, setup, rule, before: None, last: None, shadow: None, refused: None, run: None }
    }

    pub(crate) fn end_run(&mut self) {
        if let Some(run) = self.run.take() {
            run.is_wanted.store(false, Ordering::Release);
        }
    }

    /// Ends the shadow run, and says how it ended, unless that is known.
    pub(crate) fn end_run_as(&mut self, outcome: RuleOutcome) {
        self.end_run();
        if let Some(shadow) = &mut self.shadow {
            shadow.ended.get_or_insert(outcome);
        }
    }
}

/// Rules that are ready to go into service.
pub struct PreparedRules {
    places: Vec<Place>,
    problems: Vec<Problem>,
    /// What they count, and the room that is kept for it; `None` without rules.
    counted: Option<(Arc<Counting>, Declared)>,
}

/// A rule whose newest version does not start.
struct Problem {
    rule: String,
    why: RuleError,
    /// The earlier version that decides; `None` if the rule fails until it starts.
    served_by: Option<String>,
}

/// Lines about rules that failed.
pub(crate) static FAILED: LogLimit = LogLimit::new(20);

impl TenantRules {
    /// For a tenant without rules yet. `running` is held while the tenant's spec is changed.
    pub fn new(
        tenant: TenantId,
        keys: TenantKeys,
        running: Arc<Mutex<()>>,
        around: &Arc<Surroundings>,
    ) -> Self {
        TenantRules {
            keys,
            running,
            tenant,
            around: Arc::clone(around),
            serving: ArcSwapOption::empty(),
            places: Mutex::default(),
            counting: Mutex::default(),
        }
    }

    /// What is asked about messages; `None` without rules. Costs some nanoseconds.
    #[inline]
    pub fn serving(&self) -> Option<Arc<Rules>> {
        self.serving.load_full()
    }

    /// Whether there are any rules.
    #[inline]
    pub fn is_any(&self) -> bool {
        self.serving.load().is_some()
    }

    /// How many rules are out of service: their plugin is missing or has failed, and the failure policy answers for it.
    pub fn out(&self) -> usize {
        self.serving().map_or(0, |rules| rules.rules().iter().filter(|rule| !rule.is_serving()).count())
    }

    /// Loads and starts the rules of a spec. Those of `before`, the tenant as it is now, that stay the same go on. If the tenant is `lenient`,
    /// one whose newest version does not start is decided by the newest earlier one that does, and fails if there is none.
    ///
    /// # Errors
    /// If a rule can't be put into service. The status of the one that serves by its name says so.
    pub fn prepare(
        spec: &TenantSpec,
        keys: &TenantKeys,
        before: Option<&TenantRules>,
        has_same_senders: bool,
        lenient: bool,
        around: &Surroundings,
    ) -> Result<PreparedRules, Unprepared> {
        let prepared = Self::prepare_unnoted(spec, keys, before, has_same_senders, lenient, around);
        if let (Err(Unprepared { rule, source, .. }), Some(before)) = (&prepared, before) {
            before.note_refused(rule, source);
        }
        prepared
    }

    /// Notes that other settings were refused because of a rule. The one that serves by its name stays.
    fn note_refused(&self, rule: &str, why: &RuleError) {
        let mut places = self.places.lock();
        // A shadow run is told of for as long as it lasts.
        let place = places.iter_mut().find(|place| place.setup.name == rule && place.run.is_none());
        if let Some(place) = place {
            place.last = Some(Attempted::refused(rule, why.clone()));
        }
    }

    fn prepare_unnoted(
        spec: &TenantSpec,
        keys: &TenantKeys,
        before: Option<&TenantRules>,
        has_same_senders: bool,
        lenient: bool,
        around: &Surroundings,
    ) -> Result<PreparedRules, Unprepared> {
        let known = before.map(|before| before.places.lock().clone()).unwrap_or_default();
        let (mut places, mut problems) = (Vec::with_capacity(spec.rules.len()), Vec::new());
        let plugins = around.plugins.trusted_by(&spec.trusted_keys);
        for (index, rule) in spec.rules.iter().enumerate() {
            let name = rule.plugin.name();
            let failed = |source: RuleError| Unprepared { index, rule: name.to_owned(), source };
            let chosen = around.settings.rule_over(&spec.id, &rule.plugin).filter(|_| !spec.resets_choice);
            let chosen = chosen.unwrap_or_else(|| Chosen { plugin: rule.plugin.clone(), at: None });
            let start = |setup: &RuleSetup| setup.start(spec, keys, around);
            let stand_in = |why: RuleError, problems: &mut Vec<Problem>| {
                let is_free = chosen.plugin.pinned_version().is_none() && !why.is_transient();
                let earlier =
                    is_free.then(|| RuleSetup::earlier(&chosen.plugin, rule.grants, plugins, start));
                let earlier = earlier.flatten();
                let served_by = earlier.as_ref().map(|(setup, _)| setup.label());
                let to = || format!("the newest version of {name}");
                let last = served_by.is_some().then(|| Attempted::refused(&to(), why.clone()));
                problems.push(Problem { rule: name.to_owned(), why: why.clone(), served_by });
                let missing = || (RuleSetup::missing(&chosen.plugin, rule.grants, why), Rule::missing(name));
                let (setup, started) = earlier.unwrap_or_else(missing);
                Place { last, ..Place::new(rule.clone(), setup, started) }
            };
            let setup = match RuleSetup::load(&chosen, rule.grants, plugins) {
                Ok(setup) => setup,
                Err(error) if lenient => {
                    places.push(stand_in(error.into(), &mut problems));
                    continue;
                }
                Err(error) => return Err(failed(error.into())),
            };
            let place = known.iter().find(|place| place.setup.is(&setup));
            let stays = |place: &&Place| {
                let is_run_alike = |set: &RuleSet| set.recipe().replicas == spec.replicas;
                (has_same_senders || !setup.knows_senders()) && place.rule.set().is_some_and(is_run_alike)
            };
            if let Some(place) = place.filter(stays) {
                places.push(Place { spec: rule.clone(), ..place.clone() });
                continue;
            }
            let before = known.iter().find(|place| place.setup.is_alike(&setup)).filter(stays);
            let before = before.map(|place| (place.setup.clone(), Arc::clone(&place.rule)));
            places.push(match start(&setup) {
                Ok(started) => Place { before, ..Place::new(rule.clone(), setup, started) },
                Err(why) if lenient => stand_in(why, &mut problems),
                Err(why) => return Err(failed(why)),
            });
        }
        let counting = match (places.is_empty(), before) {
            (true, _) => return Ok(PreparedRules { places, problems, counted: None }),
            (false, Some(before)) => before.counting(spec.meter_memory),
            (false, None) => {
                let limit = bytes(spec.meter_memory);
                Arc::new(Counting::open(&around.dir, &spec.id, keys, around.clock, limit))
            }
        };
        let declared = loop {
            let rules: Vec<Arc<Rule>> = places.iter().map(|place| Arc::clone(&place.rule)).collect();
            let error = match Rules::declare(&rules, &counting.meters, around.clock) {
                Ok(declared) => break declared,
                Err(error) => error,
            };
            // The last that counts anything.
            let index = places.iter().rposition(|place| !place.rule.meters().is_empty()).unwrap_or_default();
            let place = &mut places[index];
            let rule = place.setup.name.clone();
            if !lenient || place.rule.meters().is_empty() {
                return Err(Unprepared { index, rule, source: error.into() });
            }
            let setup = RuleSetup::missing(&place.setup.plugin_ref(), place.setup.grants, error);
            *place = Place::new(place.spec.clone(), setup, Rule::missing(&rule));
            problems.push(Problem { rule, why: error.into(), served_by: None });
        };
        Ok(PreparedRules { places, problems, counted: Some((counting, declared)) })
    }

    /// Puts rules into service. Those that are no longer there end.
    pub fn install(&self, prepared: PreparedRules, spec: &TenantSpec) {
        let PreparedRules { places: new, problems, counted } = prepared;
        if let Some((counting, _)) = &counted {
            counting.meters.set_limit(bytes(spec.meter_memory));
            *self.counting.lock() = Some(Arc::clone(counting));
        }
        for Problem { rule, why, served_by } in problems {
            match served_by {
                None => error!(
                    tenant = %self.tenant, rule, error = why.reason(),
                    "a rule of the tenant does not start: the failure policy answers for it"
                ),
                Some(plugin) => error!(
                    tenant = %self.tenant, rule, plugin, error = why.reason(),
                    "the newest version of a rule does not start: an earlier one decides"
                ),
            }
        }
        let senders = Senders::new(spec.senders.iter().map(|sender| sender.as_str()));
        let mut places = self.places.lock();
        let same = |(now, before): (&Place, &Place)| Arc::ptr_eq(&now.rule, &before.rule);
        let is_same = places.len() == new.len() && new.iter().zip(&*places).all(same);
        match self.serving.load_full() {
            Some(rules) if is_same => rules.set_senders(senders),
            _ if new.is_empty() => {
                places.iter_mut().for_each(Place::end_run);
                self.serving.store(None);
            }
            _ => {
                let rules: Vec<Arc<Rule>> = new.iter().map(|place| Arc::clone(&place.rule)).collect();
                match Rules::new(
                    rules,
                    Arc::clone(&self.counting(spec.meter_memory).meters),
                    self.around.clock,
                    senders,
                    self.on_fault(),
                ) {
                    Ok(rules) => {
                        // They observe the chain from before.
                        places.iter_mut().for_each(Place::end_run);
                        self.serving.store(Some(Arc::new(rules)));
                    }
                    // There is room for their meters, which was made sure of before the tenant's settings were accepted.
                    Err(error) => {
                        error!(tenant = %self.tenant, %error, "the tenant's new rules are refused: those before them stay");
                        return;
                    }
                }
            }
        }
        *places = new;
        if !is_same {
            places.iter_mut().for_each(|place| place.run = None);
        }
    }

    /// Verifies some of what the rules have decided since the last call: that they decide the same again. Rules that do not lose the instance
    /// that differs, which is a fault. Starts instances that were lost, if it is time, so that rules of which nobody asks come back, too. Returns
    /// whether there was anything to verify.
    pub fn spot_check(&self) -> bool {
        let Some(rules) = self.serving() else { return false };
        let mut is_any = false;
        for rule in rules.rules() {
            if let Some(set) = rule.set() {
                set.restore();
            }
            match rule.set().map(RuleSet::spot_check) {
                Some(Ok(proof)) => is_any |= proof.asked > 0,
                // It is missing, or out of service, which was reported.
                None | Some(Err(CallError::OutOfService)) => {}
                Some(Err(error)) => {
                    is_any = true;
                    self.on_fault()(&rule, &error);
                }
            }
        }
        is_any
    }

    /// Takes all rules out of service, and saves what they counted. Blocks.
    pub fn remove(&self) {
        self.save(true);
        self.abandon();
    }

    /// Takes all rules out of service.
    pub fn abandon(&self) {
        let mut places = self.places.lock();
        places.iter_mut().for_each(Place::end_run);
        self.serving.store(None);
        places.clear();
        drop(self.counting.lock().take());
    }

    /// Saves what was counted since the last time; on the disk itself if it is to be durable. Blocks.
    pub fn save(&self, durable: bool) {
        let counting = self.counting.lock().clone();
        if let Some(counting) = counting {
            counting.save(&self.tenant, self.around.clock, durable);
        }
    }

    /// Removes what was saved of a tenant that is forgotten.
    pub fn forget(around: &Surroundings, tenant: &TenantId) {
        let file = counting::file_of(&around.dir, tenant);
        if let Some(counts) = around.ledger.counts_of_all()
            && let Err(error) = counts.forget_counts(tenant)
        {
            warn!(%tenant, error = %ErrorChain(&error), "what the forgotten tenant's rules counted can't be removed from the ledger");
        }
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                // Without the key they are unreadable.
                warn!(%tenant, %error, "what the forgotten tenant's rules counted can't be removed");
            }
            _ => {}
        }
    }

    /// Whether a version of this plugin serves.
    pub fn is_served_by(&self, plugin: &str) -> bool {
        self.places.lock().iter().any(|place| place.setup.name == plugin && place.setup.version.is_ok())
    }

    /// The versions that serve, or that can be rolled back to, each with the plugin's name.
    pub fn in_use(&self) -> Vec<(String, Digest)> {
        let places = self.places.lock();
        let setups = places.iter().flat_map(|place| {
            let before = place.before.as_ref().map(|(setup, _)| setup);
            [Some(&place.setup), before, place.run.as_ref().map(|run| &run.setup)].into_iter().flatten()
        });
        let named = |setup: &RuleSetup| Some((setup.name.clone(), setup.version.as_ref().ok()?.digest));
        setups.filter_map(named).collect()
    }

    /// What the rules count; `None` if there were none yet.
    pub(crate) fn counted(&self) -> Option<Arc<Counting>> {
        self.counting.lock().clone().filter(|_| self.is_any())
    }

    /// What the rules count. Reads what was saved, the first time, and takes so many bytes of memory then.
    fn counting(&self, limit: u64) -> Arc<Counting> {
        let mut counting = self.counting.lock();
        let around = &self.around;
        let open =
            || Arc::new(Counting::open(&around.dir, &self.tenant, &self.keys, around.clock, bytes(limit)));
        Arc::clone(counting.get_or_insert_with(open))
    }

    fn on_fault(&self) -> portcullis_rules::OnFault {
        let (tenant, around) = (self.tenant.clone(), Arc::clone(&self.around));
        Box::new(move |rule, error| {
            rule.note_fault(error);
            (around.on_fault)(&tenant, rule.name(), error.kind());
            if FAILED.admits() {
                warn!(
                    %tenant, rule = rule.name(), kind = error.kind(), error = rule.why(error),
                    suppressed = FAILED.suppressed(), "a rule failed, and the tenant's failure policy answers"
                );
            }
        })
    }
}

fn bytes(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

/// A node that no other was: the standard library's hashers are keyed at random.
pub(crate) fn new_node() -> NodeId {
    let random = || u128::from(RandomState::new().hash_one(SystemTime::now()));
    NodeId(random() << 64 | random())
}
