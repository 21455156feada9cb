//! Decisions by the options.

use portcullis_plugin_sdk::rules::{Decision, Message, Meter, Until};
use portcullis_plugin_sdk::{Direction, Subject};

use crate::options::{self, CountryRule, Limit, Options, Quiet, Reach};
use crate::reason::Reason;

/// The rules of a tenant.
#[derive(Clone, Debug)]
pub struct Policy {
    options: Options,
}

impl Policy {
    /// Reads the options. `knows_numbers`: whether subjects are numbers in clear.
    ///
    /// # Errors
    /// What is wrong, with its path in the JSON, and what to write instead. It repeats nothing of the options but names.
    pub fn parse(json: &str, knows_numbers: bool) -> Result<Self, String> {
        Ok(Policy { options: options::parse(json, knows_numbers)? })
    }

    /// What the host must count.
    pub fn meters(&self) -> Vec<Meter> {
        self.options.meters.all().to_vec()
    }

    /// Whether a message may go now. Inbound messages may: the person has sent them.
    ///
    /// A rule that blocks is stronger than one that postpones, so that nobody waits for an hour that changes nothing.
    pub fn decide(
        &self,
        subject: Subject,
        direction: Direction,
        message: &Message,
        counts: &[u32],
    ) -> Decision {
        if direction == Direction::Inbound {
            return Decision::Allow;
        }
        match self.blocked(subject, message, counts) {
            Some(reason) => Decision::Block { reason: reason.index() },
            None => self.quiet(message),
        }
    }

    fn blocked(&self, subject: Subject, message: &Message, counts: &[u32]) -> Option<Reason> {
        let Options { held, countries, prefixes, other_prefixes_are_blocked, ceilings, caps, .. } =
            &self.options;
        if held.contains(message.purpose) {
            return Some(Reason::PurposeHeld);
        }
        // A prefix is narrower than a country: it decides, also if it allows.
        match prefixes.longest(subject.get()) {
            Some(true) => return Some(Reason::Prefix),
            Some(false) => {}
            None if *other_prefixes_are_blocked => return Some(Reason::Prefix),
            None if countries.as_ref().is_some_and(|countries| !countries.allow(message)) => {
                return Some(Reason::Country);
            }
            None => {}
        }
        let reached =
            |limit: Option<Limit>| limit.is_some_and(|limit| limit.place.count(counts) >= limit.most);
        for ceiling in ceilings.iter().filter(|ceiling| ceiling.reach.has(message)) {
            if reached(ceiling.minute) {
                return Some(Reason::CeilingMinute);
            }
            if reached(ceiling.hour) {
                return Some(Reason::CeilingHour);
            }
        }
        for cap in caps.iter().filter(|cap| cap.reach.has(message)) {
            if reached(cap.day) {
                return Some(Reason::CapDay);
            }
            if reached(cap.week) {
                return Some(Reason::CapWeek);
            }
        }
        None
    }

    /// What the quiet hours say: of several, the one that blocks, or the one that ends last.
    fn quiet(&self, message: &Message) -> Decision {
        let reason = Reason::QuietHours.index();
        let mut decision = Decision::Allow;
        for quiet in self.options.quiet.iter().filter(|quiet| quiet.reach.has(message)) {
            match (quiet.until(message), decision) {
                (None, _) => {}
                (Some(Until::Time(until)), Decision::Later { until: other, .. }) if quiet.is_later => {
                    decision = Decision::Later { reason, until: until.max(other) };
                }
                (Some(until @ Until::Time(_)), _) if quiet.is_later => decision = until.or_block(reason),
                (Some(_), _) => return Decision::Block { reason },
            }
        }
        decision
    }
}

impl CountryRule {
    fn allow(&self, message: &Message) -> bool {
        message
            .country
            .map_or(self.unknown_is_allowed, |country| self.countries.contains(country) == self.is_allowed)
    }
}

impl Reach {
    /// Whether a rule is about this message. A rule about some countries is not about those that are not known.
    fn has(&self, message: &Message) -> bool {
        self.purposes.contains(message.purpose)
            && match (message.country, &self.only) {
                (Some(country), Some(only)) => only.contains(country),
                (Some(country), None) => !self.except.contains(country),
                (None, Some(_)) => false,
                (None, None) => true,
            }
    }
}

impl Quiet {
    /// Until when it is, or may be, a quiet hour for the person.
    fn until(&self, message: &Message) -> Option<Until> {
        message.within(self.to, self.from).err()
    }
}
