//! Rules plugins: whether a message may go now, by the contract `portcullis:rules@0.1.0`.
//!
//! A [`Component`](crate::Component) that exports the interface `rules` has a [`Plugin`]. A [`RuleSet`] is one or more
//! instances of it, configured by a [`Recipe`], which decide from any thread. It needs no entries, so exchanging a rule is
//! making another `RuleSet`. What is counted for the rules, the caller counts: see [`RuleSet::meters`].

mod answer;
mod decision;
mod description;
mod instance;
mod message;
mod meter;
mod options;
mod plugin;
mod proof;
mod rule_set;
mod set;

pub use decision::{Decision, LONGEST_POSTPONEMENT, Reason};
pub use description::{Description, Need, Needs};
pub use message::{
    Channel, Channels, Country, Message, Offsets, Person, Purpose, Purposes, SENDERS, SenderIndex,
};
pub use meter::{Meter, Scope, Unit};
pub use options::OPTIONS_BYTES;
pub use plugin::Plugin;
pub use proof::Proof;
pub use rule_set::{Grants, Recipe, RuleSet};
pub use set::{Element, Set};
