#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod changed;
mod clock;
mod counters;
mod declared;
mod encoding;
mod journal;
mod known;
mod message;
mod meter;
mod meters;
mod others;
mod ring;
mod state;

pub use clock::{Clock, Time};
pub use declared::{Declared, MAX_DECLARED, Reservation, TooManyMeters, Unknown};
pub use encoding::{DamagedChanges, NodeId};
pub use journal::{Journal, JournalError, Saved};
pub use message::{Key, Message, SenderKey};
pub use meter::{Digits, Kind, Kinds, Meter, Scope, Unit, Window};
pub use meters::{Changes, Count, DEFAULT_BYTES, Meters, Position, Usage};
pub use others::MergeError;
