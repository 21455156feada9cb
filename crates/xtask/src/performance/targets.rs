//! The figures to reach, each beside its baseline of the same run.

use std::fmt::Write as _;

use anyhow::Result;

use super::measured::Measured;

/// A benchmark that is to cost no more than so many times another.
struct Ratio {
    what: &'static str,
    benchmark: &'static str,
    baseline: &'static str,
    beside: &'static str,
    most: f64,
}

/// A benchmark that is to take no longer than so many nanoseconds.
struct Time {
    what: &'static str,
    benchmark: &'static str,
    /// How many of what is meant one iteration does.
    parts: f64,
    most: f64,
    most_in_words: &'static str,
}

const RATIOS: [Ratio; 8] = [
    Ratio {
        what: "a check, 64,000 numbers",
        benchmark: "check/one/64000/host",
        baseline: "check/one/64000/trivial-component",
        beside: "a trivial component",
        most: 1.5,
    },
    Ratio {
        what: "a check, 1,000,000 numbers",
        benchmark: "check/one/1000000/host",
        baseline: "check/one/1000000/trivial-component",
        beside: "a trivial component",
        most: 2.0,
    },
    Ratio {
        what: "a check, 1,000,000 numbers",
        benchmark: "check/one/1000000/host",
        baseline: "check/one/1000000/redb",
        beside: "redb held open",
        most: 1.0,
    },
    Ratio {
        what: "a check, 1,000,000 numbers",
        benchmark: "check/one/1000000/host",
        baseline: "check/one/1000000/sqlite",
        beside: "SQLite held open",
        most: 1.0,
    },
    Ratio {
        what: "a number in a batch of 1,024, 64,000 numbers",
        benchmark: "check/batch/64000/host/1024",
        baseline: "check/batch/64000/native/1024",
        beside: "the same set natively",
        most: 1.25,
    },
    Ratio {
        what: "a number in a batch of 1,024, 1,000,000 numbers",
        benchmark: "check/batch/1000000/host/1024",
        baseline: "check/batch/1000000/native/1024",
        beside: "the same set natively",
        most: 1.25,
    },
    Ratio {
        what: "the same from numbers, with the permutation, 64,000 numbers",
        benchmark: "check/numbers/64000/host/1024",
        baseline: "check/numbers/64000/native/1024",
        beside: "the same natively",
        most: 1.25,
    },
    Ratio {
        what: "the same from numbers, with the permutation, 1,000,000 numbers",
        benchmark: "check/numbers/1000000/host/1024",
        baseline: "check/numbers/1000000/native/1024",
        beside: "the same natively",
        most: 1.25,
    },
];

const TIMES: [Time; 3] = [
    Time {
        what: "a block or unblock in the plugin, 1,000,000 numbers",
        benchmark: "block-and-unblock/1000000/host",
        parts: 2.0,
        most: 2e3,
        most_in_words: "2 µs",
    },
    Time {
        what: "save, 1,000,000 numbers",
        benchmark: "list/1000000/save/native",
        parts: 1.0,
        most: 10e6,
        most_in_words: "10 ms",
    },
    Time {
        what: "load, 1,000,000 numbers",
        benchmark: "list/1000000/load/native",
        parts: 1.0,
        most: 20e6,
        most_in_words: "20 ms",
    },
];

/// What is measured here of what is to be reached.
pub(super) fn table(measured: &Measured) -> Result<String> {
    let mut table =
        String::from("| what | beside | target | measured | |\n| --- | --- | --- | --- | --- |\n");
    for Ratio { what, benchmark, baseline, beside, most } in &RATIOS {
        let Some((cost, base)) = measured.of(benchmark).zip(measured.of(baseline)) else { continue };
        let ratio = cost / base;
        writeln!(table, "| {what} | {beside} | ≤ {most}× | {ratio:.2}× | {} |", verdict(ratio <= *most))?;
    }
    for Time { what, benchmark, parts, most, most_in_words } in &TIMES {
        let Some(cost) = measured.of(benchmark).map(|cost| cost / parts) else { continue };
        let told = super::duration(cost);
        writeln!(table, "| {what} | | ≤ {most_in_words} | {told} | {} |", verdict(cost <= *most))?;
    }
    Ok(table)
}

fn verdict(is_reached: bool) -> &'static str {
    if is_reached { "reached" } else { "missed" }
}
