//! Measures the whole gateway: the real program, its real files, over HTTP. `cargo xtask bench` runs it, and puts what it finds
//! on the page.
#![forbid(unsafe_code)]

mod durable;
mod exact;
mod gateway;
mod import;
mod record;
mod reload;
mod results;
mod start;
mod tenants;
mod updates;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use results::Results;

/// Measure the whole gateway
#[derive(Parser)]
struct Options {
    /// What is measured; all of it where nothing is named
    what: Vec<What>,
    /// A file that gets the results, as an object of JSON
    #[arg(long)]
    json: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum What {
    /// False positives and negatives of 10^9 checks
    Exact,
    /// From the start of the program to the first right answer
    Start,
    /// From a plugin file's arrival to its serving
    Reload,
    /// Durable blocks, one client and many
    Durable,
    /// An import from a file, beside SQLite's own
    Import,
    /// Ten thousand tenants
    Tenants,
    /// Updates that the next check does not see
    Updates,
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
        }
    }
    match json {
        Some(file) => results.write(&file),
        None => Ok(()),
    }
}
