//! What is counted for rules.

use portcullis_msisdn::{Direction, Directions};

use super::message::{Channels, Message, Purposes};

/// Which messages are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// All of the tenant.
    Tenant,
    /// Those of one person.
    Subject,
    /// Those of one sender; those with none of the tenant's senders together.
    Sender,
    /// Those to or from one country; those of no known country together.
    Country,
    /// Those to or from numbers that share this many leading digits, 1 to 15.
    Prefix(u8),
}

/// What is added up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// One for each message.
    Messages,
    /// The [segments](Message::segments) of each message.
    Segments,
}

/// A counter that rules read and the caller keeps: of messages that match the filters and were not stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Meter {
    /// Which messages are counted together.
    pub scope: Scope,
    /// What is added up.
    pub unit: Unit,
    /// The window in seconds: 1 to [`Meter::LONGEST_WINDOW`].
    pub window: u32,
    /// The directions that count; at least one.
    pub directions: Directions,
    /// The channels that count; at least one.
    pub channels: Channels,
    /// The purposes that count; at least one.
    pub purposes: Purposes,
}

impl Meter {
    /// The longest window in seconds: 31 days.
    pub const LONGEST_WINDOW: u32 = 31 * 24 * 3600;

    /// The most meters of one rules plugin.
    pub const MOST: usize = 16;

    /// Whether a message counts.
    pub fn counts(&self, direction: Direction, message: &Message) -> bool {
        self.directions.covers(direction)
            && self.channels.contains(message.channel)
            && self.purposes.contains(message.purpose)
    }

    /// How much a message that counts adds.
    pub fn amount(&self, message: &Message) -> u32 {
        match self.unit {
            Unit::Messages => 1,
            Unit::Segments => u32::from(message.segments.max(1)),
        }
    }
}
