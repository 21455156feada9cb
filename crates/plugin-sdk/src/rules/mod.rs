//! Rules plugins: whether a message may go now.
//!
//! A rules plugin is a pure function of its settings and of what the host tells it about a message. What it must remember,
//! the host counts: see [`Meter`]. Start with the trait [`Rules`], the macro [`export_rules!`](crate::export_rules), and
//! [`conformance::check`] for unit tests.
//!
//! ```
//! use portcullis_plugin_sdk::rules::{
//!     Decision, Description, Message, Meter, Need, Purpose, Rules, Scope, Settings, TimeOfDay,
//! };
//! use portcullis_plugin_sdk::{Direction, Directions, Subject};
//!
//! /// Marketing by day only, and to nobody more than twice a week.
//! struct Polite;
//!
//! const ASLEEP: u16 = 0;
//! const TOO_OFTEN: u16 = 1;
//!
//! impl Rules for Polite {
//!     fn describe() -> Description {
//!         Description::new("polite", "1.0.0", &["asleep", "too-often"])
//!             .needing([Need::LocalTime])
//!             // It has no options: the host refuses any.
//!             .with_options_schema(r#"{"additionalProperties": false}"#)
//!     }
//!
//!     fn configure(_: Settings) -> Result<Self, String> {
//!         Ok(Polite)
//!     }
//!
//!     fn meters(&self) -> Vec<Meter> {
//!         let week = Meter::new(Scope::Subject, 7 * 24 * 3600, Directions::OUTBOUND);
//!         vec![week.of_purposes([Purpose::Marketing])]
//!     }
//!
//!     fn decide(&self, _: Subject, direction: Direction, message: &Message, counts: &[u32]) -> Decision {
//!         if direction == Direction::Inbound || message.purpose != Purpose::Marketing {
//!             return Decision::Allow;
//!         }
//!         if counts[0] >= 2 {
//!             return Decision::Block { reason: TOO_OFTEN };
//!         }
//!         let (from, to) = (TimeOfDay::new(8, 0).unwrap(), TimeOfDay::new(21, 0).unwrap());
//!         match message.within(from, to) {
//!             Ok(()) => Decision::Allow,
//!             Err(until) => until.or_block(ASLEEP),
//!         }
//!     }
//! }
//!
//! portcullis_plugin_sdk::export_rules!(Polite);
//! # portcullis_plugin_sdk::rules::conformance::check::<Polite>("{}", &[]);
//! ```

pub mod conformance;
mod contract;
#[allow(
    missing_docs,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    reason = "called only by the macro"
)]
mod glue;
mod hours;
mod set;

pub use contract::{
    Batch, Channel, Channels, Country, Decision, Description, Message, Meter, Need, Needs, Offsets, Purpose,
    Purposes, Rules, Scope, Settings, Unit,
};
pub use hours::{TimeOfDay, Until};
pub use set::{Element, Set};

#[doc(hidden)]
pub use glue::RulesSlot;
