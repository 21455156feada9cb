//! The figures to reach, each beside its baseline of the same run.

use super::measured::Measured;
use super::reasons::REASONS;
use super::table::Table;

/// A figure to reach.
struct Target {
    what: &'static str,
    /// What it is compared with, in words; empty where with nothing.
    beside: &'static str,
    /// The name of what was measured.
    figure: &'static str,
    /// What it is divided by before it is looked at.
    by: By,
    is: Is,
    bound: f64,
    unit: Unit,
}

/// What a figure is divided by.
enum By {
    /// Another figure of the same run.
    Figure(&'static str),
    /// So many.
    Number(f64),
}

enum Is {
    AtMost,
    AtLeast,
}

/// What the quotient is.
enum Unit {
    Times,
    Time,
    /// With two digits after the point.
    Mean,
    /// Millions of bytes.
    Megabytes,
    Count,
    /// Numbers a second.
    Rate,
}

const fn at_most(
    what: &'static str,
    beside: &'static str,
    figure: &'static str,
    baseline: &'static str,
    bound: f64,
) -> Target {
    Target { what, beside, figure, by: By::Figure(baseline), is: Is::AtMost, bound, unit: Unit::Times }
}

const fn at_least(
    what: &'static str,
    beside: &'static str,
    figure: &'static str,
    baseline: &'static str,
    bound: f64,
) -> Target {
    Target { what, beside, figure, by: By::Figure(baseline), is: Is::AtLeast, bound, unit: Unit::Times }
}

const fn within(what: &'static str, figure: &'static str, parts: f64, nanos: f64) -> Target {
    let by = By::Number(parts);
    Target { what, beside: "", figure, by, is: Is::AtMost, bound: nanos, unit: Unit::Time }
}

const fn of_size(what: &'static str, figure: &'static str, bound: f64, unit: Unit) -> Target {
    Target { what, beside: "", figure, by: By::Number(1.0), is: Is::AtMost, bound, unit }
}

const fn as_fast_as(what: &'static str, figure: &'static str, rate: f64) -> Target {
    let (by, is, unit) = (By::Number(1.0), Is::AtLeast, Unit::Rate);
    Target { what, beside: "", figure, by, is, bound: rate, unit }
}

const MICRO: f64 = 1e3;
const MILLI: f64 = 1e6;

const TRIVIAL: &str = "a trivial component";
const NATIVELY: &str = "the same set natively";

const TARGETS: &[Target] = &[
    at_most(
        "a check, 64,000 numbers",
        TRIVIAL,
        "check/one/64000/host",
        "check/one/64000/trivial-component",
        1.5,
    ),
    at_most(
        "a check, 1,000,000",
        TRIVIAL,
        "check/one/1000000/host",
        "check/one/1000000/trivial-component",
        2.0,
    ),
    at_most(
        "a check, 1,000,000",
        "redb, table held open",
        "check/one/1000000/host",
        "check/one/1000000/redb",
        1.0,
    ),
    at_most(
        "a check, 1,000,000",
        "SQLite, transaction held",
        "check/one/1000000/host",
        "check/one/1000000/sqlite",
        1.0,
    ),
    at_most(
        "a number in a batch of 1,024, 64,000",
        NATIVELY,
        "check/batch/64000/host/1024",
        "check/batch/64000/native/1024",
        1.25,
    ),
    at_most(
        "a number in a batch of 1,024, 1,000,000",
        NATIVELY,
        "check/batch/1000000/host/1024",
        "check/batch/1000000/native/1024",
        1.25,
    ),
    at_most(
        "the same from numbers, with the permutation, 64,000",
        NATIVELY,
        "check/numbers/64000/host/1024",
        "check/numbers/64000/native/1024",
        1.25,
    ),
    at_most(
        "the same from numbers, with the permutation, 1,000,000",
        NATIVELY,
        "check/numbers/1000000/host/1024",
        "check/numbers/1000000/native/1024",
        1.25,
    ),
    of_size(
        "reads of a check of a stranger that miss a cache of 2 MiB, in the set, 64,000",
        "misses/native/miss",
        2.0,
        Unit::Mean,
    ),
    of_size("the same, 10,000,000", "misses/native/miss_of_many", 2.0, Unit::Mean),
    at_least("a hot list of two replicas, two threads", "one thread", "threads/two", "threads/one", 1.8),
    of_size("bytes a number in the plugin's memory, 1,000,000", "memory/1000000/filled", 5.5, Unit::Mean),
    of_size("bytes a number, 10,000,000", "memory/10000000/filled", 5.5, Unit::Mean),
    of_size("bytes a number, 100,000,000", "memory/100000000/filled", 5.5, Unit::Mean),
    of_size("bytes a number of a saved state, 1,000,000", "saved/1000000", 5.5, Unit::Mean),
    of_size("strangers blocked, of 10^9 checks beside a model", "exact/false-positives", 0.0, Unit::Count),
    of_size("members let through, of the same", "exact/false-negatives", 0.0, Unit::Count),
    of_size(
        "updates through the API that the next check did not see, of 4,000",
        "updates/unseen",
        0.0,
        Unit::Count,
    ),
    within("a block or unblock in the plugin, 1,000,000", "block-and-unblock/1000000/host", 2.0, 2.0 * MICRO),
    at_most(
        "a durable block, one client",
        "one flush of the disk",
        "durable/one-client",
        "durable/flush",
        1.5,
    ),
    at_least(
        "durable blocks of 64 clients",
        "one client's",
        "durable/64-clients/rate",
        "durable/one-client/rate",
        10.0,
    ),
    as_fast_as("numbers imported a second, durably, from a file", "import/numbers", 300_000.0),
    within("save, 1,000,000", "list/1000000/save/native", 1.0, 10.0 * MILLI),
    within("load, 1,000,000", "list/1000000/load/native", 1.0, 20.0 * MILLI),
    within(
        "cold start of a gateway, 1,000,000, to the first right answer",
        "start/1000000",
        1.0,
        300.0 * MILLI,
    ),
    within("start with nothing to load", "start/empty", 1.0, 100.0 * MILLI),
    of_size("the gateway's program", "start/program-bytes", 40e6, Unit::Megabytes),
    within("an empty generation", "instantiate/exact", 1.0, 50.0 * MICRO),
    within("reload, from the file's arrival to serving, 64,000", "reload/64000", 1.0, 500.0 * MILLI),
    within("reload, 1,000,000", "reload/1000000", 1.0, 2000.0 * MILLI),
    within("delay of a check that reloads add, p99.9", "delay/added", 1.0, MILLI),
    within("back after a trap, 64,000", "recovery/64000", 1.0, 10.0 * MILLI),
    within("back after a trap, 1,000,000", "recovery/1000000", 1.0, 100.0 * MILLI),
    at_least(
        "HTTP checks a second, one number",
        "axum answering a constant",
        "http/64000/portcullis/requests",
        "http/64000/constant/requests",
        0.85,
    ),
    at_most(
        "processor time of the server, a check",
        "axum answering a constant",
        "http/64000/portcullis/cpu",
        "http/64000/constant/cpu",
        1.3,
    ),
    at_least(
        "HTTP checks a second, 64,000",
        "nginx, map file",
        "http/64000/portcullis/requests",
        "http/64000/nginx-map/requests",
        1.0,
    ),
    at_least(
        "HTTP checks a second, 64,000",
        "HAProxy, map_str",
        "http/64000/portcullis/requests",
        "http/64000/haproxy-map/requests",
        1.8,
    ),
    as_fast_as("numbers checked a second by HTTP, 100 a request", "http/64000/portcullis-batch/numbers", 3e6),
    of_size(
        "10,000 tenants of 1,000 numbers, most at rest, in all",
        "tenants/resident-bytes",
        1_073_741_824.0,
        Unit::Megabytes,
    ),
    within("the answer of a tenant at rest, p50", "tenants/woken/p50", 1.0, 5.0 * MILLI),
    within("the answer of a tenant at rest, p99", "tenants/woken/p99", 1.0, 5.0 * MILLI),
];

/// Each target, and what was measured.
pub(super) fn table(measured: &Measured) -> String {
    let mut table = Table::new(["what", "beside", "target", "measured", ""]);
    for target in TARGETS {
        let Some(value) = target.value(measured) else { continue };
        let sign = match target.is {
            Is::AtMost => '≤',
            Is::AtLeast => '≥',
        };
        let verdict = if target.is_reached(value) { "reached" } else { "**missed**" };
        let cells = [
            target.beside.to_owned(),
            format!("{sign} {}", target.unit.told(target.bound)),
            target.unit.told(value),
            verdict.to_owned(),
        ];
        table.row(target.what, cells.map(Some));
    }
    table.finish()
}

/// Why those were missed that were, and what was tried; empty where none was.
pub(super) fn missed(measured: &Measured) -> String {
    let missed =
        TARGETS.iter().filter(|target| target.value(measured).is_some_and(|value| !target.is_reached(value)));
    // Several may have one reason.
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for target in missed {
        let reason = REASONS.iter().find(|(figure, _)| *figure == target.figure);
        let reason = reason.map_or("This run missed it; others did not.", |(_, reason)| reason);
        let beside =
            if target.beside.is_empty() { String::new() } else { format!(", beside {}", target.beside) };
        let name = format!("{}{beside}", target.what);
        match reasons.iter_mut().find(|(of_others, _)| *of_others == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    let told: String =
        reasons.iter().map(|(reason, names)| format!("* **{}**: {reason}\n", names.join("; "))).collect();
    if told.is_empty() { told } else { format!("\n### Missed, and why\n\n{told}") }
}

/// What was not measured; empty where all was.
pub(super) fn left_out(measured: &Measured) -> String {
    let names: Vec<&str> =
        TARGETS.iter().filter(|target| target.value(measured).is_none()).map(|target| target.what).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(
            "\nNot measured here, as what it is compared with was not installed: {}.\n",
            names.join("; ")
        ),
    }
}

impl Target {
    fn value(&self, measured: &Measured) -> Option<f64> {
        let by = match self.by {
            By::Figure(name) => measured.of(name)?,
            By::Number(number) => number,
        };
        Some(measured.of(self.figure)? / by)
    }

    fn is_reached(&self, value: f64) -> bool {
        match self.is {
            Is::AtMost => value <= self.bound,
            Is::AtLeast => value >= self.bound,
        }
    }
}

impl Unit {
    fn told(&self, value: f64) -> String {
        match self {
            Unit::Times => format!("{value:.2}×"),
            Unit::Time => super::duration(value),
            Unit::Mean => format!("{value:.3}"),
            Unit::Megabytes => format!("{:.0} MB", value / 1e6),
            Unit::Count => format!("{value:.0}"),
            Unit::Rate => super::rate(value),
        }
    }
}
