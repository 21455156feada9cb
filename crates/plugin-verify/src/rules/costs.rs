//! What rules cost.

use std::hint::black_box;
use std::time::Instant;

use portcullis_host::rules::{Message, Person, Plugin};
use portcullis_host::{CallError, Direction};
use portcullis_rules::strangers;
use serde::Serialize;

use super::{now, numbers, start};
use crate::costs::{Costs, line, median, per};

const ROUNDS: usize = 15;
/// The messages of a batch.
const BATCH: usize = 1024;

/// What a rules plugin costs. Times are medians, of wall time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RuleCosts {
    /// Starting an instance, in microseconds.
    pub start_micros: f64,
    /// One decision, in nanoseconds.
    pub decide_nanos: f64,
    /// One message of a batch of 1,024, in nanoseconds.
    pub decide_many_nanos: f64,
    /// Memory of an instance, in bytes.
    pub memory_bytes: u64,
}

impl RuleCosts {
    /// Measures a plugin.
    ///
    /// # Errors
    /// If a call fails.
    pub(crate) fn of(plugin: &Plugin, options: &str) -> Result<Self, CallError> {
        let begun = Instant::now();
        let rules = start(plugin, options)?;
        let start_micros = begun.elapsed().as_secs_f64() * 1e6;
        let (now, width) = (now(), rules.meters().len());
        let people: Vec<Person> =
            strangers(&numbers(), rules.needs(), now).into_iter().cycle().take(BATCH).collect();
        let (message, counts) = (Message::at(now), vec![0; people.len() * width]);
        let (mut single, mut many) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            for person in &people {
                black_box(rules.decide(Direction::Outbound, &message, person, &counts[..width])?);
            }
            single.push(per(begun.elapsed(), people.len()));
            let begun = Instant::now();
            black_box(rules.decide_many(Direction::Outbound, &message, &people, &counts)?);
            many.push(per(begun.elapsed(), people.len()));
        }
        Ok(RuleCosts {
            start_micros,
            decide_nanos: median(single),
            decide_many_nanos: median(many),
            memory_bytes: rules.memory_bytes(),
        })
    }

    /// The costs as lines of text, beside those of a list plugin's checks.
    pub(crate) fn lines(&self, beside: Option<&Costs>) -> Vec<String> {
        let of = |get: fn(&Costs) -> f64| beside.map(get);
        #[expect(clippy::cast_precision_loss, reason = "to be read by people")]
        let memory = self.memory_bytes as f64;
        vec![
            format!("{:<44} {:>12} {:>12}", "costs, beside checks of exact", "it", "exact"),
            line("  a decision, ns", self.decide_nanos, of(|costs| costs.check_nanos)),
            line(
                "  a message of a batch of 1,024, ns",
                self.decide_many_nanos,
                of(|costs| costs.check_many_nanos),
            ),
            line("  starting an instance, µs", self.start_micros, of(|costs| costs.start_micros)),
            line("  memory, bytes", memory, None),
        ]
    }
}
