#![doc = include_str!("../README.md")]
//!
//! # From bytes to verdicts
//!
//! An [`Engine`] compiles a [`Plugin`]. A [`Generation`] is one or more instances of the plugin, filled with a
//! blacklist's entries from an [`EntrySource`] or by hand. A [`Blacklist`] serves checks from a generation, and can
//! swap it without interrupting them. `examples/embed.rs` loads a plugin from a file.
//!
//! The host starts one thread for the engine's clock, and one while a plugin is being loaded. A check may block its
//! caller for up to [`Limits::check`]; every other call for up to [`Limits::call`] per [`BATCH`].
#![deny(unsafe_code)]

mod answer;
mod bindings;
mod blacklist;
mod breaker;
mod budget;
mod call_error;
mod compile_slot;
mod compilers;
mod contract;
mod deadline;
mod engine;
mod error_chain;
mod exchange;
mod fill;
mod generation;
mod instance;
mod limits;
mod memory;
mod plugin;
mod priority;
mod proof;
mod replica;
mod save;
mod saved_state;
mod shadow;
mod source;
mod validate;

pub use blacklist::Blacklist;
pub use breaker::{Breaker, BreakerState};
pub use budget::CompileBudget;
pub use call_error::CallError;
pub use contract::{Description, Entry, Format, Keyspace, Outcome, Page, Part, Progress, Settings, Verdict};
pub use engine::{Engine, EngineError};
pub use error_chain::ErrorChain;
pub use exchange::{Exchange, ExchangeError, ExchangeRequest, Stage, Task, Ticket};
pub use fill::{FillError, FilledFrom, StateError};
pub use generation::{Generation, Recipe};
pub use instance::{BATCH, Instance, PART_BYTES};
pub use limits::Limits;
pub use memory::MemoryAccount;
pub use plugin::{LoadError, Plugin};
pub use portcullis_msisdn::{Direction, Directions, Msisdn, Permutation, PermutationKey, Revealed, Subject};
pub use priority::{at_low_priority, lower_priority};
pub use save::SaveError;
pub use saved_state::{StateHeader, StateParts, StateStore, StateWriter};
pub use shadow::{Disagreement, ShadowPlan, ShadowRun, ShadowTally, ShadowTarget, ShadowVerdict};
pub use source::{Census, Change, EntrySource, SourceError};
pub use validate::InvalidComponent;
