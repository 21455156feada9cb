//! Verification that rules are what they must be: repeatable, alike on each instance, and one by one as in batches.

use std::time::{Duration, Instant};

use portcullis_msisdn::Direction;

use super::decision::Decision;
use super::instance::Instance;
use super::message::{Channel, Message, Person, Purpose, SenderIndex};
use super::rule_set::RuleSet;
use super::set::Element;
use crate::call_error::CallError;
use crate::random::Random;

/// What rules were asked, and decided.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) direction: Direction,
    pub(super) message: Message,
    pub(super) person: Person,
    pub(super) counts: Box<[u32]>,
    pub(super) decision: Decision,
}

/// How many messages the rules stop. What they should stop, nobody but the tenant knows: it is for people to look at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Proof {
    /// The messages that were decided about.
    pub asked: u64,
    /// Those of them that were stopped.
    pub stopped: u64,
}

impl Proof {
    /// The share of messages that were stopped, 0 to 1; 0 if there were none.
    pub fn share(self) -> f64 {
        self.stopped as f64 / self.asked.max(1) as f64
    }

    fn add(&mut self, decisions: &[Decision]) {
        self.asked += decisions.len() as u64;
        self.stopped += decisions.iter().filter(|decision| decision.is_stopped()).count() as u64;
    }
}

/// The people asked about.
const PEOPLE: usize = 512;
/// The most people of one question.
const BATCH: usize = 64;
/// How long questions are asked for the first time.
const PATIENCE: Duration = Duration::from_secs(1);

/// The same message to some people.
struct Question {
    direction: Direction,
    message: Message,
    people: Vec<Person>,
    counts: Vec<u32>,
    /// Whether it is as to strangers: outbound, now, and with nothing counted so far.
    is_plain: bool,
    /// What was decided when it was asked first.
    decisions: Option<Vec<Decision>>,
}

impl RuleSet {
    /// Verifies that the rules decide the same about the same message: asked again, by each instance, one by one and in
    /// batches.
    ///
    /// The messages are random, half of them outbound ones at `now` (milliseconds since 1970 in UTC) with nothing counted so
    /// far: how many of these are stopped is returned. The people are at random among `strangers`, or anybody, of whom
    /// nothing is known, where there are none.
    ///
    /// Takes some milliseconds for each instance. Slow rules are asked less: after a second no further question is begun. Messages have a
    /// turn after each call.
    ///
    /// # Errors
    ///
    /// Any [`CallError`] except [`CallError::Refused`]; [`CallError::Broken`] if decisions differ. The instance is then
    /// discarded.
    pub fn prove(&self, now: u64, strangers: &[Person]) -> Result<Proof, CallError> {
        let mut random = Random::new();
        let mut questions = self.questions(now, strangers, &mut random);
        let mut proof = Proof::default();
        random.shuffle(&mut questions);
        let (start, mut asked) = (Instant::now(), 0);
        for question in &mut questions {
            self.each(|instance| question.ask(instance))?;
            asked += 1;
            if start.elapsed() >= PATIENCE {
                break;
            }
        }
        // Again, in another order.
        questions.truncate(asked);
        random.shuffle(&mut questions);
        for question in &mut questions {
            self.each(|instance| question.ask(instance))?;
        }
        let plain = questions.iter().filter(|question| question.is_plain);
        plain.filter_map(|question| question.decisions.as_ref()).for_each(|decisions| proof.add(decisions));
        self.forget_asked()?;
        Ok(proof)
    }

    /// Verifies some of the decisions about messages since the last call, which a plugin can't know: that each instance
    /// decides the same again, by itself and in a batch. A plugin may have begun to answer otherwise after
    /// [`prove`](Self::prove). Returns how many of these messages were stopped.
    ///
    /// # Errors
    ///
    /// As [`prove`](Self::prove).
    pub fn spot_check(&self) -> Result<Proof, CallError> {
        let asked: Vec<Asked> =
            self.each(|instance| Ok(instance.take_asked()))?.into_iter().flatten().collect();
        let mut proof = Proof::default();
        for asked in asked {
            proof.add(&[asked.decision]);
            let mut question = Question {
                direction: asked.direction,
                message: asked.message,
                people: vec![asked.person],
                counts: asked.counts.into_vec(),
                is_plain: false,
                decisions: Some(vec![asked.decision]),
            };
            self.each(|instance| question.ask(instance))?;
        }
        self.forget_asked()?;
        Ok(proof)
    }

    fn forget_asked(&self) -> Result<(), CallError> {
        self.each(|instance| {
            instance.take_asked();
            Ok(())
        })
        .map(drop)
    }

    fn questions(&self, now: u64, strangers: &[Person], random: &mut Random) -> Vec<Question> {
        let mut left = PEOPLE;
        let mut questions = Vec::new();
        while left > 0 {
            let people = left.min(1 + random.below(BATCH));
            left -= people;
            let is_plain = questions.len().is_multiple_of(2);
            questions.push(self.question(now, strangers, people, is_plain, random));
        }
        questions
    }

    fn question(
        &self,
        now: u64,
        strangers: &[Person],
        people: usize,
        is_plain: bool,
        random: &mut Random,
    ) -> Question {
        let senders = self.recipe().senders.len();
        let sender = Some(random.below(senders + 1)).filter(|&sender| sender < senders);
        let message = Message {
            channel: Channel::ALL[random.below(Channel::ALL.len())],
            purpose: Purpose::ALL[random.below(Purpose::ALL.len())],
            time: if is_plain { now } else { now.saturating_add(random.below(DAYS * DAY) as u64) },
            sender: sender.and_then(SenderIndex::new),
            segments: if is_plain { 1 } else { 1 + u16::try_from(random.below(9)).unwrap_or(0) },
        };
        let person = |random: &mut Random| match strangers.get(random.below(strangers.len())) {
            Some(&person) => person,
            None => Person::new(random.subject()),
        };
        let people: Vec<Person> = (0..people).map(|_| person(random)).collect();
        let count = |random: &mut Random| match random.below(3) {
            _ if is_plain => 0,
            0 => 0,
            1 => u32::try_from(random.below(100)).unwrap_or(0),
            _ => u32::try_from(random.below(u32::MAX as usize)).unwrap_or(u32::MAX),
        };
        let counts = (0..people.len() * self.meters().len()).map(|_| count(random)).collect();
        let direction = if is_plain { Direction::Outbound } else { random.direction() };
        Question { direction, message, people, counts, is_plain, decisions: None }
    }
}

/// A day in milliseconds, and how many days from now messages are asked about.
const DAY: usize = 24 * 3600 * 1000;
const DAYS: usize = 366;

impl Question {
    /// Asks in both ways, and compares with what was decided before.
    fn ask(&mut self, instance: &mut Instance) -> Result<(), CallError> {
        let Question { direction, message, people, counts, .. } = self;
        let together = instance.decide_many(*direction, message, people, counts)?;
        let width = counts.len() / people.len().max(1);
        for (n, (person, decision)) in people.iter().zip(&together).enumerate() {
            let counts = counts.get(n * width..(n + 1) * width).unwrap_or_default();
            if instance.decide(*direction, message, person, counts)? != *decision {
                return Err(instance.contradicts("does not agree with decide-many"));
            }
        }
        match &self.decisions {
            Some(before) if *before != together => {
                Err(instance.contradicts("does not decide the same about the same message"))
            }
            _ => {
                self.decisions = Some(together);
                Ok(())
            }
        }
    }
}
