//! Random messages to some people, and what rules decide about them.

use std::fmt;

use portcullis_host::rules::{
    Channel, Decision, Element as _, Message, Person, Purpose, RuleSet, SenderIndex,
};
use portcullis_host::{CallError, Direction, Subject};

use crate::growth::Growth;
use crate::split_mix::SplitMix;
use crate::time::in_words;

/// The most people of one question.
const PEOPLE: u64 = 12;
/// Messages are of so many milliseconds from now: a year, with all changes of clocks.
const SPAN: u64 = 366 * 24 * 3600 * 1000;

/// Random questions, the same ones each time.
pub(super) struct Questions<'a> {
    strangers: &'a [Person],
    now: u64,
    senders: u64,
    meters: usize,
    random: SplitMix,
}

/// A message to some people.
pub(super) struct Question {
    direction: Direction,
    message: Message,
    /// One at least.
    people: Vec<Person>,
    /// A row for each of them.
    counts: Vec<u32>,
}

impl<'a> Questions<'a> {
    pub(super) fn new(rules: &RuleSet, strangers: &'a [Person], now: u64) -> Self {
        let senders = rules.recipe().senders.len() as u64;
        Questions { strangers, now, senders, meters: rules.meters().len(), random: SplitMix::default() }
    }

    /// A number below `end`, or 0.
    fn below(&mut self, end: u64) -> u64 {
        self.random.below(end)
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        let place = self.below(all.len() as u64);
        all.get(usize::try_from(place).ok()?).copied()
    }

    fn person(&mut self) -> Person {
        let anybody = Subject::new(self.below(1 << Subject::BITS)).unwrap_or(Subject::MIN);
        let stranger = if self.below(4) == 0 { None } else { self.one_of(self.strangers) };
        let mut person = stranger.unwrap_or_else(|| Person::new(anybody));
        person.listed = self.below(4) == 0;
        person
    }

    fn count(&mut self) -> u32 {
        let end = match self.below(3) {
            0 => 0,
            1 => 100,
            _ => 1 << 32,
        };
        u32::try_from(self.below(end)).unwrap_or(u32::MAX)
    }

    pub(super) fn next(&mut self) -> Question {
        let sender = self.below(self.senders + 1);
        let sender = if sender < self.senders { usize::try_from(sender).ok() } else { None };
        let message = Message {
            channel: self.one_of(Channel::ALL).unwrap_or(Channel::Other),
            purpose: self.one_of(Purpose::ALL).unwrap_or(Purpose::Unknown),
            time: self.now.saturating_add(self.below(SPAN)),
            sender: sender.and_then(SenderIndex::new),
            segments: u16::try_from(1 + self.below(9)).unwrap_or(1),
        };
        let direction = if self.below(3) == 0 { Direction::Inbound } else { Direction::Outbound };
        let people: Vec<Person> = (0..=self.below(PEOPLE)).map(|_| self.person()).collect();
        let counts = (0..people.len() * self.meters).map(|_| self.count()).collect();
        Question { direction, message, people, counts }
    }
}

impl Question {
    /// Has the rules decide about each person twice by itself, and about all together.
    ///
    /// # Errors
    /// What is wrong, with the message that shows it.
    pub(super) fn ask(&self, rules: &RuleSet, growth: &mut Growth) -> Result<(), String> {
        let Question { direction, message, people, counts } = self;
        let mut one_by_one = Vec::with_capacity(people.len());
        for place in 0..people.len() {
            let first = self.decide(place, rules, growth)?;
            let again = self.decide(place, rules, growth)?;
            if first != again {
                return Err(format!(
                    "decide said {}, and then {}, of the same message: {}: an answer may depend on the arguments alone",
                    Shown(rules, first),
                    Shown(rules, again),
                    self.shown(place)
                ));
            }
            one_by_one.push(first);
        }
        let together = rules.decide_many(*direction, message, people, counts).map_err(|error| {
            growth.exhausted_by(&error).unwrap_or_else(|| {
                format!("{error}: decide-many of {} people, the first: {}", people.len(), self.shown(0))
            })
        })?;
        growth.add(people.len() as u64, rules.memory_bytes());
        let differs = one_by_one.iter().zip(&together).position(|(one, other)| one != other);
        match differs {
            None => Ok(()),
            Some(place) => Err(format!(
                "decide-many said {} where decide said {}: {}",
                together.get(place).map_or_else(String::new, |&decision| Shown(rules, decision).to_string()),
                one_by_one
                    .get(place)
                    .map_or_else(String::new, |&decision| Shown(rules, decision).to_string()),
                self.shown(place)
            )),
        }
    }

    /// Has the rules decide about the first person.
    ///
    /// # Errors
    /// If the call fails.
    pub(super) fn decide_first(&self, rules: &RuleSet, growth: &mut Growth) -> Result<Decision, String> {
        self.decide(0, rules, growth)
    }

    /// Has the rules decide about one of the people, and looks at what memory that took.
    fn decide(&self, place: usize, rules: &RuleSet, growth: &mut Growth) -> Result<Decision, String> {
        let person = &self.people[place];
        let decided = rules.decide(self.direction, &self.message, person, self.counts_of(place));
        let decision = decided
            .map_err(|error| growth.exhausted_by(&error).unwrap_or_else(|| self.failed(place, &error)))?;
        growth.add(1, rules.memory_bytes());
        Ok(decision)
    }

    /// Says that the decision about the first person is not the same any more.
    pub(super) fn changed(&self, decisions: u64) -> String {
        format!(
            "decide says otherwise about the same message after {decisions} decisions: {}: an answer may depend on the arguments alone",
            self.shown(0)
        )
    }

    fn counts_of(&self, place: usize) -> &[u32] {
        let width = self.counts.len() / self.people.len().max(1);
        self.counts.get(place * width..(place + 1) * width).unwrap_or_default()
    }

    fn failed(&self, place: usize, error: &CallError) -> String {
        format!("{error}: {}", self.shown(place))
    }

    /// A message to one of the people, in words.
    fn shown(&self, place: usize) -> String {
        let Message { channel, purpose, time, sender, segments } = self.message;
        let to = self.people.get(place).map_or_else(String::new, |person| {
            let country = person.country.as_ref().map_or("an unknown country", |country| country.as_str());
            let (least, greatest) = (person.offsets.min(), person.offsets.max());
            format!(
                "the subject {} of {country}, {least} to {greatest} minutes from UTC",
                person.subject.get()
            )
        });
        let sender = sender.map_or_else(|| "none".to_owned(), |sender| sender.index().to_string());
        format!(
            "an {} message of {segments} segments, channel {channel}, purpose {purpose}, at {}, sender {sender}, of {to}, with the \
             counts {:?}",
            self.direction,
            in_words(time),
            self.counts_of(place)
        )
    }
}

/// A decision in words.
struct Shown<'a>(&'a RuleSet, Decision);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(rules, decision) = self;
        match *decision {
            Decision::Allow => f.write_str("allow"),
            Decision::Block(reason) => write!(f, "block ({})", rules.reason(reason)),
            Decision::Later { reason, until } => {
                write!(f, "later ({}, until {})", rules.reason(reason), in_words(until))
            }
        }
    }
}
