//! An instance of a rules plugin, and validation of every result.

use std::sync::Arc;
use std::time::Duration;

use portcullis_msisdn::{Direction, Permutation, Subject};

use super::answer;
use super::decision::Decision;
use super::description::{Description, Need, Needs};
use super::message::{Country, Message, Offsets, Person, SenderIndex};
use super::meter::Meter;
use crate::answer::Breach;
use crate::bindings::rules::exports::portcullis::rules::rules as wit;
use crate::bindings::rules::{RulesPlugin as Exports, RulesPluginPre as PluginPre};
use crate::call_error::CallError;
use crate::engine::Engine;
use crate::foreign_text::ForeignText;
use crate::instance::BATCH;
use crate::limits::Limits;
use crate::memory::MemoryAccount;
use crate::pace::Pace;
use crate::sandbox::{Cost, Sandbox, Sandboxed, State};

/// The CPU time that a fast plugin needs for each person of a batch, by a wide margin.
const PER_PERSON: Duration = Duration::from_nanos(500);

/// What an instance is configured with.
pub(super) struct Setup<'a> {
    pub(super) settings: &'a wit::Settings,
    pub(super) description: &'a Description,
    /// Converts subjects to phone numbers, for a plugin that needs these.
    pub(super) numbers: Option<&'a Permutation>,
}

/// An instance of a rules plugin. After a fatal [`CallError`], every later call fails with [`CallError::OutOfService`].
pub(super) struct Instance {
    sandbox: Sandbox,
    exports: Exports,
    engine: Engine,
    limits: Limits,
    /// [`Limits::check`] in ticks, which are not worth a division for each decision.
    decide_ticks: u64,
    needs: Needs,
    numbers: Option<Permutation>,
    /// The number of reasons that the plugin described.
    reasons: usize,
    meters: Vec<Meter>,
    /// The last batch, whose memory the next one uses.
    batch: wit::Batch,
}

impl Sandboxed for Instance {
    #[inline]
    fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }
}

impl Instance {
    /// Gets a plugin's description, from a temporary instance.
    pub(super) fn describe(
        engine: &Engine,
        pre: &PluginPre<State>,
        account: &Arc<MemoryAccount>,
        limits: &Limits,
    ) -> Result<Description, CallError> {
        let (mut sandbox, exports) = start(engine, pre, account, limits)?;
        let guest = exports.portcullis_rules_rules();
        let answer = sandbox.call("describe", seldom(engine, limits), |store| guest.call_describe(store))?;
        Description::from_answer(answer).map_err(|breach| breach.of("describe"))
    }

    pub(super) fn new(
        engine: &Engine,
        pre: &PluginPre<State>,
        account: &Arc<MemoryAccount>,
        limits: &Limits,
        setup: &Setup<'_>,
    ) -> Result<Self, CallError> {
        let (mut sandbox, exports) = start(engine, pre, account, limits)?;
        let guest = exports.portcullis_rules_rules();
        let meters = sandbox
            .call("configure", seldom(engine, limits), |store| guest.call_configure(store, setup.settings))?
            .map_err(|why| CallError::Refused(ForeignText(&why).within(2048)))?;
        let meters = answer::meters(&meters).map_err(|breach| breach.of("configure"))?;
        let Description { needs, reasons, .. } = setup.description;
        Ok(Instance {
            sandbox,
            exports,
            engine: engine.clone(),
            limits: limits.clone(),
            decide_ticks: engine.ticks(limits.check),
            needs: *needs,
            numbers: setup.numbers.filter(|_| needs.contains(Need::Number)).cloned(),
            reasons: reasons.len(),
            meters,
            batch: no_batch(),
        })
    }

    /// Has the costs of its calls charged to `pace`, and the next one timed.
    pub(super) fn charge_to(&mut self, pace: &Arc<Pace>) {
        self.sandbox.charge_to(pace);
    }

    pub(super) fn meters(&self) -> &[Meter] {
        &self.meters
    }

    /// Decides about a message. `counts` has one number for each meter.
    #[inline]
    pub(super) fn decide(
        &mut self,
        direction: Direction,
        message: &Message,
        person: &Person,
        counts: &[u32],
    ) -> Result<Decision, CallError> {
        let cost = Cost::of_one(self.limits.check, self.decide_ticks);
        let (subject, asked) = (self.key(person.subject), self.message(message, person));
        let guest = self.exports.portcullis_rules_rules();
        let decision = self.sandbox.call("decide", cost, |store| {
            guest.call_decide(store, subject, direction.into(), asked, counts)
        })?;
        answer::decision(decision, self.reasons, direction, asked.time)
            .map_err(|Breach(breach)| self.sandbox.broken("decide", breach))
    }

    /// Decides about the same message to many people. `counts` has a row for each of them. Returns one decision each, in
    /// order.
    pub(super) fn decide_many(
        &mut self,
        direction: Direction,
        message: &Message,
        people: &[Person],
        counts: &[u32],
    ) -> Result<Vec<Decision>, CallError> {
        let mut decisions = vec![Decision::Allow; people.len()];
        for (n, (people, decisions)) in people.chunks(BATCH).zip(decisions.chunks_mut(BATCH)).enumerate() {
            let width = self.meters.len();
            let rows = &counts[n * BATCH * width..][..people.len() * width];
            self.fill_batch(direction, message, people, rows);
            let cost = Cost::of_many(&self.engine, self.limits.check_batch(), people.len(), PER_PERSON);
            let guest = self.exports.portcullis_rules_rules();
            let batch = &self.batch;
            let answers =
                self.sandbox.call("decide-many", cost, |store| guest.call_decide_many(store, batch))?;
            spread(&answers, decisions, self.reasons, direction, self.batch.message.time)
                .map_err(|Breach(breach)| self.sandbox.broken("decide-many", breach))?;
        }
        Ok(decisions)
    }

    fn fill_batch(&mut self, direction: Direction, message: &Message, people: &[Person], rows: &[u32]) {
        let nobody = Person::new(Subject::MIN);
        self.batch.direction = direction.into();
        self.batch.message = self.message(message, &nobody);
        let batch = &mut self.batch;
        batch.subjects.clear();
        match &self.numbers {
            None => batch.subjects.extend(people.iter().map(|person| person.subject.get())),
            Some(permutation) => {
                batch.subjects.extend(people.iter().map(|person| permutation.invert(person.subject).get()));
            }
        }
        if self.needs.contains(Need::Country) {
            batch.countries.clear();
            batch.countries.extend(people.iter().map(|person| Country::to_contract(person.country)));
        }
        if self.needs.contains(Need::LocalTime) {
            batch.offsets_min.clear();
            batch.offsets_max.clear();
            batch.offsets_min.extend(people.iter().map(|person| person.offsets.min));
            batch.offsets_max.extend(people.iter().map(|person| person.offsets.max));
        }
        if self.needs.contains(Need::Listed) {
            batch.listed.clear();
            let bits = |people: &[Person]| {
                people.iter().rev().fold(0, |bits, person| bits << 1 | u8::from(person.listed))
            };
            batch.listed.extend(people.chunks(8).map(bits));
        }
        batch.counts.clear();
        batch.counts.extend_from_slice(rows);
    }

    /// The plugin's key for a subject.
    #[inline]
    fn key(&self, subject: Subject) -> u64 {
        match &self.numbers {
            None => subject.get(),
            Some(permutation) => permutation.invert(subject).get(),
        }
    }

    /// What the plugin gets to know of a message.
    #[inline]
    fn message(&self, message: &Message, person: &Person) -> wit::Message {
        let needs = |need| self.needs.contains(need);
        let offsets = if needs(Need::LocalTime) { person.offsets } else { Offsets::UNKNOWN };
        wit::Message {
            channel: message.channel.into(),
            purpose: message.purpose.into(),
            time: message.time(),
            country: Country::to_contract(person.country.filter(|_| needs(Need::Country))),
            offset_min: offsets.min,
            offset_max: offsets.max,
            sender: SenderIndex::to_contract(message.sender.filter(|_| needs(Need::Sender))),
            segments: message.segments.max(1),
            listed: person.listed && needs(Need::Listed),
        }
    }
}

fn start(
    engine: &Engine,
    pre: &PluginPre<State>,
    account: &Arc<MemoryAccount>,
    limits: &Limits,
) -> Result<(Sandbox, Exports), CallError> {
    let (bytes, result) = (limits.rules_bytes, limits.rules_result_bytes);
    Sandbox::start(engine, account, bytes, result, limits.configure, |store| pre.instantiate(store))
}

/// What a call may cost that no message waits for.
fn seldom(engine: &Engine, limits: &Limits) -> Cost {
    Cost::of_many(engine, limits.configure, BATCH, PER_PERSON)
}

fn no_batch() -> wit::Batch {
    let message = wit::Message {
        channel: wit::Channel::Other,
        purpose: wit::Purpose::Unknown,
        time: 0,
        country: 0,
        offset_min: 0,
        offset_max: 0,
        sender: 0,
        segments: 1,
        listed: false,
    };
    wit::Batch {
        direction: wit::Direction::Outbound,
        message,
        subjects: Vec::new(),
        countries: Vec::new(),
        offsets_min: Vec::new(),
        offsets_max: Vec::new(),
        listed: Vec::new(),
        counts: Vec::new(),
    }
}

/// Validates the answers to a batch, and puts the decisions to stop messages in their places.
fn spread(
    answers: &wit::Answers,
    decisions: &mut [Decision],
    reasons: usize,
    direction: Direction,
    time: u64,
) -> Result<(), Breach> {
    let wit::Answers { stopped, decisions: stops } = answers;
    if stopped.len() != decisions.len().div_ceil(8) {
        return Err(Breach(format!("returned {} bytes for {} people", stopped.len(), decisions.len())));
    }
    let mut left = stops.iter();
    for (byte, &bits) in stopped.iter().enumerate() {
        let mut bits = bits;
        while bits != 0 {
            let place = 8 * byte + bits.trailing_zeros() as usize;
            bits &= bits - 1;
            let (Some(decision), Some(&stop)) = (decisions.get_mut(place), left.next()) else {
                return Err(Breach("set more bits than there are people or decisions".to_owned()));
            };
            *decision = answer::decision(stop, reasons, direction, time)?;
            if !decision.is_stopped() {
                return Err(Breach("set a bit for a message that it allows".to_owned()));
            }
        }
    }
    match left.next() {
        None => Ok(()),
        Some(_) => Err(Breach("returned more decisions than it set bits".to_owned())),
    }
}
