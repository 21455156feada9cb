//! Measures the default plugin's whole linear memory in bytes per number, by how the list was created.
//!
//! Prints a table; with `--json` also writes the results as a flat object.
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
    /// List sizes
    #[arg(default_values_t = [1_000_000, 10_000_000])]
    sizes: Vec<u64>,
    /// A file to write the results to
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
            .with_context(|| format!("can't write {}", file.display()))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the program's output")]
fn println(line: &str) {
    println!("{line}");
}

/// Returns the cost per number for each way to create a list with `size` numbers.
fn measure(size: u64) -> anyhow::Result<Vec<(String, f64)>> {
    let mut figures = Vec::new();
    let mut add = |name: String, bytes: u64| figures.push((name, bytes as f64 / size as f64));

    // By single writes, as through the API, without a hint of the final size.
    let random = empty(portcullis_plugin_bundle::EXACT.component);
    let mut numbers = SplitMix::new(1);
    let mut left = size;
    while left > 0 {
        let count = left.min(BATCH as u64);
        let entry = |_| Entry { subject: numbers.subject(), directions: Directions::BOTH };
        random.block(&(0..count).map(entry).collect::<Vec<_>>())?;
        left -= count;
    }
    add(format!("memory/{size}/random"), random.memory_bytes());
    drop(random);

    let record = Record::new(size);
    let filled = Generation::filled(with_capacity(size), &record, None)?;
    add(format!("memory/{size}/filled"), filled.memory_bytes());

    let state = State::default();
    filled.save(&state, size)?.context("the default plugin saves its state")?;
    drop(filled);
    add(format!("saved/{size}"), state.bytes());

    let loaded = Generation::filled(with_capacity(size), &record, Some(&state))?;
    anyhow::ensure!(state.is_kept(), "the saved state could not be used");
    add(format!("memory/{size}/loaded"), loaded.memory_bytes());
    Ok(figures)
}

/// The recipe with a hint of the number of entries, as the gateway gives it.
fn with_capacity(size: u64) -> Recipe {
    let mut recipe = recipe(portcullis_plugin_bundle::EXACT.component);
    recipe.settings.capacity = size;
    recipe
}
