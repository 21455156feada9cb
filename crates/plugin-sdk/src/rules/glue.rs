//! Conversion between the generated bindings and the trait.

use std::cell::RefCell;

use portcullis_msisdn::{Direction, Directions, Subject};

use super::contract::{
    Batch, Channel, Country, Decision, Description, Message, Meter, Offsets, Purpose, Rules, Scope, Settings,
    Unit,
};
use crate::panics::keep_messages;
use crate::rules_bindings::exports::portcullis::rules::rules as wit;

/// The rules of a component. Empty until `configure` is called.
pub struct RulesSlot<P>(RefCell<Option<(P, usize)>>);

impl<P: Rules> RulesSlot<P> {
    pub const fn empty() -> Self {
        RulesSlot(RefCell::new(None))
    }

    pub fn describe() -> wit::Description {
        keep_messages();
        P::describe().into()
    }

    pub fn configure(&self, settings: wit::Settings) -> Result<Vec<wit::Meter>, String> {
        keep_messages();
        let wit::Settings { options, senders } = settings;
        let rules = P::configure(Settings { options, senders })?;
        let meters: Vec<wit::Meter> = rules.meters().into_iter().map(Into::into).collect();
        let replaced = self.0.borrow_mut().replace((rules, meters.len()));
        assert!(replaced.is_none(), "`configure` was called twice");
        Ok(meters)
    }

    #[inline]
    pub fn decide(
        &self,
        key: u64,
        direction: wit::Direction,
        message: wit::Message,
        counts: Vec<u32>,
    ) -> wit::Decision {
        let slot = self.0.borrow();
        let (rules, _) = slot.as_ref().expect("the host calls `configure` first");
        rules.decide(subject(key), direction.into(), &message.into(), &counts).into()
    }

    pub fn decide_many(&self, batch: wit::Batch) -> wit::Answers {
        let slot = self.0.borrow();
        let (rules, width) = slot.as_ref().expect("the host calls `configure` first");
        let batch = Batch {
            direction: batch.direction.into(),
            message: batch.message.into(),
            subjects: Subject::from_values(&batch.subjects).expect("the host passes subjects below 2^50"),
            countries: &batch.countries,
            offsets_min: &batch.offsets_min,
            offsets_max: &batch.offsets_max,
            listed: &batch.listed,
            counts: &batch.counts,
            width: *width,
        };
        let decided = rules.decide_many(&batch);
        assert_eq!(decided.len(), batch.len(), "`decide_many` returns one decision for each person");
        let mut answers = wit::Answers { stopped: vec![0; batch.len().div_ceil(8)], decisions: Vec::new() };
        for (i, decision) in decided.into_iter().enumerate() {
            if decision != Decision::Allow {
                answers.stopped[i / 8] |= 1 << (i % 8);
                answers.decisions.push(decision.into());
            }
        }
        answers
    }
}

/// Implements the generated `Guest` trait for a plugin's component.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_rules_guest {
    ($component:ty, $state:ident, $plugin:ty) => {
        use $crate::rules_bindings::exports::portcullis::rules::rules as contract;

        impl contract::Guest for $component {
            fn describe() -> contract::Description {
                $crate::rules::RulesSlot::<$plugin>::describe()
            }
            fn configure(settings: contract::Settings) -> Result<Vec<contract::Meter>, String> {
                $state.with(|state| state.configure(settings))
            }
            fn decide(
                subject: u64,
                direction: contract::Direction,
                message: contract::Message,
                counts: Vec<u32>,
            ) -> contract::Decision {
                $state.with(|state| state.decide(subject, direction, message, counts))
            }
            fn decide_many(batch: contract::Batch) -> contract::Answers {
                $state.with(|state| state.decide_many(batch))
            }
        }
    };
}

fn subject(key: u64) -> Subject {
    Subject::new(key).expect("the host passes subjects below 2^50")
}

impl From<wit::Direction> for Direction {
    fn from(direction: wit::Direction) -> Self {
        match direction {
            wit::Direction::Inbound => Direction::Inbound,
            wit::Direction::Outbound => Direction::Outbound,
        }
    }
}

impl From<wit::Message> for Message {
    #[inline]
    fn from(message: wit::Message) -> Self {
        Message {
            channel: match message.channel {
                wit::Channel::Other => Channel::Other,
                wit::Channel::Sms => Channel::Sms,
                wit::Channel::Mms => Channel::Mms,
                wit::Channel::Rcs => Channel::Rcs,
                wit::Channel::Whatsapp => Channel::WhatsApp,
                wit::Channel::Voice => Channel::Voice,
            },
            purpose: match message.purpose {
                wit::Purpose::Unknown => Purpose::Unknown,
                wit::Purpose::Authentication => Purpose::Authentication,
                wit::Purpose::Utility => Purpose::Utility,
                wit::Purpose::Marketing => Purpose::Marketing,
                wit::Purpose::Service => Purpose::Service,
            },
            time: message.time,
            country: Country::from_contract(message.country),
            offsets: Offsets::new(message.offset_min, message.offset_max)
                .expect("the host passes a range of at most 18 hours to either side"),
            sender: (message.sender != u32::MAX).then_some(message.sender as usize),
            segments: message.segments,
            listed: message.listed,
        }
    }
}

impl From<Decision> for wit::Decision {
    #[inline]
    fn from(decision: Decision) -> Self {
        match decision {
            Decision::Allow => wit::Decision::Allow,
            Decision::Block { reason } => wit::Decision::Block(reason),
            Decision::Later { reason, until } => wit::Decision::Later(wit::Postponement { reason, until }),
        }
    }
}

impl From<Meter> for wit::Meter {
    fn from(meter: Meter) -> Self {
        wit::Meter {
            scope: match meter.scope {
                Scope::Tenant => wit::Scope::Tenant,
                Scope::Subject => wit::Scope::Subject,
                Scope::Sender => wit::Scope::Sender,
                Scope::Country => wit::Scope::Country,
                Scope::Prefix(digits) => wit::Scope::Prefix(digits),
            },
            unit: match meter.unit {
                Unit::Messages => wit::Unit::Messages,
                Unit::Segments => wit::Unit::Segments,
            },
            window: meter.window,
            directions: directions(meter.directions),
            channels: wit::Channels::from_bits_truncate(meter.channels.bits()),
            purposes: wit::Purposes::from_bits_truncate(meter.purposes.bits()),
        }
    }
}

fn directions(directions: Directions) -> wit::Directions {
    wit::Directions::from_bits_truncate(directions.bits())
}

impl From<Description> for wit::Description {
    fn from(description: Description) -> Self {
        let Description { name, version, needs, reasons, options_schema } = description;
        let needs = wit::Needs::from_bits_truncate(needs.bits());
        wit::Description { name, version, needs, reasons, options_schema }
    }
}
