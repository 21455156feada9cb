//! The meters that a tenant's rules read.

use std::ops::Range;
use std::sync::Arc;

use crate::clock::Time;
use crate::counters::Id;
use crate::message::Message;
use crate::meter::Meter;

/// The most meters that a tenant's rules declare at a time.
pub const MAX_DECLARED: usize = 128;

/// The meters that a tenant's rules have declared, in their order.
#[derive(Clone)]
pub struct Declared {
    pub(crate) counters: Arc<[DeclaredMeter]>,
}

pub(crate) struct DeclaredMeter {
    pub(crate) meter: Meter,
    pub(crate) slot_millis: u64,
    pub(crate) index: u16,
    /// The first that was declared alike: it counts for both.
    pub(crate) first: usize,
    /// While this is held, the meter keeps its index.
    pub(crate) _declared: Arc<()>,
}

/// A message that was counted, until it is known to have passed.
///
/// Dropping this leaves the message counted.
#[derive(Clone)]
pub struct Reservation {
    pub(crate) declared: Declared,
    pub(crate) message: Message,
    pub(crate) now: Time,
    /// Which of the meters did not count it: there was no room.
    pub(crate) uncounted: u128,
    pub(crate) unknown: Unknown,
}

/// More meters were declared than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooManyMeters {
    /// At a time.
    #[error(
        "the tenant's rules declare {declared} meters, and {MAX_DECLARED} is the most: declare fewer, or use fewer rules plugins"
    )]
    Declared {
        /// How many.
        declared: usize,
    },
    /// With those of earlier declarations that still count.
    #[error(
        "the tenant's rules have declared {} different meters lately, which is the most: wait until the counts of earlier ones have expired",
        Id::METERS
    )]
    Lately,
}

/// Which of the declared meters have no room for a message's counter, or lack what other nodes have counted of it: what is known of their
/// counts may be too little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unknown(pub(crate) u128);

impl Unknown {
    /// Whether there is one among these, by their places in the declaration.
    pub fn is_any(self, of: Range<usize>) -> bool {
        self.0 != 0 && of.into_iter().any(|place| self.0 >> place & 1 == 1)
    }
}

impl Reservation {
    /// The counts that are not known.
    pub fn unknown(&self) -> Unknown {
        self.unknown
    }
}

impl Declared {
    /// How many meters were declared: the length of the counts.
    pub fn len(&self) -> usize {
        self.counters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.counters.is_empty()
    }

    /// The meters, as they were declared.
    pub fn meters(&self) -> impl Iterator<Item = &Meter> {
        self.counters.iter().map(|counter| &counter.meter)
    }
}
