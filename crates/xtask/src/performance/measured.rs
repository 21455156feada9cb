//! What criterion left behind.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Medians in nanoseconds, by the benchmarks' full names.
pub(super) struct Measured(BTreeMap<String, f64>);

#[derive(Deserialize)]
struct Benchmark {
    full_id: String,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

impl Measured {
    /// Reads the newest results of all benchmarks below a folder.
    pub(super) fn read(folder: &Path) -> Result<Self> {
        let mut found = BTreeMap::new();
        collect(folder, &mut found)?;
        Ok(Measured(found))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

fn collect(folder: &Path, found: &mut BTreeMap<String, f64>) -> Result<()> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry.context("the results can't be read")?.path();
        if !path.is_dir() {
            continue;
        }
        let (benchmark, estimates) = (path.join("benchmark.json"), path.join("estimates.json"));
        if path.ends_with("new") && benchmark.exists() && estimates.exists() {
            let Benchmark { full_id } = read(&benchmark)?;
            let Estimates { median } = read(&estimates)?;
            found.insert(full_id, median.point_estimate);
        } else {
            collect(&path, found)?;
        }
    }
    Ok(())
}

fn read<T: for<'a> Deserialize<'a>>(file: &Path) -> Result<T> {
    let text = std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} is not criterion's", file.display()))
}
