//! What was measured: by criterion, and by the programs that leave a file in `target/measured`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Medians by name: of criterion's benchmarks, by their full names and in nanoseconds; and what the other programs found, where
/// times are in nanoseconds, sizes in bytes, and rates a second.
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
    /// Reads the newest results of criterion's benchmarks below a folder, and the other programs' files in another: each an
    /// object of names and numbers.
    pub(super) fn read(criterion: &Path, others: &Path) -> Result<Self> {
        let mut found = BTreeMap::new();
        collect(criterion, &mut found)?;
        for entry in std::fs::read_dir(others).into_iter().flatten() {
            let path = entry.context("the results can't be read")?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                found.extend(read::<BTreeMap<String, f64>>(&path)?);
            }
        }
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
    serde_json::from_slice(&text).with_context(|| format!("{} can't be understood", file.display()))
}
