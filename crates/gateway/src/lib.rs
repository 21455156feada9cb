//! The `portcullis` program: the gateway and its command line.
//!
//! [`serve`] assembles the gateway from the engine and from the crates of its HTTP APIs, each with its part of the configuration.
#![forbid(unsafe_code)]

mod accept;
mod background;
mod backup;
mod config;
mod connections;
mod counted;
mod deliveries;
mod engine;
mod fleet;
mod handover;
mod listeners;
mod listening;
mod log;
mod migrate;
mod others;
mod plugin_file;
mod protocol;
mod reload;
mod router;
pub mod serve;
mod signals;
mod sources;
mod start_report;
mod systemd;
mod telemetry;
mod tls;
mod usage;
mod verify;
mod visits;

#[doc(hidden)]
pub use config::fuzz;

use std::process::ExitCode;

/// Parses this process's command line, runs the command, and returns the exit code.
pub fn main() -> ExitCode {
    portcullis_cli::main(
        serve::run,
        verify::run,
        migrate::run,
        plugin_file::examine,
        backup::run,
        config::run_command,
    )
}
