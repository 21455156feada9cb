//! What the default plugin's whole linear memory comes to, in bytes a number, however its list came about.
//!
//! Prints a table, and with `--json` writes a flat object of the same figures.
#![forbid(unsafe_code)]

mod record;
mod state;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;
use portcullis_benches::{SplitMix, empty, recipe};
use portcullis_host::{BATCH, Directions, Entry, Generation, Recipe};

use record::Record;
use state::State;

/// Measure the memory of the default plugin
#[derive(Parser)]
struct Options {
    /// How many numbers the list has
    #[arg(default_values_t = [1_000_000, 10_000_000])]
    sizes: Vec<u64>,
    /// Where to write the figures
    #[arg(long)]
    json: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let options = Options::parse();
    let empty = empty(portcullis_plugin_bundle::EXACT.component);
    let mut figures = BTreeMap::from([("memory/empty".to_owned(), empty.memory_bytes() as f64)]);
    for &size in &options.sizes {
        for (name, bytes) in measure(size)? {
            println(&format!("{name:<28}{bytes:>8.3}"));
            figures.insert(name, bytes);
        }
    }
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_vec_pretty(&figures)?)
            .with_context(|| format!("{} can't be written", file.display()))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what this program is for")]
fn println(line: &str) {
    println!("{line}");
}

/// Each way to come by a list of `size` numbers, and what it costs a number.
fn measure(size: u64) -> anyhow::Result<Vec<(String, f64)>> {
    let mut figures = Vec::new();
    let mut told = |name: String, bytes: u64| figures.push((name, bytes as f64 / size as f64));

    // As they come one after the other through the API, with no word of how many there will be.
    let random = empty(portcullis_plugin_bundle::EXACT.component);
    let mut numbers = SplitMix::new(1);
    let mut left = size;
    while left > 0 {
        let count = left.min(BATCH as u64);
        let entry = |_| Entry { subject: numbers.subject(), directions: Directions::BOTH };
        random.block(&(0..count).map(entry).collect::<Vec<_>>())?;
        left -= count;
    }
    told(format!("memory/{size}/random"), random.memory_bytes());
    drop(random);

    let record = Record::new(size);
    let filled = Generation::filled(told_of(size), &record, None)?;
    told(format!("memory/{size}/filled"), filled.memory_bytes());

    let state = State::default();
    filled.save(&state)?.context("the default plugin saves its state")?;
    drop(filled);
    told(format!("saved/{size}"), state.bytes());

    let loaded = Generation::filled(told_of(size), &record, Some(&state))?;
    anyhow::ensure!(state.is_kept(), "the saved state was of no use");
    told(format!("memory/{size}/loaded"), loaded.memory_bytes());
    Ok(figures)
}

/// As the gateway has it: with a word of how many entries there are.
fn told_of(size: u64) -> Recipe {
    let mut recipe = recipe(portcullis_plugin_bundle::EXACT.component);
    recipe.settings.capacity = size;
    recipe
}
