//! The targets, each compared with a baseline of the same run.

use super::measured::Measured;
use super::reasons::REASONS;
use super::table::Table;

/// A target value.
struct Target {
    what: &'static str,
    /// The baseline, in words; empty if there is none.
    beside: &'static str,
    /// The name of the measured value.
    figure: &'static str,
    /// What the measured value is divided by.
    by: By,
    is: Is,
    bound: f64,
    unit: Unit,
}

/// A divisor.
enum By {
    /// Another measured value of the same run.
    Figure(&'static str),
    /// A constant.
    Number(f64),
}

enum Is {
    AtMost,
    AtLeast,
}

/// The unit of the quotient.
enum Unit {
    Times,
    Time,
    /// A number with three decimals.
    Mean,
    /// Bytes, shown in millions.
    Megabytes,
    Count,
    /// Numbers per second.
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
const NATIVELY: &str = "the native set";

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
        "a check and the decision of a rules plugin, 64,000",
        "the check alone",
        "check/rules/check-and-decide",
        "check/rules/check",
        2.5,
    ),
    within("a decision in a batch of 1,024, four meters", "check/rules/decide-many/1024", 1024.0, 15.0),
    at_most(
        "a number in a batch of 1,024, including its permutation, 64,000",
        NATIVELY,
        "check/numbers/64000/host/1024",
        "check/numbers/64000/native/1024",
        1.25,
    ),
    at_most(
        "a number in a batch of 1,024, including its permutation, 1,000,000",
        NATIVELY,
        "check/numbers/1000000/host/1024",
        "check/numbers/1000000/native/1024",
        1.25,
    ),
    of_size(
        "reads per check of a number that is not blocked that miss a cache of 2 MiB, in the set, 64,000",
        "misses/native/miss",
        2.0,
        Unit::Mean,
    ),
    of_size("the same, 10,000,000", "misses/native/miss_of_many", 2.0, Unit::Mean),
    at_least("a busy list with two replicas, two threads", "one thread", "threads/two", "threads/one", 1.8),
    of_size("bytes per number in the plugin's memory, 1,000,000", "memory/1000000/filled", 5.5, Unit::Mean),
    of_size("bytes per number in the plugin's memory, 10,000,000", "memory/10000000/filled", 5.5, Unit::Mean),
    of_size(
        "bytes per number in the plugin's memory, 100,000,000",
        "memory/100000000/filled",
        5.5,
        Unit::Mean,
    ),
    of_size("bytes per number of a saved state, 1,000,000", "saved/1000000", 5.5, Unit::Mean),
    of_size(
        "false positives in 10^9 checks compared with a model",
        "exact/false-positives",
        0.0,
        Unit::Count,
    ),
    of_size("false negatives in the same checks", "exact/false-negatives", 0.0, Unit::Count),
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
        "one client",
        "durable/64-clients/rate",
        "durable/one-client/rate",
        10.0,
    ),
    within(
        "a block at one gateway of a fleet, until another one blocks: p99",
        "fleet/seen/p99",
        1.0,
        50.0 * MILLI,
    ),
    within("the same: p99.9", "fleet/seen/p99.9", 1.0, 100.0 * MILLI),
    within("the same beside an import of a million: p99", "fleet/seen-beside-import/p99", 1.0, 250.0 * MILLI),
    of_size("blocks that a gateway of the fleet misses in the end", "fleet/missed", 0.0, Unit::Count),
    at_least(
        "blocks of 64 writers at three gateways, on many lists, with a flush of 4 ms",
        "one writer",
        "fleet/many-lists",
        "fleet/one-writer",
        15.0,
    ),
    at_least(
        "blocks of 64 writers at three gateways, on one list, with a flush of 4 ms",
        "the same rows without joined commits",
        "fleet/one-list",
        "fleet/one-list-unjoined",
        8.0,
    ),
    at_least(
        "numbers imported per second at a gateway of a fleet, from a file",
        "PostgreSQL's binary COPY of the same rows",
        "copy/import",
        "copy/in",
        0.5,
    ),
    at_most(
        "a start with 1,000,000 numbers in PostgreSQL and no saved state, until the first correct response",
        "a drained binary COPY … ORDER BY",
        "copy/start",
        "copy/out",
        2.0,
    ),
    at_most(
        "a check while the database is frozen: p99",
        "before",
        "fleet/check-frozen-p99",
        "fleet/check-p99",
        1.1,
    ),
    as_fast_as("numbers imported per second, durably, from a file", "import/numbers", 300_000.0),
    within("save, 1,000,000", "list/1000000/save/native", 1.0, 10.0 * MILLI),
    within("load, 1,000,000", "list/1000000/load/native", 1.0, 20.0 * MILLI),
    within(
        "cold start of a gateway, 1,000,000, until the first correct response",
        "start/1000000",
        1.0,
        300.0 * MILLI,
    ),
    within("start with nothing to load", "start/empty", 1.0, 100.0 * MILLI),
    of_size("the size of the gateway's executable", "start/program-bytes", 40e6, Unit::Megabytes),
    within("creating an empty generation", "instantiate/exact", 1.0, 50.0 * MICRO),
    within("reload, from the file's arrival to serving, 64,000", "reload/64000", 1.0, 500.0 * MILLI),
    within("reload, 1,000,000", "reload/1000000", 1.0, 2000.0 * MILLI),
    within("check latency added by reloads, p99.9", "delay/added", 1.0, MILLI),
    within("recovery after a trap, 64,000", "recovery/64000", 1.0, 10.0 * MILLI),
    within("recovery after a trap, 1,000,000", "recovery/1000000", 1.0, 100.0 * MILLI),
    at_least(
        "HTTP checks per second, one number",
        "axum answering with a constant",
        "http/64000/portcullis/requests",
        "http/64000/constant/requests",
        0.85,
    ),
    at_most(
        "server CPU time per check",
        "axum answering with a constant",
        "http/64000/portcullis/cpu",
        "http/64000/constant/cpu",
        1.3,
    ),
    at_least(
        "HTTP checks per second, 64,000",
        "nginx, map file",
        "http/64000/portcullis/requests",
        "http/64000/nginx-map/requests",
        1.0,
    ),
    at_least(
        "HTTP checks per second, 64,000",
        "HAProxy, map_str",
        "http/64000/portcullis/requests",
        "http/64000/haproxy-map/requests",
        1.8,
    ),
    as_fast_as(
        "numbers checked per second over HTTP, 100 per request",
        "http/64000/portcullis-batch/numbers",
        3e6,
    ),
    of_size(
        "10,000 tenants of 1,000 numbers, most of them idle, in total",
        "tenants/resident-bytes",
        1_073_741_824.0,
        Unit::Megabytes,
    ),
    within("response time of an idle tenant, p50", "tenants/woken/p50", 1.0, 5.0 * MILLI),
    within("response time of an idle tenant, p99", "tenants/woken/p99", 1.0, 5.0 * MILLI),
];

/// The table of targets and results.
pub(super) fn table(measured: &Measured) -> String {
    let mut table = Table::new(["what", "baseline", "target", "measured", ""]);
    for target in TARGETS {
        let Some(value) = target.value(measured) else { continue };
        let sign = match target.is {
            Is::AtMost => '≤',
            Is::AtLeast => '≥',
        };
        let verdict = if target.is_reached(value) { "reached" } else { "**missed**" };
        let cells = [
            target.beside.to_owned(),
            format!("{sign} {}", target.unit.format(target.bound)),
            target.unit.format(value),
            verdict.to_owned(),
        ];
        table.row(target.what, cells.map(Some));
    }
    table.finish()
}

/// Explains the missed targets; empty if there are none.
pub(super) fn missed(measured: &Measured) -> String {
    let missed =
        TARGETS.iter().filter(|target| target.value(measured).is_some_and(|value| !target.is_reached(value)));
    // Several targets may have the same reason.
    let mut reasons: Vec<(&str, Vec<String>)> = Vec::new();
    for target in missed {
        let reason = REASONS.iter().find(|(figure, _)| *figure == target.figure);
        let reason = reason.map_or("Missed in this run, but not in others.", |(_, reason)| reason);
        let beside = if target.beside.is_empty() {
            String::new()
        } else {
            format!(", compared with {}", target.beside)
        };
        let name = format!("{}{beside}", target.what);
        match reasons.iter_mut().find(|(of_others, _)| *of_others == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    let explained: String =
        reasons.iter().map(|(reason, names)| format!("* **{}**: {reason}\n", names.join("; "))).collect();
    if explained.is_empty() { explained } else { format!("\n### Missed targets\n\n{explained}") }
}

/// Lists the targets without results; empty if there are none.
pub(super) fn left_out(measured: &Measured) -> String {
    let names: Vec<&str> =
        TARGETS.iter().filter(|target| target.value(measured).is_none()).map(|target| target.what).collect();
    match names.is_empty() {
        true => String::new(),
        false => format!(
            "\nNot measured, because the software to compare with was not installed: {}.\n",
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
    fn format(&self, value: f64) -> String {
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
