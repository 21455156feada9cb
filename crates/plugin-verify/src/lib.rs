//! Examines a plugin without a gateway: what it contains, whether it fits, whether it does what its contract says, and what it costs.
//!
//! [`inspect()`] reads a component and runs nothing. [`verify()`] says all that is wrong with one at once. [`componentize()`] makes a
//! component of a core module. [`replay()`] shows what rules would have stopped of recorded messages.
#![forbid(unsafe_code)]

mod blacklist;
mod componentize;
mod conformance;
mod costs;
mod growth;
mod inspect;
mod kind;
mod log;
mod replay;
mod report;
mod rules;
mod split_mix;
mod time;
mod verify;

pub use componentize::{ComponentizeError, componentize};
pub use costs::Costs;
pub use inspect::{Inspection, Item, Section, inspect};
pub use kind::Kind;
pub use log::Logged;
pub use replay::{ReplayError, ReplayRequest, Replayed, replay};
pub use report::{Bound, Described, Loaded, Report};
pub use rules::RuleCosts;
pub use verify::{Request, verify};
