//! What was written to the ledger.

use std::fmt::Error;

use portcullis_ledger_model::Stats;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::families;

/// What was written to the ledger, at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct Written {
    /// What the ledger counts.
    pub stats: Stats,
    /// The size of its write-ahead log, in bytes. `None` if it has none of its own: it is a database, or the file can't be looked at.
    pub log_bytes: Option<u64>,
}

impl Written {
    /// Registers these values. Names begin with the registry's prefix.
    pub fn register(self, registry: &mut Registry) {
        registry.register_collector(Box::new(self));
    }
}

impl Collector for Written {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let Written { stats, log_bytes } = self;
        let help = "Write calls that the ledger carried out.";
        families::counter(&mut encoder, ("ledger_writes", help), stats.jobs)?;
        let help = "Commits of the ledger. Under load, many writes share one.";
        families::counter(&mut encoder, ("ledger_commits", help), stats.commits)?;
        let help = "Write calls that wait, or are being committed.";
        families::gauge(&mut encoder, ("ledger_queue_length", help), None, stats.waiting)?;
        // A database's commits are not timed.
        if !stats.times.bounds.is_empty() {
            let help = "Time of a transaction, until its commit was on disk.";
            let unit = Unit::Seconds;
            let metric = encoder.encode_descriptor(
                "ledger_commit_duration",
                help,
                Some(&unit),
                MetricType::Histogram,
            )?;
            families::histogram(metric, &stats.times, families::NANOSECONDS)?;
            let help = "Rows that a transaction wrote, about.";
            let metric =
                encoder.encode_descriptor("ledger_commit_rows", help, None, MetricType::Histogram)?;
            families::histogram(metric, &stats.rows, 1.0)?;
        }
        if let Some(bytes) = log_bytes {
            let help = "Size of the write-ahead log of the ledger's file.";
            families::gauge(&mut encoder, ("ledger_log", help), Some(&Unit::Bytes), *bytes)?;
        }
        Ok(())
    }
}
