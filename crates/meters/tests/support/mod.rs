//! Messages and meters, and a model of these that knows each message that was counted.
#![allow(dead_code, reason = "each test uses a part of it")]

use portcullis_meters::{Digits, Kind, Kinds, Message, Meter, Scope, SenderKey, Time, Unit, Window};
use portcullis_msisdn::{Direction, Directions, Msisdn, Subject};
use proptest::prelude::*;

/// A day in 2026.
pub(crate) const START: u64 = 1_790_000_000_000;

pub(crate) fn time(millis: u64) -> Time {
    Time::from_millis(START + millis)
}

pub(crate) fn meter(scope: Scope, seconds: u32) -> Meter {
    Meter {
        scope,
        unit: Unit::Messages,
        window: Window::from_seconds(seconds).unwrap(),
        directions: Directions::BOTH,
        channels: Kinds::ALL,
        purposes: Kinds::ALL,
    }
}

/// A message to a number of some country, or to a person without a number.
pub(crate) fn message(person: u64) -> Message {
    let number = (person % 5 != 4)
        .then(|| Msisdn::try_from(46_700_000_000 + person * 7_654_321 % 99_999_999).unwrap());
    Message {
        direction: if person.is_multiple_of(3) { Direction::Inbound } else { Direction::Outbound },
        channel: Kind::new((person % 2) as u8).unwrap(),
        purpose: Kind::new((person % 4) as u8).unwrap(),
        subject: Subject::new(person).unwrap(),
        number,
        sender: SenderKey::new(person % 3).filter(|sender| sender.get() > 0),
        segments: (person % 6) as u16 + 1,
        country: [0, u16::from_be_bytes(*b"SE"), u16::from_be_bytes(*b"US")][(person % 3) as usize],
    }
}

pub(crate) fn any_scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        Just(Scope::Tenant),
        Just(Scope::Subject),
        Just(Scope::Sender),
        Just(Scope::Country),
        (1..=15_u8).prop_map(|digits| Scope::Prefix(Digits::new(digits).unwrap())),
    ]
}

pub(crate) fn any_meter() -> impl Strategy<Value = Meter> {
    let window = prop_oneof![1..100_u32, Just(3600), Just(86_400), Just(Window::MAX_SECONDS)];
    (any_scope(), any::<bool>(), window, 0..4_u8, any::<u8>(), any::<u8>()).prop_map(
        |(scope, is_segments, seconds, directions, channels, purposes)| Meter {
            unit: if is_segments { Unit::Segments } else { Unit::Messages },
            directions: Directions::from_bits(directions).unwrap(),
            channels: Kinds::from_bits(channels),
            purposes: Kinds::from_bits(purposes),
            ..meter(scope, seconds)
        },
    )
}

/// Which messages count together, in words.
pub(crate) fn group(meter: &Meter, message: &Message) -> String {
    match meter.scope {
        Scope::Tenant => String::new(),
        Scope::Subject => format!("{}", message.subject.get()),
        Scope::Sender => format!("{:?}", message.sender),
        Scope::Country => format!("{}", message.country),
        Scope::Prefix(digits) => {
            message.number.map_or(format!("person {}", message.subject.get()), |number| {
                number.digits().to_string().chars().take(digits.get().into()).collect()
            })
        }
    }
}

/// All messages that were counted, and when.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    counted: Vec<(u64, Message, Vec<Meter>)>,
}

impl Model {
    /// Counts a message, which has the returned number from now on.
    pub(crate) fn count(&mut self, at: Time, message: &Message, meters: &[Meter]) -> usize {
        self.counted.push((at.as_millis(), *message, meters.to_vec()));
        self.counted.len() - 1
    }

    pub(crate) fn release(&mut self, number: usize) {
        self.counted[number].2.clear();
    }

    /// How many messages of the last so many milliseconds count with this one.
    fn within(&self, meter: &Meter, message: &Message, since: impl Fn(u64) -> bool) -> u32 {
        let counted = self.counted.iter().filter(|(at, other, meters)| {
            since(*at)
                && meters.contains(meter)
                && meter.directions.covers(other.direction)
                && meter.channels.contain(other.channel)
                && meter.purposes.contain(other.purpose)
                && group(meter, other) == group(meter, message)
        });
        counted
            .map(|(_, other, _)| if meter.unit == Unit::Segments { other.segments.into() } else { 1 })
            .sum()
    }

    /// What counts, by slots.
    pub(crate) fn expected(&self, meter: &Meter, message: &Message, now: Time) -> u32 {
        let slot = u64::from(meter.window.as_seconds()) * 125;
        self.within(meter, message, |at| now.as_millis() / slot <= at / slot + 8)
    }

    /// The least and the most that the contract allows.
    pub(crate) fn allowed(
        &self,
        meter: &Meter,
        message: &Message,
        now: Time,
    ) -> std::ops::RangeInclusive<u32> {
        let window = u64::from(meter.window.as_seconds()) * 1000;
        let least = self.within(meter, message, |at| now.as_millis() < at + window);
        let most = self.within(meter, message, |at| now.as_millis() <= at + window + window / 8);
        least..=most
    }
}
