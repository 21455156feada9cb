#![doc = include_str!("../README.md")]
//!
//! # From bytes to verdicts
//!
//! An [`Engine`] compiles a [`Plugin`]. A [`Generation`] is one or more instances of it, filled with a blacklist's entries from an
//! [`EntrySource`] or by hand. A [`Blacklist`] lets generations be exchanged while it answers. `examples/embed.rs` loads a plugin
//! from a file.
//!
//! The host's own threads are the engine's clock, and one while a plugin is loaded. A check may hold its caller's thread for up to
//! [`Limits::check`]; every other call for up to [`Limits::call`] for each [`BATCH`].
#![deny(unsafe_code)]

mod answer;
mod bindings;
mod blacklist;
mod breaker;
mod budget;
mod compilers;
mod contract;
mod deadline;
mod engine;
mod error_chain;
mod exchange;
mod fault;
mod fill;
mod fit;
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
mod turn;

pub use blacklist::Blacklist;
pub use breaker::{Breaker, BreakerState};
pub use budget::CompileBudget;
pub use contract::{Description, Entry, Format, Keyspace, Outcome, Page, Part, Progress, Settings, Verdict};
pub use engine::{Engine, EngineError};
pub use error_chain::ErrorChain;
pub use exchange::{Ask, Exchange, NotNow, Stage, Task, Ticket};
pub use fault::CallError;
pub use fill::{FillError, FilledFrom, StateError};
pub use fit::Unfit;
pub use generation::{Generation, Recipe};
pub use instance::{BATCH, Instance, PART_BYTES};
pub use limits::Limits;
pub use memory::MemoryAccount;
pub use plugin::{LoadError, Plugin};
pub use portcullis_msisdn::{Direction, Directions, Msisdn, Permutation, PermutationKey, Revealed, Subject};
pub use priority::{quietly, yield_to_checks};
pub use save::SaveError;
pub use saved_state::{StateHeader, StateParts, StateStore, StateWriter};
pub use shadow::{Disagreement, ShadowPlan, ShadowRun, ShadowTally, ShadowVerdict, Understudy};
pub use source::{Census, Change, EntrySource, SourceError};
