//! Loads blacklist plugins, bounds what they do, and checks messages against them.
//!
//! A plugin is a WebAssembly component that fits the contract `wit/0.1.0/blacklist.wit`. It holds one blacklist, and it
//! is trusted with nothing: it imports nothing, it knows numbers as [`Subject`]s only, each call of it is
//! bounded in time, memory and size of the answer, and a fault costs its own instance and no other.
//!
//! From bytes to verdicts: an [`Engine`] compiles a [`Plugin`]; a [`Generation`] is one instance of it filled with a
//! blacklist's entries, out of an [`EntrySource`] or by hand; a [`Blacklist`] lets generations be exchanged while it answers.
//!
#![doc = "```no_run"]
#![doc = include_str!("../examples/embed.rs")]
#![doc = "```"]
//!
//! Nothing here needs an async runtime. Calls run on the caller's thread; threads of its own are the engine's
//! clock, and one while a plugin is loaded. A check may hold its thread up to [`Limits::check`]; everything else up to [`Limits::call`] for each [`BATCH`].
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
