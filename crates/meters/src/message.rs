//! A message, as far as meters need to know it.

use portcullis_msisdn::{Direction, Msisdn, Subject};

use crate::meter::{Kind, Meter, Scope, Unit};

/// What meters count by.
#[derive(Clone, Copy, Debug)]
pub struct Message {
    /// Seen from the business.
    pub direction: Direction,
    /// The channel's index in the contract.
    pub channel: Kind,
    /// The purpose's index in the contract.
    pub purpose: Kind,
    /// The person.
    pub subject: Subject,
    /// The person's number, if they have one. Meters by prefix need it.
    pub number: Option<Msisdn>,
    /// The sender, if there is one.
    pub sender: Option<SenderKey>,
    /// ISO 3166-1 as two ASCII letters, the first in the upper byte; 0 if it is unknown.
    pub country: u16,
    /// The parts that are charged for; 0 is taken as 1.
    pub segments: u16,
}

/// A sender of the tenant: a number below 2^50 that stays the same over restarts and is the same at all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SenderKey(u64);

impl SenderKey {
    /// `None` if it is 2^50 or more.
    pub const fn new(key: u64) -> Option<Self> {
        if key >> Key::BITS == 0 { Some(SenderKey(key)) } else { None }
    }

    /// Below 2^50.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// The messages of a meter that are counted together: a value below 2^50, or those without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// The subject, sender or country, or the leading digits as a number. 0 for a tenant.
    Value(u64),
    /// A subject, where leading digits are counted: a person without a number.
    Person(u64),
    /// Those of no sender, or of no known country.
    Without,
}

impl Key {
    /// The bits of a value.
    pub const BITS: u32 = 50;

    /// Of a message, for a meter.
    #[inline]
    pub(crate) fn of(message: &Message, scope: Scope) -> Self {
        match scope {
            Scope::Tenant => Key::Value(0),
            Scope::Subject => Key::Value(message.subject.get()),
            Scope::Sender => message.sender.map_or(Key::Without, |sender| Key::Value(sender.get())),
            Scope::Country if message.country == 0 => Key::Without,
            Scope::Country => Key::Value(message.country.into()),
            Scope::Prefix(digits) => message.number.map_or(Key::Person(message.subject.get()), |number| {
                Key::Value(leading(number.get(), digits.get()))
            }),
        }
    }
}

impl Meter {
    /// Whether it counts this message.
    #[inline]
    pub(crate) fn counts(&self, message: &Message) -> bool {
        self.directions.covers(message.direction)
            && self.channels.contain(message.channel)
            && self.purposes.contain(message.purpose)
    }

    /// What a message adds.
    pub(crate) fn weight(&self, message: &Message) -> u32 {
        match self.unit {
            Unit::Messages => 1,
            Unit::Segments => message.segments.max(1).into(),
        }
    }
}

/// The leading digits of a number: the whole number if it has no more.
fn leading(number: u64, digits: u8) -> u64 {
    let length = number.checked_ilog10().map_or(1, |log| log + 1);
    number / 10_u64.pow(length.saturating_sub(digits.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leading_digits_are_the_first_of_the_number() {
        assert_eq!(leading(46_732_001_122, 1), 4);
        assert_eq!(leading(46_732_001_122, 5), 46_732);
        assert_eq!(leading(46_732_001_122, 11), 46_732_001_122);
        assert_eq!(leading(46_732_001_122, 15), 46_732_001_122);
        assert_eq!(leading(999_999_999_999_999, 15), 999_999_999_999_999);
    }
}
