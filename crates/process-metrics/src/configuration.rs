//! Reloads of the configuration file.

use std::fmt::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::{Registry, Unit};

use crate::families;

static APPLIED: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
/// In milliseconds since 1970.
static LAST_APPLIED: AtomicU64 = AtomicU64::new(0);

/// The configuration file is in force: at the start, which does not count as a reload.
pub fn started() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    LAST_APPLIED.store(u64::try_from(now.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// The file was read again. Counts whether it was applied.
pub fn reloaded(is_applied: bool) {
    if is_applied {
        started();
    }
    let counter = if is_applied { &APPLIED } else { &FAILED };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Writes the reloads.
#[derive(Debug)]
struct Reloads;

impl Collector for Reloads {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit into a float")]
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let outcomes = [("applied", &APPLIED), ("failed", &FAILED)];
        let each = outcomes.map(|(outcome, count)| ([("outcome", outcome)], count.load(Ordering::Relaxed)));
        let help = "Times that the configuration file was read again, by whether it was applied.";
        families::counters(&mut encoder, ("configuration_reloads", help), each)?;
        let help = "When the configuration file that is in force was applied, in seconds since 1970.";
        let last = LAST_APPLIED.load(Ordering::Relaxed) as f64 / 1e3;
        let named = ("configuration_last_applied_timestamp", help);
        families::gauge(&mut encoder, named, Some(&Unit::Seconds), last)
    }
}

pub(crate) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Reloads));
}
