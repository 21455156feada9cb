#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod acknowledgements;
pub mod journal;
mod node_name;
mod positions;
mod presence;
mod progress;
mod staleness;

use std::time::Duration;

pub use acknowledgements::{Acknowledgements, Change, DEADLINE};
pub use journal::Journal;
pub use node_name::is_node_name;
pub use positions::Positions;
pub use presence::Presence;
pub use progress::Progress;
pub use staleness::{DEFAULT_STALE_AFTER, Staleness, WhenStale};

/// How often the ledger is asked what changed.
pub const EVERY: Duration = Duration::from_millis(20);
/// How often it is asked while it can't be reached.
pub const RETRY: Duration = Duration::from_millis(250);
/// How often the others are told of this gateway, if nothing has changed.
const TELL_EVERY: Duration = Duration::from_secs(1);
