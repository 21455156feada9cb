//! The rules of a tenant in their order, and what is counted for them.

use std::ops::Range;
use std::sync::Arc;

use portcullis_host::rules::{self as host, Country, Element, Need, Needs, Offsets, Person};
use portcullis_meters::{
    Declared, Digits, Kind, Kinds, Meter, Meters, Scope, Time, TooManyMeters, Unit, Window,
};
use portcullis_msisdn::{Direction, Msisdn, Subject};
use portcullis_zones::Place;

use crate::message::{Message, Party};
use crate::rule::Rule;
use crate::senders::Sender;
use crate::shadow::Shadow;

/// The rules of a tenant in their order. Immutable: an exchange makes another one.
pub(crate) struct Chain {
    pub(crate) links: Vec<Link>,
    /// The meters of all of them, and after these, those that only candidates in shadow runs read.
    pub(crate) declared: Declared,
    /// What any of them, or of the meters, must know.
    needs: Needs,
}

/// A rule, and where its counts are among those of all.
#[derive(Clone)]
pub(crate) struct Link {
    pub(crate) rule: Arc<Rule>,
    pub(crate) counts: Range<usize>,
    pub(crate) shadow: Option<Arc<Shadow>>,
}

/// A message to or from one person, as the rules and the meters are told of it.
#[derive(Clone, Copy)]
pub(crate) struct Asked {
    pub(crate) direction: Direction,
    pub(crate) message: host::Message,
    pub(crate) person: Person,
    pub(crate) counted: portcullis_meters::Message,
}

impl Chain {
    /// Declares the meters of these rules.
    pub(crate) fn new(
        rules: impl IntoIterator<Item = (Arc<Rule>, Option<Arc<Shadow>>)>,
        meters: &Meters,
        now: Time,
    ) -> Result<Self, TooManyMeters> {
        let (mut links, mut all, mut needs) = (Vec::new(), Vec::<Meter>::new(), Needs::NONE);
        for (rule, shadow) in rules {
            needs = needs | needs_of(&rule) | shadow.as_ref().map_or(Needs::NONE, |shadow| shadow.needs);
            let from = all.len();
            all.extend(rule.meters().iter().map(meter));
            links.push(Link { rule, counts: from..all.len(), shadow });
        }
        // What is sent while a candidate is tried counts when it comes to serve.
        let mut with_candidates = all.clone();
        let shadows = links.iter().filter_map(|link: &Link| link.shadow.as_ref());
        for meter in shadows.flat_map(|shadow| &shadow.meters) {
            if !with_candidates.contains(meter) {
                with_candidates.push(*meter);
            }
        }
        // If they are too many together, it begins at zero.
        let declared = meters.declare(&with_candidates, now).or_else(|_| meters.declare(&all, now))?;
        Ok(Chain { links, declared, needs })
    }

    /// What the rules are told. What none of them needs is not computed.
    pub(crate) fn asked(&self, party: &Party, sender: Option<Sender>, message: &Message, time: u64) -> Asked {
        let (person, country) = person_of(party.subject, party.number, self.needs, time);
        let Message { direction, channel, purpose, segments, .. } = *message;
        Asked {
            direction,
            message: host::Message {
                channel,
                purpose,
                time,
                sender: sender.and_then(|sender| sender.index),
                segments: segments.get(),
            },
            person,
            counted: portcullis_meters::Message {
                direction,
                channel: kind(channel),
                purpose: kind(purpose),
                subject: party.key,
                number: party.number,
                sender: sender.map(|sender| sender.key),
                country,
                segments: segments.get(),
            },
        }
    }
}

/// A person as rules are told of one, and the code of the person's country; 0 if it is not known, or not needed.
pub(crate) fn person_of(subject: Subject, number: Option<Msisdn>, needs: Needs, time: u64) -> (Person, u16) {
    let mut person = Person::new(subject);
    let is_place_needed = needs.contains(Need::Country) || needs.contains(Need::LocalTime);
    let Some(number) = number.filter(|_| is_place_needed) else { return (person, 0) };
    let place = Place::of(number);
    person.country = place.country().and_then(|country| Country::new(&country.to_string()));
    if needs.contains(Need::LocalTime) {
        let offsets = place.offsets(time);
        person.offsets = Offsets::new(offsets.least, offsets.greatest).unwrap_or(Offsets::UNKNOWN);
    }
    (person, place.country().map_or(0, portcullis_zones::Country::code))
}

/// What a rule must know, its meters included.
pub(crate) fn needs_of(rule: &Rule) -> Needs {
    let needs = rule.needs();
    let is_by_country = rule.meters().iter().any(|meter| meter.scope == host::Scope::Country);
    needs | if is_by_country { [Need::Country].into_iter().collect() } else { Needs::NONE }
}

/// A meter of a plugin, as it is counted. The host has checked its bounds.
pub(crate) fn meter(declared: &host::Meter) -> Meter {
    let digits = |digits| Digits::new(digits).expect("a plugin's prefixes have 1 to 15 digits");
    Meter {
        scope: match declared.scope {
            host::Scope::Tenant => Scope::Tenant,
            host::Scope::Subject => Scope::Subject,
            host::Scope::Sender => Scope::Sender,
            host::Scope::Country => Scope::Country,
            host::Scope::Prefix(count) => Scope::Prefix(digits(count)),
        },
        unit: match declared.unit {
            host::Unit::Messages => Unit::Messages,
            host::Unit::Segments => Unit::Segments,
        },
        window: Window::from_seconds(declared.window).expect("a plugin's windows have at most 31 days"),
        directions: declared.directions,
        channels: kinds(declared.channels),
        purposes: kinds(declared.purposes),
    }
}

fn index<T: Element>(value: T) -> u8 {
    let position = T::ALL.iter().position(|&one| one == value).unwrap_or_default();
    u8::try_from(position).unwrap_or_default()
}

pub(crate) fn kind<T: Element>(value: T) -> Kind {
    Kind::new(index(value)).unwrap_or_default()
}

fn kinds<T: Element>(set: host::Set<T>) -> Kinds {
    Kinds::from_bits(set.iter().fold(0, |bits, value| bits | 1 << index(value)))
}
