//! A conformance test that runs rules natively, in a unit test.

use portcullis_msisdn::{Direction, Subject};

use super::contract::{
    Batch, Channel, Decision, Description, Message, Meter, Need, Needs, Offsets, Purpose, Rules, Scope,
    Settings,
};
use super::set::Element;
use crate::conformance::assert_name;
use crate::split_mix::SplitMix;

/// Configures `P` with the given options (a JSON object) and senders, twice, and asks both for thousands of decisions. Tests
/// that decisions are the same however often and in which order they are asked for, that
/// [`decide_many`](Rules::decide_many) agrees with [`decide`](Rules::decide), and that the description, the meters, reasons
/// and postponements are as the contract says.
///
/// The messages are the same in each run. They tell as much as the plugin says that it needs.
///
/// # Panics
///
/// If the plugin violates the contract; the message says how, and for which message.
pub fn check<P: Rules>(options: &str, senders: &[&str]) {
    let description = described::<P>();
    let [one, other] = [(), ()].map(|()| configured::<P>(options, senders, description.needs));
    let meters = metered(&one, &other);
    let mut random = SplitMix::new(1);
    let mut questions: Vec<Question> =
        (0..400).map(|_| Question::new(&mut random, &description, senders.len(), meters)).collect();
    let first: Vec<Vec<Decision>> = questions.iter().map(|question| question.ask_one_by_one(&one)).collect();
    for (question, decisions) in questions.iter().zip(&first) {
        question.validate(decisions, &description);
        let together = one.decide_many(&question.batch());
        question.compare(decisions, &together, "decide_many() does not agree with decide()");
    }
    // The other instance is asked in another order, and the first one again.
    let mut again: Vec<(Question, Vec<Decision>)> = questions.drain(..).zip(first).rev().collect();
    again.sort_by_key(|(question, _)| question.message.time % 1009);
    for (question, decisions) in &again {
        let message = "another instance decides otherwise, or asked in another order";
        question.compare(decisions, &other.decide_many(&question.batch()), message);
        question.compare(decisions, &question.ask_one_by_one(&other), message);
        question.compare(decisions, &question.ask_one_by_one(&one), "it decides otherwise when asked again");
    }
}

fn described<P: Rules>() -> Description {
    let description = P::describe();
    assert_eq!(description, P::describe(), "describe() returned a different description the second time");
    let Description { name, version, reasons, options_schema, .. } = &description;
    assert_name("the plugin's name", name);
    assert!(version.len() <= 64, "the version {version:?} is longer than 64 bytes");
    assert!((1..=64).contains(&reasons.len()), "there must be 1 to 64 reasons, not {}", reasons.len());
    for (n, reason) in reasons.iter().enumerate() {
        assert_name("a reason", reason);
        assert!(!reasons[..n].contains(reason), "the reason {reason} occurs twice");
    }
    let schema_bytes = options_schema.as_ref().map_or(0, String::len);
    assert!(schema_bytes <= 64 << 10, "the schema has {schema_bytes} bytes; the limit is 64 KiB");
    description
}

fn configured<P: Rules>(options: &str, senders: &[&str], needs: Needs) -> P {
    let senders = senders.iter().filter(|_| needs.contains(Need::Sender));
    let settings =
        Settings { options: options.to_owned(), senders: senders.map(|&sender| sender.to_owned()).collect() };
    P::configure(settings).unwrap_or_else(|why| panic!("configure() refused {options}: {why}"))
}

/// Validates the meters, and returns their number.
fn metered<P: Rules>(one: &P, other: &P) -> usize {
    let meters = one.meters();
    assert_eq!(meters, other.meters(), "meters() differs between two instances with the same settings");
    assert!(meters.len() <= 16, "there are {} meters; the limit is 16", meters.len());
    for meter in &meters {
        let Meter { scope, window, directions, channels, purposes, .. } = *meter;
        assert!(
            (1..=Meter::LONGEST_WINDOW).contains(&window),
            "the window of {meter:?} is not 1 s to 31 days"
        );
        assert!(
            !matches!(scope, Scope::Prefix(digits) if !(1..=15).contains(&digits)),
            "the prefix of {meter:?} does not have 1 to 15 digits"
        );
        let is_empty = directions.is_none() || channels.is_empty() || purposes.is_empty();
        assert!(!is_empty, "{meter:?} counts nothing");
    }
    meters.len()
}

/// The same message to some people.
struct Question {
    direction: Direction,
    message: Message,
    subjects: Vec<Subject>,
    countries: Vec<u16>,
    offsets_min: Vec<i16>,
    offsets_max: Vec<i16>,
    listed: Vec<u8>,
    counts: Vec<u32>,
    width: usize,
}

/// Some countries. The first is none.
const COUNTRIES: [&str; 6] = ["", "US", "CA", "DE", "IN", "BR"];

impl Question {
    fn new(random: &mut SplitMix, description: &Description, senders: usize, width: usize) -> Self {
        let needs = |need| description.needs.contains(need);
        let people = 1 + random.below(20);
        let mut message = Message::at(1_780_000_000_000 + random.next() % (1 << 35));
        message.channel = Channel::ALL[random.below(Channel::ALL.len())];
        message.purpose = Purpose::ALL[random.below(Purpose::ALL.len())];
        message.segments = u16::try_from(1 + random.below(9)).unwrap_or(1);
        if needs(Need::Sender) && senders > 0 {
            message.sender = Some(random.below(senders + 1)).filter(|&sender| sender < senders);
        }
        let direction = if random.below(4) == 0 { Direction::Inbound } else { Direction::Outbound };
        let subject = |random: &mut SplitMix| match needs(Need::Number) {
            // A number of the North American Numbering Plan.
            true => Subject::new(12_000_000_000 + random.next() % 7_999_999_999).unwrap_or(Subject::MIN),
            false => random.subject(),
        };
        let subjects: Vec<Subject> = (0..people).map(|_| subject(random)).collect();
        let of_all = |is_needed: bool| if is_needed { people } else { 0 };
        let country = |random: &mut SplitMix| match COUNTRIES[random.below(COUNTRIES.len())].as_bytes() {
            &[a, b] => u16::from_be_bytes([a, b]),
            _ => 0,
        };
        let countries = (0..of_all(needs(Need::Country))).map(|_| country(random)).collect();
        let offsets = |random: &mut SplitMix| match random.below(4) {
            0 => (Offsets::UNKNOWN.min(), Offsets::UNKNOWN.max()),
            wide => {
                let min = -720 + 15 * i16::try_from(random.below(100)).unwrap_or(0);
                let width = i16::try_from(random.below(13)).unwrap_or(0);
                (min, if wide == 1 { min + 15 * width } else { min })
            }
        };
        let (offsets_min, offsets_max) = (0..of_all(needs(Need::LocalTime))).map(|_| offsets(random)).unzip();
        let listed = (0..of_all(needs(Need::Listed)).div_ceil(8))
            .map(|byte| {
                let left = (people - 8 * byte).min(8);
                u8::try_from(random.below(1 << left)).unwrap_or(0)
            })
            .collect();
        let count = |random: &mut SplitMix| match random.below(8) {
            0 => u32::MAX,
            1 => u32::try_from(random.below(10_000)).unwrap_or(0),
            _ => u32::try_from(random.below(8)).unwrap_or(0),
        };
        let counts = (0..people * width).map(|_| count(random)).collect();
        Question { direction, message, subjects, countries, offsets_min, offsets_max, listed, counts, width }
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            direction: self.direction,
            message: self.message,
            subjects: &self.subjects,
            countries: &self.countries,
            offsets_min: &self.offsets_min,
            offsets_max: &self.offsets_max,
            listed: &self.listed,
            counts: &self.counts,
            width: self.width,
        }
    }

    fn ask_one_by_one<P: Rules>(&self, rules: &P) -> Vec<Decision> {
        let decide = |(subject, message, counts)| rules.decide(subject, self.direction, &message, counts);
        self.batch().iter().map(decide).collect()
    }

    fn compare(&self, before: &[Decision], after: &[Decision], what: &str) {
        assert_eq!(after.len(), before.len(), "{what}: there is not one decision for each person");
        for (n, (before, after)) in before.iter().zip(after).enumerate() {
            assert_eq!(before, after, "{what}: {}", self.shown(n));
        }
    }

    fn validate(&self, decisions: &[Decision], description: &Description) {
        for (n, decision) in decisions.iter().enumerate() {
            let (Decision::Block { reason } | Decision::Later { reason, .. }) = *decision else { continue };
            let reasons = description.reasons.len();
            assert!(usize::from(reason) < reasons, "there is no reason {reason}: {}", self.shown(n));
            let Decision::Later { until, .. } = *decision else { continue };
            assert_eq!(
                self.direction,
                Direction::Outbound,
                "an inbound message is postponed: {}",
                self.shown(n)
            );
            let after = until.checked_sub(self.message.time);
            assert!(
                after.is_some_and(|after| (1..=7 * 24 * 3600 * 1000).contains(&after)),
                "it is postponed to {until}, which is not within the 7 days after the message: {}",
                self.shown(n)
            );
        }
    }

    fn shown(&self, n: usize) -> String {
        let batch = self.batch();
        let message = batch.message(n).unwrap_or(self.message);
        format!(
            "{} message to or from {:?}, {message:?}, counts {:?}",
            self.direction,
            self.subjects[n],
            batch.counts(n)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::rules::{TimeOfDay, Until};
    use portcullis_msisdn::Directions;

    /// Rules that do one thing wrong, by the name of their option.
    struct Wrong {
        what: String,
        asked: Cell<u64>,
    }

    impl Rules for Wrong {
        fn describe() -> Description {
            Description::new("wrong", "1.0.0", &["because"]).needing(Need::ALL.iter().copied())
        }

        fn configure(settings: Settings) -> Result<Self, String> {
            Ok(Wrong { what: settings.options, asked: Cell::new(0) })
        }

        fn meters(&self) -> Vec<Meter> {
            let window = if self.what == "window" { 0 } else { 60 };
            let meter = Meter::new(Scope::Subject, window, Directions::OUTBOUND);
            match self.what.as_str() {
                "meters" => vec![meter; 17],
                "filter" => vec![meter.by_channels([])],
                "prefix" => vec![Meter { scope: Scope::Prefix(0), ..meter }],
                _ => vec![meter; 2],
            }
        }

        fn decide(
            &self,
            subject: Subject,
            direction: Direction,
            message: &Message,
            counts: &[u32],
        ) -> Decision {
            assert_eq!(counts.len(), 2);
            self.asked.set(self.asked.get() + 1);
            match self.what.as_str() {
                "counts" if self.asked.get().is_multiple_of(1000) => Decision::Block { reason: 0 },
                "reason" => Decision::Block { reason: 1 },
                "inbound" => Decision::Later { reason: 0, until: message.time + 1 },
                "never" if direction == Direction::Outbound => {
                    Decision::Later { reason: 0, until: message.time }
                }
                _ if direction == Direction::Inbound || counts[0] > counts[1] => Decision::Allow,
                _ if message.listed && subject.get().is_multiple_of(3) => Decision::Block { reason: 0 },
                _ => match message.within(TimeOfDay::new(8, 0).unwrap(), TimeOfDay::new(21, 0).unwrap()) {
                    Ok(()) => Decision::Allow,
                    Err(Until::Time(until)) => Decision::Later { reason: 0, until },
                    Err(Until::Never) => Decision::Block { reason: 0 },
                },
            }
        }

        fn decide_many(&self, batch: &Batch<'_>) -> Vec<Decision> {
            let decide = |(subject, message, counts)| self.decide(subject, batch.direction, &message, counts);
            let mut all: Vec<Decision> = batch.iter().map(decide).collect();
            match self.what.as_str() {
                "batch" if batch.len() > 5 => all.swap(0, 5),
                "short" => drop(all.pop()),
                _ => {}
            }
            all
        }
    }

    #[test]
    fn rules_that_keep_the_contract_pass() {
        check::<Wrong>("nothing", &["shop", "support"]);
        check::<Wrong>("nothing", &[]);
    }

    #[test]
    fn each_breach_is_found_and_named() {
        for (what, found) in [
            ("window", "is not 1 s to 31 days"),
            ("meters", "the limit is 16"),
            ("filter", "counts nothing"),
            ("prefix", "1 to 15 digits"),
            ("counts", "message to or from"),
            ("reason", "there is no reason 1"),
            ("inbound", "an inbound message is postponed"),
            ("never", "not within the 7 days"),
            ("batch", "does not agree with decide()"),
            ("short", "not one decision for each person"),
        ] {
            let panicked = std::panic::catch_unwind(|| check::<Wrong>(what, &[])).expect_err(what);
            let message = panicked.downcast::<String>().expect("a message");
            assert!(message.contains(found), "{what}: {message}");
        }
    }
}
