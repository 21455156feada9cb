//! Replaying recorded messages to a rule that does not serve.

use portcullis_host::CallError;
use portcullis_host::rules as host;
use portcullis_meters::{DEFAULT_BYTES, Declared, Meters, NodeId, Time, TooManyMeters};

use crate::chain::{kind, meter};
use crate::recording::Recorded;
use crate::rule::Rule;
use crate::senders::Senders;
use crate::stop::Stop;

/// A rule to which recorded messages are replayed, with counts of what it lets pass itself. It begins with nothing counted.
///
/// Meters by prefix count each person alone: a recording has no numbers.
pub struct Replay {
    rule: Rule,
    senders: Senders,
    meters: Meters,
    declared: Declared,
    counts: Vec<u32>,
}

impl Replay {
    /// Begins a replay. The senders are those of the rule's recipe.
    ///
    /// # Errors
    /// If the rule declares too many meters.
    pub fn begin(rule: Rule, senders: Senders) -> Result<Self, TooManyMeters> {
        let meters = Meters::new(NodeId(1), DEFAULT_BYTES);
        let all: Vec<_> = rule.meters().iter().map(meter).collect();
        let declared = meters.declare(&all, Time::from_millis(0))?;
        let counts = vec![0; declared.len()];
        Ok(Replay { rule, senders, meters, declared, counts })
    }

    /// Decides about the next message, and counts it if it was sent and the rule does not stop it. Messages come in the order of their times.
    ///
    /// # Errors
    /// If the rule fails.
    pub fn decide(&mut self, recorded: &Recorded) -> Result<Option<Stop>, CallError> {
        let Recorded { time, message, subject, person, country, offsets, sender, is_sent, .. } = recorded;
        let sender = sender.as_deref().and_then(|name| self.senders.get(name));
        let counted = portcullis_meters::Message {
            direction: message.direction,
            channel: kind(message.channel),
            purpose: kind(message.purpose),
            subject: *person,
            number: None,
            sender: sender.map(|sender| sender.key),
            country: country.as_ref().map_or(0, |country| {
                country.as_str().bytes().fold(0, |code, letter| code << 8 | u16::from(letter))
            }),
            segments: message.segments.get(),
        };
        let now = Time::from_millis(*time);
        let reservation = if *is_sent {
            Some(self.meters.reserve(&self.declared, &counted, now, &mut self.counts))
        } else {
            self.meters.peek(&self.declared, &counted, now, &mut self.counts);
            None
        };
        let told = host::Message {
            channel: message.channel,
            purpose: message.purpose,
            time: *time,
            sender: sender.and_then(|sender| sender.index),
            segments: message.segments.get(),
        };
        let mut to = host::Person::new(*subject);
        (to.country, to.offsets) = (*country, *offsets);
        let decided =
            self.rule.present().and_then(|set| set.decide(message.direction, &told, &to, &self.counts));
        let stop = decided.map(|decision| self.rule.stop(decision));
        if let (Some(reservation), Ok(Some(_)) | Err(_)) = (&reservation, &stop) {
            self.meters.release(reservation);
        }
        stop
    }
}
