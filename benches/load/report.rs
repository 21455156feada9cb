//! Reports of a run, for people and for programs.

use std::time::Duration;

use serde::Serialize;

use crate::Seen;

/// Rates are per second, times in nanoseconds.
#[derive(Serialize)]
pub(crate) struct Report {
    requests: f64,
    numbers: f64,
    /// The server's CPU time per request.
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu: Option<f64>,
    p50: u64,
    p90: u64,
    p99: u64,
    #[serde(rename = "p99.9")]
    p99_9: u64,
    max: u64,
    /// Responses without a 2xx status: a server that responds with errors is fast.
    refused: u64,
}

impl Report {
    pub(crate) fn of(seen: &Seen, took: Duration, spent: Option<Duration>, batch: u64) -> Self {
        let at = |quantile: f64| seen.latencies.value_at_quantile(quantile);
        let requests = seen.answered as f64 / took.as_secs_f64();
        Report {
            requests,
            numbers: requests * batch as f64,
            cpu: spent.map(|spent| spent.as_secs_f64() * 1e9 / seen.answered as f64),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: seen.latencies.max(),
            refused: seen.refused,
        }
    }

    #[expect(clippy::print_stdout, reason = "the program's output")]
    pub(crate) fn print_json(&self) -> anyhow::Result<()> {
        println!("{}", serde_json::to_string(self)?);
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the program's output")]
    pub(crate) fn print_line(&self, name: &str) -> anyhow::Result<()> {
        let cpu = self.cpu.map_or("-".to_owned(), |nanos| format!("{:.1}", nanos / 1e3));
        println!(
            "{name:<24} {:>9.0} requests/s  server CPU {cpu:>6} µs  latency µs p50 {:>6} p90 {:>6} p99 {:>7} p99.9 {:>7} max {:>8}  not 2xx {}",
            self.requests,
            self.p50 / 1000,
            self.p90 / 1000,
            self.p99 / 1000,
            self.p99_9 / 1000,
            self.max / 1000,
            self.refused,
        );
        Ok(())
    }
}
