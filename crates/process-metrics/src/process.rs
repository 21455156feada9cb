//! The process, by the names that Prometheus's client libraries give to these metrics, and the build.
//!
//! Linux only: elsewhere there is just the build.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

/// What was built, as the label set of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Build {
    /// The version of the program.
    pub version: &'static str,
    /// The commit that it was built from; empty if that is not known.
    pub revision: &'static str,
}

impl Build {
    /// Registers the metric. Its name begins with the registry's prefix.
    pub fn register(self, registry: &mut Registry) {
        registry.register(
            "build",
            "1 for the version of the program and the commit that it was built from",
            Info::new(self),
        );
    }
}

/// Registers the metrics of the process. The registry should have no prefix. What the system does not tell is left out.
#[cfg(target_os = "linux")]
pub fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(linux::Process));
}

/// Registers nothing: this system is not asked.
#[cfg(not(target_os = "linux"))]
pub fn register(_registry: &mut Registry) {}

#[cfg(target_os = "linux")]
mod linux {
    use std::fmt::Error;

    use procfs::process::{LimitValue, Process as Proc};
    use prometheus_client::collector::Collector;
    use prometheus_client::encoding::{DescriptorEncoder, EncodeGaugeValue, NoLabelSet};
    use prometheus_client::metrics::MetricType;
    use prometheus_client::registry::Unit;

    use crate::families;

    /// Reads `/proc/self` on each scrape.
    #[derive(Debug)]
    pub(super) struct Process;

    impl Collector for Process {
        #[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
        fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
            let Ok(process) = Proc::myself() else { return Ok(()) };
            if let Ok(stat) = process.stat() {
                let ticks = procfs::ticks_per_second() as f64;
                let unit = Unit::Seconds;
                let help = "Total user and system CPU time spent in seconds.";
                let mut cpu =
                    encoder.encode_descriptor("process_cpu", help, Some(&unit), MetricType::Counter)?;
                let seconds = (stat.utime + stat.stime) as f64 / ticks;
                cpu.encode_counter::<NoLabelSet, f64, f64>(&seconds, None)?;
                let mut bytes =
                    |name, help, value: u64| gauge(&mut encoder, name, help, Some(&Unit::Bytes), value);
                bytes(
                    "process_resident_memory",
                    "Resident memory size in bytes.",
                    stat.rss * procfs::page_size(),
                )?;
                bytes("process_virtual_memory", "Virtual memory size in bytes.", stat.vsize)?;
                gauge(
                    &mut encoder,
                    "process_threads",
                    "Number of OS threads in the process.",
                    None,
                    stat.num_threads,
                )?;
                if let Ok(booted) = procfs::boot_time_secs() {
                    let help = "Start time of the process since unix epoch in seconds.";
                    let start = booted as f64 + stat.starttime as f64 / ticks;
                    gauge(&mut encoder, "process_start_time", help, Some(&Unit::Seconds), start)?;
                }
            }
            if let Ok(open) = process.fd_count() {
                gauge(
                    &mut encoder,
                    "process_open_fds",
                    "Number of open file descriptors.",
                    None,
                    open as u64,
                )?;
            }
            if let Ok(limits) = process.limits()
                && let LimitValue::Value(most) = limits.max_open_files.soft_limit
            {
                gauge(
                    &mut encoder,
                    "process_max_fds",
                    "Maximum number of open file descriptors.",
                    None,
                    most,
                )?;
            }
            Ok(())
        }
    }

    fn gauge(
        encoder: &mut DescriptorEncoder<'_>,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: impl EncodeGaugeValue,
    ) -> Result<(), Error> {
        families::gauge(encoder, (name, help), unit, value)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn the_process_is_measured() {
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for name in [
            "process_cpu_seconds_total",
            "process_resident_memory_bytes",
            "process_virtual_memory_bytes",
            "process_threads",
            "process_start_time_seconds",
            "process_open_fds",
        ] {
            let line =
                text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{text}"));
            assert!(line.trim().parse::<f64>().is_ok_and(|value| value >= 0.0), "{name}: {line}");
        }
    }
}
