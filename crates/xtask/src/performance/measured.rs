//! The results of Criterion, and of the programs that write files to `target/measured`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Results by name: medians of Criterion's benchmarks in nanoseconds, by their full names; and the results of the other
/// programs, with times in nanoseconds, sizes in bytes, and rates per second.
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
    /// Reads the results in a target directory: the latest results of Criterion's benchmarks, gungraun's counts, and
    /// the other programs' files, each an object of names and numbers.
    pub(super) fn read(target: &Path) -> Result<Self> {
        let mut found = BTreeMap::new();
        collect(&target.join("criterion"), &mut found)?;
        count(&target.join("gungraun"), &mut found)?;
        for path in entries(&target.join("measured"))? {
            if path.extension().is_some_and(|extension| extension == "json") {
                found.extend(read::<BTreeMap<String, f64>>(&path)?);
            }
        }
        let mut measured = Measured(found);
        measured.derive();
        Ok(measured)
    }

    /// Adds values that are derived from others.
    fn derive(&mut self) {
        for (name, threads, time) in
            [("threads/one", 1.0, "check/threads/host/1"), ("threads/two", 2.0, "check/threads/host/2")]
        {
            self.put(name, self.of(time).map(|time| threads * 1e9 / time));
        }
        for time in ["durable/one-client", "durable/64-clients"] {
            self.put(&format!("{time}/rate"), self.of(time).map(|time| 1e9 / time));
        }
        for batches in ["http/64000/portcullis-batch", "http/1000000/portcullis-batch"] {
            self.put(batches, self.of(&format!("{batches}/numbers")).map(|rate| 1e9 / rate));
        }
        let [quiet, reloads] = ["delay/asked/quiet", "delay/asked/reloads"].map(|name| self.of(name));
        self.put("delay/added", reloads.zip(quiet).map(|(reloads, quiet)| (reloads - quiet).max(0.0)));
    }

    fn put(&mut self, name: &str, value: Option<f64>) {
        self.0.extend(value.map(|value| (name.to_owned(), value)));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn of(&self, name: &str) -> Option<f64> {
        self.0.get(name).copied()
    }
}

/// gungraun's summary of one benchmark.
#[derive(Deserialize)]
struct Summary {
    group: String,
    id: String,
    profiles: Vec<Profile>,
}

#[derive(Deserialize)]
struct Profile {
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    total: Total,
}

#[derive(Deserialize)]
struct Total {
    metrics: BTreeMap<String, Metric>,
}

#[derive(Deserialize)]
struct Metric {
    values: BTreeMap<String, f64>,
}

/// The number of phone numbers that each counted benchmark processes.
const COUNTED: f64 = 1024.0;

/// Reads the counts per number, named by the benchmark's group and case.
fn count(folder: &Path, found: &mut BTreeMap<String, f64>) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            count(&path, found)?;
        } else if path.ends_with("summary.json") {
            let Summary { group, id, profiles } = read(&path)?;
            for profile in profiles {
                for (what, event) in [("instructions", "Ir"), ("first", "D1mr"), ("misses", "DLmr")] {
                    let metric = profile.data.total.metrics.get(event);
                    let total = metric.and_then(|metric| metric.values.get("new"));
                    found.extend(total.map(|total| (format!("{what}/{group}/{id}"), total / COUNTED)));
                }
            }
        }
    }
    Ok(())
}

/// The contents of a directory; empty if it does not exist.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.map(|entry| Ok(entry.context("can't read the results")?.path())).collect()
}

fn collect(folder: &Path, found: &mut BTreeMap<String, f64>) -> Result<()> {
    for path in entries(folder)? {
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
    let text = std::fs::read(file).with_context(|| format!("can't read {}", file.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("can't parse {}", file.display()))
}
