#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod changed;
mod clock;
mod counters;
mod encoding;
mod journal;
mod message;
mod meter;
mod meters;
mod others;
mod ring;

pub use clock::{Clock, Time};
pub use encoding::{DamagedChanges, NodeId};
pub use journal::{Journal, JournalError, Saved};
pub use message::{Key, Message, SenderKey};
pub use meter::{Digits, Kind, Kinds, Meter, Scope, Unit, Window};
pub use meters::{
    Changes, Count, DEFAULT_BYTES, Declared, MAX_DECLARED, Meters, Position, Reservation, TooManyMeters,
    Usage,
};
pub use others::MergeError;
