//! What a message says of itself, and whom it is to or from.

use std::num::NonZeroU16;

use portcullis_host::rules::{Channel, Purpose};
use portcullis_msisdn::{Direction, Msisdn, Subject};

/// A message, as far as its sender says what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Seen from the business.
    pub direction: Direction,
    /// What carries it.
    pub channel: Channel,
    /// What it is for.
    pub purpose: Purpose,
    /// The parts that are charged.
    pub segments: NonZeroU16,
    /// When it is to go, in milliseconds since 1970, if that is not now. For [asking](crate::Rules::ask) only: one that goes, goes now.
    pub at: Option<u64>,
}

impl Message {
    /// A message of which nothing else is known.
    pub fn new(direction: Direction) -> Self {
        Message {
            direction,
            channel: Channel::Other,
            purpose: Purpose::Unknown,
            segments: NonZeroU16::MIN,
            at: None,
        }
    }
}

/// Whom a message is to or from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Party {
    /// The person, as lists know them.
    pub subject: Subject,
    /// What identifies the person, however the number is spelled: messages are counted by it.
    pub key: Subject,
    /// The number; `None` for a person without one.
    pub number: Option<Msisdn>,
}
