//! Rules plugins: whether a message may go now.
//!
//! A rules plugin is a pure function of its settings and of what the host tells it about a message. What it must remember,
//! the host counts: see [`Meter`]. Start with the trait [`Rules`] and the macro [`export_rules!`](crate::export_rules).

mod contract;
#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "called only by the macro"
)]
mod glue;
mod set;

pub use contract::{
    Batch, Channel, Channels, Country, Decision, Description, Message, Meter, Need, Needs, Offsets, Purpose,
    Purposes, Rules, Scope, Settings, Unit,
};
pub use set::{Element, Set};

#[doc(hidden)]
pub use glue::RulesSlot;
