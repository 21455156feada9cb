//! The `portcullis` program: a gateway, from its configuration file to its last answer, and the command line for it.
//!
//! [`serve`] puts together what the other crates are: the engine, the edge, and its faces, each with its own part of [`config`].
#![forbid(unsafe_code)]

mod config;
mod engine;
mod log;
mod router;
pub mod serve;
mod visits;

#[doc(hidden)]
pub use config::fuzz;

use std::process::ExitCode;

/// Reads the command line of this process, does what it says, and says how that went.
pub fn main() -> ExitCode {
    portcullis_cli::main(serve::run)
}
