#![doc = include_str!("../README.md")]
//!
//! # From bytes to verdicts
//!
//! An [`Engine`] compiles a [`Plugin`]. A [`Generation`] is one or more instances of the plugin, filled with a
//! blacklist's entries from an [`EntrySource`] or by hand. A [`Blacklist`] serves checks from a generation, and can
//! swap it without interrupting them. `examples/embed.rs` loads a plugin from a file.
//!
//! A [`Component`] may be a list plugin, a rules plugin, or both. Rules decide about what passes the list: see [`rules`].
//!
//! The host starts one thread for the engine's clock, and a few while a plugin is being loaded. A check may block its
//! caller for up to [`Limits::check`]; every other call for up to [`Limits::call`] per [`BATCH`].
//!
//! Plugins of others should be compiled in a child process: see [`Compiler`].
#![deny(unsafe_code)]

mod answer;
mod bindings;
mod blacklist;
mod bound;
mod breaker;
mod budget;
mod call_error;
mod compile;
mod component;
mod contract;
mod cpu_time;
mod deadline;
mod engine;
mod error_chain;
mod exchange;
mod fill;
mod foreign_text;
mod function_name;
mod generation;
mod instance;
mod invalid_component;
mod last_words;
mod limits;
mod load_error;
mod memory;
mod memory_pool;
mod not_wasm;
mod pace;
mod plugin;
mod priority;
mod proof;
mod random;
mod reload_outcome;
mod replica;
pub mod rules;
mod sandbox;
mod save;
mod saved_state;
mod shadow;
mod source;
mod stopwatch;
mod survey;
mod validate;
mod wasm_config;
mod witness;

pub use blacklist::Blacklist;
pub use bound::{Bound, UnknownBound};
pub use breaker::{Breaker, BreakerState};
pub use budget::CompileBudget;
pub use call_error::{CallError, TryCheckError};
pub use compile::{ArtefactCache, CacheProblem, Compiler, Confinement, compile_child_main};
pub use component::Component;
pub use contract::{Description, Entry, Format, Keyspace, Outcome, Page, Part, Progress, Settings, Verdict};
pub use engine::{Engine, EngineError};
pub use error_chain::ErrorChain;
pub use exchange::{Exchange, ExchangeError, ExchangeRequest, Stage, Task, Ticket};
pub use fill::{FillError, FilledFrom, StateError};
pub use foreign_text::{FOREIGN_TEXT_BYTES, ForeignText, is_obeyed};
pub use generation::{Generation, Recipe};
pub use instance::{BATCH, Instance, PART_BYTES};
pub use invalid_component::InvalidComponent;
pub use limits::Limits;
pub use load_error::LoadError;
pub use memory::MemoryAccount;
pub use memory_pool::MemoryPool;
pub use not_wasm::NotWasm;
pub use pace::Pace;
pub use plugin::Plugin;
pub use portcullis_msisdn::{Direction, Directions, Msisdn, Permutation, PermutationKey, Revealed, Subject};
pub use priority::{at_low_priority, at_low_priority_after, lower_priority};
pub use reload_outcome::ReloadOutcome;
pub use save::SaveError;
pub use saved_state::{StateHeader, StateParts, StateStore, StateWriter};
pub use shadow::{Disagreement, ShadowPlan, ShadowRun, ShadowTally, ShadowTarget, ShadowVerdict};
pub use source::{Census, Change, EntryParts, EntrySource, SourceError};
pub use survey::{Measure, survey};
pub use validate::CONTRACT;
