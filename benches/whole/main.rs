//! Benchmarks of the whole gateway: the real executable with real files, over HTTP. `cargo xtask bench` runs them, and
//! adds the results to the page.
#![forbid(unsafe_code)]

#[path = "../../crates/ledger-postgres/tests/postgres/cluster.rs"]
#[allow(dead_code, reason = "the tests of the ledger use more of it")]
mod cluster;
mod copy;
mod durable;
mod exact;
mod fleet;
mod gateway;
mod import;
mod neighbours;
mod record;
mod reload;
mod restart;
mod results;
mod start;
mod tenants;
mod updates;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use results::Results;

/// Benchmark the whole gateway
#[derive(Parser)]
struct Options {
    /// The benchmarks to run; all if none is given
    what: Vec<What>,
    /// A file to write the results to, as a JSON object
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// False positives and negatives in 10^9 checks
    Exact,
    /// Time from the start of the program to the first correct response
    Start,
    /// Time from the arrival of a plugin file to its serving
    Reload,
    /// Durable blocks, from one client and from many
    Durable,
    /// An import from a file, compared with plain SQLite
    Import,
    /// Ten thousand tenants
    Tenants,
    /// Updates that the next check does not see
    Updates,
    /// Gateways that share a ledger in PostgreSQL
    Fleet,
    /// Long lists in PostgreSQL, compared with the server's own copies
    Copy,
    /// One tenant's checks beside neighbours that misbehave
    Neighbours,
    /// Other processes that take over under load
    Restart,
}

fn main() -> anyhow::Result<()> {
    let Options { what, json } = Options::parse();
    let all = What::value_variants();
    let mut results = Results::default();
    for what in if what.is_empty() { all } else { &what } {
        match what {
            What::Exact => exact::measure(&mut results)?,
            What::Start => start::measure(&mut results)?,
            What::Reload => reload::measure(&mut results)?,
            What::Durable => durable::measure(&mut results)?,
            What::Import => import::measure(&mut results)?,
            What::Tenants => tenants::measure(&mut results)?,
            What::Updates => updates::measure(&mut results)?,
            What::Fleet => fleet::measure(&mut results)?,
            What::Copy => copy::measure(&mut results)?,
            What::Neighbours => neighbours::measure(&mut results)?,
            What::Restart => restart::measure(&mut results)?,
        }
    }
    match json {
        Some(file) => results.write(&file),
        None => Ok(()),
    }
}
