//! What a plugin costs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use portcullis_host::{BATCH, CallError, Direction, Directions, Entry, Plugin, Subject};
use serde::Serialize;

use crate::blacklist::start;

/// The entries of the list that is measured.
const ENTRIES: usize = 20_000;
const ROUNDS: usize = 15;

/// What a plugin with 20,000 entries costs. Times are medians, of wall time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Costs {
    /// Starting an instance, in microseconds.
    pub start_micros: f64,
    /// One check, in nanoseconds.
    pub check_nanos: f64,
    /// One number of a batch of 1,024, in nanoseconds.
    pub check_many_nanos: f64,
    /// Writing one entry of a batch of 4,096, in nanoseconds.
    pub block_nanos: f64,
    /// Memory of an instance with an empty list, in bytes.
    pub empty_bytes: u64,
    /// Memory of an instance with all entries, in bytes.
    pub full_bytes: u64,
}

impl Costs {
    /// Measures a plugin.
    ///
    /// # Errors
    /// If a call fails.
    pub(crate) fn of(plugin: &Plugin, options: &str) -> Result<Self, CallError> {
        let begun = Instant::now();
        let mut instance = start(plugin, options, ENTRIES as u64)?;
        let start_micros = begun.elapsed().as_secs_f64() * 1e6;
        let empty_bytes = instance.memory_bytes();
        // Spread over all subjects, each once.
        let subjects: Vec<Subject> = (0..2 * ENTRIES as u64)
            .filter_map(|n| Subject::new(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - Subject::BITS)))
            .collect();
        let entries: Vec<Entry> = subjects
            .iter()
            .take(ENTRIES)
            .map(|&subject| Entry { subject, directions: Directions::BOTH })
            .collect();
        let mut batches = Vec::new();
        for batch in entries.chunks(BATCH) {
            let begun = Instant::now();
            instance.block(batch)?;
            batches.push(per(begun.elapsed(), batch.len()));
        }
        let full_bytes = instance.memory_bytes();
        let (mut single, mut many) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            // Half of them have an entry.
            let asked = subjects.iter().step_by(40);
            let count = asked.len();
            let begun = Instant::now();
            for &subject in asked {
                black_box(instance.check(subject, Direction::Outbound)?);
            }
            single.push(per(begun.elapsed(), count));
            let batch = &subjects[ENTRIES - 512..ENTRIES + 512];
            let begun = Instant::now();
            black_box(instance.check_many(batch, Direction::Outbound)?);
            many.push(per(begun.elapsed(), batch.len()));
        }
        Ok(Costs {
            start_micros,
            check_nanos: median(single),
            check_many_nanos: median(many),
            block_nanos: median(batches),
            empty_bytes,
            full_bytes,
        })
    }

    /// The costs as lines of text, beside those of another plugin.
    pub(crate) fn lines(&self, beside: Option<&Self>) -> Vec<String> {
        let of = |get: fn(&Self) -> f64| beside.map(get);
        #[expect(clippy::cast_precision_loss, reason = "to be read by people")]
        let bytes = |bytes: u64| bytes as f64;
        vec![
            format!("{:<44} {:>12} {:>12}", "costs, with 20,000 entries", "it", "exact"),
            line("  a check, ns", self.check_nanos, of(|costs| costs.check_nanos)),
            line(
                "  a number of a batch of 1,024, ns",
                self.check_many_nanos,
                of(|costs| costs.check_many_nanos),
            ),
            line("  writing an entry, ns", self.block_nanos, of(|costs| costs.block_nanos)),
            line("  starting an instance, µs", self.start_micros, of(|costs| costs.start_micros)),
            line(
                "  memory, empty, bytes",
                bytes(self.empty_bytes),
                beside.map(|costs| bytes(costs.empty_bytes)),
            ),
            line("  memory, bytes", bytes(self.full_bytes), beside.map(|costs| bytes(costs.full_bytes))),
        ]
    }
}

/// A line of a table: what it is, its own value, and that of another plugin.
pub(crate) fn line(what: &str, own: f64, other: Option<f64>) -> String {
    let beside = other.filter(|other| *other > 0.0);
    let beside = beside.map(|other| format!("{other:>12.0} {:>8.1}×", own / other)).unwrap_or_default();
    format!("{what:<44} {own:>12.0} {beside}").trim_end().to_owned()
}

/// The time of each, in nanoseconds.
#[expect(clippy::cast_precision_loss, reason = "a few thousand")]
pub(crate) fn per(time: Duration, count: usize) -> f64 {
    time.as_secs_f64() * 1e9 / count.max(1) as f64
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
