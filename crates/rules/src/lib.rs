#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod chain;
mod message;
mod recording;
mod replay;
mod reservation;
mod rule;
mod rules;
mod senders;
mod shadow;
mod stop;
mod strangers;

pub use message::{Message, Party};
pub use recording::{RECORDED_PAGE, Recorded, RecordedPage};
pub use replay::Replay;
pub use reservation::Reservation;
pub use rule::{Rule, RuleFault};
pub use rules::{Asking, Busy, OnFault, Rules, Within};
pub use senders::Senders;
pub use shadow::{ShadowRun, ShadowTally};
pub use stop::Stop;
pub use strangers::strangers;

pub use portcullis_host::rules::{Channel, Purpose};
pub use portcullis_meters::TooManyMeters;
