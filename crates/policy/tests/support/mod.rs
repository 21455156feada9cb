//! A gateway in small: a policy, and the meters and zones of a real one.
#![allow(dead_code, reason = "each test uses a part of it")]

use portcullis_meters as meters;
use portcullis_meters::{Declared, Meters, NodeId, Time};
use portcullis_msisdn::{Direction, Msisdn};
use portcullis_plugin_sdk::Subject;
use portcullis_plugin_sdk::rules::{
    Channel, Country, Decision, Element, Message, Meter, Offsets, Purpose, Scope, Set, Unit,
};
use portcullis_policy::{Policy, Reason};
use portcullis_zones::Place;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Sent,
    Blocked(Reason),
    Later(Reason, u64),
}

pub(crate) struct Gateway {
    policy: Policy,
    meters: Meters,
    declared: Declared,
}

impl Gateway {
    pub(crate) fn new(options: &str, now: u64) -> Self {
        let policy = Policy::parse(options, true).unwrap_or_else(|error| panic!("{error}: {options}"));
        let meters = Meters::new(NodeId(1), meters::DEFAULT_BYTES);
        let all: Vec<meters::Meter> = policy.meters().iter().map(meter).collect();
        let declared = meters.declare(&all, Time::from_millis(now)).unwrap();
        Gateway { policy, meters, declared }
    }

    /// Sends a message, or doesn't.
    pub(crate) fn send(&self, number: Msisdn, purpose: Purpose, now: u64) -> Outcome {
        let place = Place::of(number);
        let offsets = place.offsets(now);
        let message = Message {
            channel: Channel::Sms,
            purpose,
            country: place.country().and_then(|country| Country::new(&country.to_string())),
            offsets: Offsets::new(offsets.least, offsets.greatest).unwrap(),
            ..Message::at(now)
        };
        let counted = meters::Message {
            direction: Direction::Outbound,
            channel: kind(message.channel),
            purpose: kind(purpose),
            subject: Subject::new(number.get()).unwrap(),
            number: Some(number),
            sender: None,
            country: place.country().map_or(0, |country| country.code()),
            segments: 1,
        };
        let mut counts = vec![0; self.declared.len()];
        let reservation = self.meters.reserve(&self.declared, &counted, Time::from_millis(now), &mut counts);
        let decision = self.policy.decide(counted.subject, Direction::Outbound, &message, &counts);
        if decision != Decision::Allow {
            self.meters.release(&reservation);
        }
        let reason = |index: u16| Reason::ALL[usize::from(index)];
        match decision {
            Decision::Allow => Outcome::Sent,
            Decision::Block { reason: index } => Outcome::Blocked(reason(index)),
            Decision::Later { reason: index, until } => Outcome::Later(reason(index), until),
        }
    }
}

fn kind<T: Element>(value: T) -> meters::Kind {
    let index = T::ALL.iter().position(|one| *one == value).unwrap();
    meters::Kind::new(u8::try_from(index).unwrap()).unwrap()
}

fn kinds<T: Element>(set: Set<T>) -> meters::Kinds {
    meters::Kinds::from_bits(set.iter().fold(0, |bits, value| bits | 1 << kind(value).get()))
}

fn meter(meter: &Meter) -> meters::Meter {
    meters::Meter {
        scope: match meter.scope {
            Scope::Tenant => meters::Scope::Tenant,
            Scope::Subject => meters::Scope::Subject,
            Scope::Sender => meters::Scope::Sender,
            Scope::Country => meters::Scope::Country,
            Scope::Prefix(digits) => meters::Scope::Prefix(meters::Digits::new(digits).unwrap()),
        },
        unit: match meter.unit {
            Unit::Messages => meters::Unit::Messages,
            Unit::Segments => meters::Unit::Segments,
        },
        window: meters::Window::from_seconds(meter.window).unwrap(),
        directions: meter.directions,
        channels: kinds(meter.channels),
        purposes: kinds(meter.purposes),
    }
}

/// Milliseconds since 1970.
pub(crate) fn millis(time: &str) -> u64 {
    time.parse::<jiff::Timestamp>().unwrap().as_millisecond().cast_unsigned()
}

pub(crate) fn number(text: &str) -> Msisdn {
    text.parse().unwrap()
}
