//! A rule set: one or more instances of a rules plugin that decide about a tenant's messages.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_msisdn::{Direction, Permutation};

use super::decision::{Decision, Reason};
use super::description::{Need, Needs};
use super::instance::{Instance, Setup};
use super::message::{Message, Person, SENDERS};
use super::meter::Meter;
use super::plugin::Plugin;
use crate::bindings::rules::exports::portcullis::rules::rules as wit;
use crate::breaker::{Breaker, BreakerState};
use crate::call_error::{CallError, TryCheckError};
use crate::memory::MemoryAccount;
use crate::pace::{INSTANT, Pace};
use crate::replica::{Replica, call_any, try_call_any};

/// What a tenant lets a rules plugin know.
#[derive(Clone, Debug, Default)]
pub struct Grants {
    /// Phone numbers in the clear: the tenant's permutation, which turns subjects into them.
    pub numbers: Option<Permutation>,
    /// The country of the person's number.
    pub country: bool,
    /// The offsets from UTC that the person's clock may have.
    pub local_time: bool,
    /// Who sends for the business.
    pub sender: bool,
    /// Whether the person is on the list that the tenant names beside the rule.
    pub listed: bool,
}

impl Grants {
    /// The granted needs.
    pub fn needs(&self) -> Needs {
        let grants = [
            (Need::Number, self.numbers.is_some()),
            (Need::Country, self.country),
            (Need::LocalTime, self.local_time),
            (Need::Sender, self.sender),
            (Need::Listed, self.listed),
        ];
        grants.into_iter().filter(|(_, is_granted)| *is_granted).map(|(need, _)| need).collect()
    }
}

/// What a rule set is created from.
#[derive(Clone)]
pub struct Recipe {
    /// The plugin.
    pub plugin: Plugin,
    /// The tenant's options for the plugin: a JSON object of at most [`OPTIONS_BYTES`](super::OPTIONS_BYTES).
    pub options: String,
    /// The names of the tenant's senders: at most [`SENDERS`](super::SENDERS), of 1 to 256 bytes each. A plugin that does not
    /// need senders does not get them, and there may be any number.
    pub senders: Vec<String>,
    /// What the tenant lets the plugin know. What it does not need, it does not get.
    pub grants: Grants,
    /// The tenant's memory account.
    pub account: Arc<MemoryAccount>,
    /// The number of instances, which is also the number of threads that can decide concurrently.
    pub replicas: NonZeroUsize,
    /// Whether the plugin is fast. The tenant's rule sets of the same plugin should share one.
    pub pace: Arc<Pace>,
}

impl Recipe {
    /// A single instance of `plugin`, with no options, senders or grants.
    pub fn new(plugin: Plugin, account: Arc<MemoryAccount>) -> Self {
        Recipe {
            plugin,
            options: "{}".to_owned(),
            senders: Vec::new(),
            grants: Grants::default(),
            account,
            replicas: NonZeroUsize::MIN,
            pace: Arc::default(),
        }
    }
}

/// Shows only the length of the options and the number of senders: rules may contain phone numbers.
impl std::fmt::Debug for Recipe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recipe")
            .field("plugin", &self.plugin)
            .field("options", &format_args!("{} bytes", self.options.len()))
            .field("senders", &self.senders.len())
            .field("needs", &self.grants.needs())
            .field("replicas", &self.replicas)
            .finish_non_exhaustive()
    }
}

/// One or more instances of a rules plugin, configured alike, that decide about a tenant's messages from any thread.
///
/// An instance that fails is discarded. [`decide`](Self::decide) starts another in its place, at once after the first fault
/// and then with growing delays, as a [`Breaker`] says. While no instance is left, decisions fail.
pub struct RuleSet {
    recipe: Recipe,
    settings: wit::Settings,
    meters: Vec<Meter>,
    replicas: Box<[Replica<Instance>]>,
    restarts: Mutex<Restarts>,
}

/// When lost instances are replaced.
#[derive(Debug, Default)]
struct Restarts {
    breaker: Breaker,
    /// When the next instance may be started.
    due: Option<Instant>,
    /// The instances that were lost.
    lost: u64,
}

impl RuleSet {
    /// Starts and configures the instances.
    ///
    /// # Errors
    ///
    /// Any [`CallError`]. [`CallError::Refused`] if the options are too large or don't fit the plugin's schema, the plugin
    /// rejects them, there are too many senders for a plugin that needs them, or the plugin needs something that the tenant
    /// does not grant.
    pub fn new(recipe: Recipe) -> Result<Self, CallError> {
        let description = recipe.plugin.description();
        let missing = description.needs.without(recipe.grants.needs());
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(Need::as_str).collect();
            return Err(CallError::Refused(format!(
                "the plugin {} needs {}, which this tenant does not grant: grant it beside the rule, or choose a plugin \
                 that does without",
                description.name,
                names.join(", ")
            )));
        }
        let senders = match description.needs.contains(Need::Sender) {
            true => recipe.senders.clone(),
            false => Vec::new(),
        };
        if senders.len() > SENDERS || senders.iter().any(|name| !(1..=256).contains(&name.len())) {
            return Err(CallError::Refused(format!(
                "the tenant has {} senders for rules: at most {SENDERS} are allowed, of 1 to 256 bytes each",
                senders.len()
            )));
        }
        let settings = wit::Settings { options: recipe.options.clone(), senders };
        if let Err(misfit) = recipe.plugin.check_options(&recipe.options) {
            // What the plugin itself says of them is for people. A schema's words are for those who know the schema.
            let words = start(&recipe, &settings).err();
            return Err(words.filter(|words| matches!(words, CallError::Refused(_))).unwrap_or(misfit));
        }
        let first = start(&recipe, &settings)?;
        let meters = first.meters().to_vec();
        let mut replicas = vec![Replica::new(first)];
        for _ in 1..recipe.replicas.get() {
            replicas.push(Replica::new(start_alike(&recipe, &settings, &meters)?));
        }
        let replicas = replicas.into_boxed_slice();
        Ok(RuleSet { recipe, settings, meters, replicas, restarts: Mutex::default() })
    }

    /// The recipe that this rule set was created from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// What the plugin needs to know of each person and message. The rest of a [`Message`] and a [`Person`] is not looked
    /// at, so it need not be computed.
    pub fn needs(&self) -> Needs {
        self.recipe.plugin.description().needs
    }

    /// What the caller must count: [`decide`](Self::decide) takes one number for each, in this order.
    pub fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// The name of a reason that this rule set gave. Empty for one that another plugin gave.
    pub fn reason(&self, reason: Reason) -> &str {
        self.recipe.plugin.description().reasons.get(reason.index()).map_or("", String::as_str)
    }

    /// Decides whether a message to or from `person` may go. `counts` has one number for each of the [`meters`](Self::meters),
    /// without this message. About 250 ns with a small plugin, and 45 ns more if it needs numbers.
    ///
    /// Waits for an instance, for up to as long as the plugin's limits allow a call, and starts one that was lost. On a thread
    /// that others wait for, such as one of an async runtime, use [`try_decide`](Self::try_decide).
    ///
    /// # Errors
    ///
    /// Any [`CallError`]; [`CallError::Refused`] only if there are not as many counts as meters. The caller's policy decides
    /// what happens to the message.
    #[inline]
    pub fn decide(
        &self,
        direction: Direction,
        message: &Message,
        person: &Person,
        counts: &[u32],
    ) -> Result<Decision, CallError> {
        self.fits(1, counts)?;
        self.restore();
        self.noted(call_any(&self.replicas, |instance| instance.decide(direction, message, person, counts)))
    }

    /// Like [`decide`](Self::decide), but waits for at most 100 µs.
    ///
    /// # Errors
    ///
    /// [`TryCheckError::Busy`] if the plugin is slow or busy, or an instance must be started: ask again with
    /// [`decide`](Self::decide), on a thread that may wait. Otherwise as [`decide`](Self::decide).
    #[inline]
    pub fn try_decide(
        &self,
        direction: Direction,
        message: &Message,
        person: &Person,
        counts: &[u32],
    ) -> Result<Decision, TryCheckError> {
        self.fits(1, counts)?;
        self.try_call(INSTANT, |instance| instance.decide(direction, message, person, counts))
    }

    /// Decides about the same message to or from many people. `counts` has a row for each of them, with one number for each
    /// meter. Returns one decision each, in order. The plugin is called once per [`BATCH`](crate::BATCH) people.
    ///
    /// # Errors
    ///
    /// As [`decide`](Self::decide).
    pub fn decide_many(
        &self,
        direction: Direction,
        message: &Message,
        people: &[Person],
        counts: &[u32],
    ) -> Result<Vec<Decision>, CallError> {
        self.fits(people.len(), counts)?;
        self.restore();
        let decide = |instance: &mut Instance| instance.decide_many(direction, message, people, counts);
        self.noted(call_any(&self.replicas, decide))
    }

    /// Like [`decide_many`](Self::decide_many), but waits for at most 100 µs.
    ///
    /// # Errors
    ///
    /// As [`try_decide`](Self::try_decide).
    pub fn try_decide_many(
        &self,
        direction: Direction,
        message: &Message,
        people: &[Person],
        counts: &[u32],
    ) -> Result<Vec<Decision>, TryCheckError> {
        self.fits(people.len(), counts)?;
        self.try_call(INSTANT, |instance| instance.decide_many(direction, message, people, counts))
    }

    /// Whether the plugin's recent calls took so much CPU time that it must not be called on a thread that others wait for.
    #[inline]
    pub fn is_slow(&self) -> bool {
        self.recipe.pace.is_slow()
    }

    /// The number of instances that are in service.
    pub fn left(&self) -> usize {
        self.replicas.iter().filter(|replica| !replica.is_lost()).count()
    }

    /// Whether all instances are in service.
    pub fn is_whole(&self) -> bool {
        self.left() == self.replicas.len()
    }

    /// The number of instances that were lost to faults.
    pub fn faults(&self) -> u64 {
        self.restarts.lock().lost
    }

    /// How the plugin fares.
    pub fn state(&self) -> BreakerState {
        self.restarts.lock().breaker.state(Instant::now())
    }

    /// The linear memory and tables of all instances, in bytes. Never waits.
    pub fn memory_bytes(&self) -> u64 {
        self.replicas.iter().map(Replica::memory_bytes).sum()
    }

    /// Calls each instance that is in service, in steps between which messages have a turn.
    pub(super) fn each<R>(
        &self,
        mut call: impl FnMut(&mut Instance) -> Result<R, CallError>,
    ) -> Result<Vec<R>, CallError> {
        let mut answers = Vec::with_capacity(self.replicas.len());
        for replica in self.replicas.iter().filter(|replica| !replica.is_lost()) {
            match self.noted(replica.step(&mut call)) {
                Ok(answer) => answers.push(answer),
                // Lost since.
                Err(CallError::OutOfService) => {}
                Err(error) => return Err(error),
            }
        }
        if answers.is_empty() { Err(CallError::OutOfService) } else { Ok(answers) }
    }

    fn fits(&self, people: usize, counts: &[u32]) -> Result<(), CallError> {
        match people.saturating_mul(self.meters.len()) == counts.len() {
            true => Ok(()),
            false => Err(CallError::Refused(format!(
                "{} counts were given for {people} messages and {} meters",
                counts.len(),
                self.meters.len()
            ))),
        }
    }

    #[inline]
    fn try_call<R>(
        &self,
        patience: Duration,
        call: impl FnOnce(&mut Instance) -> Result<R, CallError>,
    ) -> Result<R, TryCheckError> {
        if self.is_slow() || self.must_restore() {
            return Err(TryCheckError::Busy);
        }
        match try_call_any(&self.replicas, patience, call) {
            Some(answer) => self.noted(answer).map_err(TryCheckError::Failed),
            None => Err(TryCheckError::Busy),
        }
    }

    /// Notes a fault, which cost an instance.
    #[inline]
    fn noted<R>(&self, answer: Result<R, CallError>) -> Result<R, CallError> {
        if let Err(error) = &answer
            && error.is_fatal()
            && *error != CallError::OutOfService
        {
            self.note_fault();
        }
        answer
    }

    #[cold]
    fn note_fault(&self) {
        let now = Instant::now();
        let mut restarts = self.restarts.lock();
        restarts.lost += 1;
        let wait = restarts.breaker.fault(now);
        restarts.due = Some(now + wait);
    }

    #[inline]
    fn is_any_lost(&self) -> bool {
        self.replicas.iter().any(Replica::is_lost)
    }

    /// Whether an instance is lost that may be replaced now.
    #[inline]
    fn must_restore(&self) -> bool {
        self.is_any_lost() && self.is_due(Instant::now())
    }

    #[cold]
    fn is_due(&self, now: Instant) -> bool {
        // While it is held, an instance is being started, which takes too long to wait for here.
        self.restarts.try_lock().is_none_or(|restarts| restarts.due.is_none_or(|due| due <= now))
    }

    /// Replaces lost instances, if it is time, as [`decide`](Self::decide) does. For a caller that has nothing to decide: without it, a plugin
    /// that failed is out of service until the next message. While one thread does, others go on with the instances that are left.
    #[inline]
    pub fn restore(&self) {
        if self.is_any_lost() {
            self.restore_lost();
        }
    }

    #[cold]
    fn restore_lost(&self) {
        let now = Instant::now();
        // Those who come while no instance is left must wait for the new one.
        let held = if self.left() == 0 { Some(self.restarts.lock()) } else { self.restarts.try_lock() };
        let Some(mut restarts) = held else { return };
        if restarts.due.is_some_and(|due| now < due) {
            return;
        }
        for replica in self.replicas.iter().filter(|replica| replica.is_lost()) {
            match start_alike(&self.recipe, &self.settings, &self.meters) {
                Ok(instance) => replica.restore(instance),
                Err(_) => {
                    restarts.lost += 1;
                    let wait = restarts.breaker.fault(Instant::now());
                    restarts.due = Some(Instant::now() + wait);
                    return;
                }
            }
        }
        restarts.due = None;
        restarts.breaker.serve(Instant::now());
    }
}

impl std::fmt::Debug for RuleSet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuleSet").field("plugin", &self.recipe.plugin).finish_non_exhaustive()
    }
}

fn start(recipe: &Recipe, settings: &wit::Settings) -> Result<Instance, CallError> {
    let Recipe { plugin, grants, account, pace, .. } = recipe;
    let setup = Setup { settings, description: plugin.description(), numbers: grants.numbers.as_ref() };
    let mut instance = Instance::new(plugin.engine(), plugin.pre(), account, plugin.limits(), &setup)?;
    instance.charge_to(pace);
    Ok(instance)
}

/// Starts an instance that must read the same meters as those before it.
fn start_alike(recipe: &Recipe, settings: &wit::Settings, meters: &[Meter]) -> Result<Instance, CallError> {
    let instance = start(recipe, settings)?;
    if instance.meters() != meters {
        let breach = "returned other meters than before, for the same settings".to_owned();
        return Err(CallError::Broken { call: "configure", breach });
    }
    Ok(instance)
}
