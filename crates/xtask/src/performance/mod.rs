//! The page of what the benchmarks measured: `docs/performance.md` and its plots. No figure on it is typed by hand.

mod measured;
mod plot;
mod reasons;
mod sections;
mod table;
mod targets;
mod versions;

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use measured::Measured;

/// Writes the page of what lies in the target folder.
pub(crate) fn write(workspace: &Path, target: &Path) -> Result<()> {
    let measured = Measured::read(target)?;
    ensure!(!measured.is_empty(), "nothing was measured: `cargo xtask bench` measures, and writes the page");
    let docs = workspace.join("docs");
    std::fs::create_dir_all(&docs).context("the folder docs can't be made")?;
    plot::checks(&measured, &docs.join("check.svg"))?;
    plot::batches(&measured, &docs.join("batch.svg"))?;
    let page = page(&measured, workspace)?;
    std::fs::write(docs.join("performance.md"), page).context("docs/performance.md can't be written")
}

fn page(measured: &Measured, workspace: &Path) -> Result<String> {
    let versions = versions::told(workspace)?;
    let mut page = format!(
        "# What it costs

Written by `cargo xtask bench`, of what it measured last: medians, and what is compared was measured in one run. Read the \
ratios: times change from machine to machine, and this one is shared. 99 of 100 checks ask about a stranger, as in real traffic.

{versions}

## Targets

"
    );
    page.push_str(&targets::table(measured));
    page.push_str(&targets::missed(measured));
    page.push_str(&targets::left_out(measured));
    for section in sections::all(measured) {
        page.push('\n');
        page.push_str(&section);
    }
    Ok(page)
}

/// The sizes of lists that the page shows, in their order.
const SIZES: [u64; 4] = [10_000, 64_000, 1_000_000, 10_000_000];
/// The sizes of batches.
const BATCHES: [u64; 4] = [8, 64, 1024, 4096];
/// What a check is measured in, and how the page calls it.
const HOLDERS: [(&str, &str); 7] = [
    ("host", "the exact plugin, through the host"),
    ("trivial-component", "a component that does nothing"),
    ("native", "the same set, without WebAssembly"),
    ("hash-set", "hashbrown `HashSet<u64>`"),
    ("treemap", "`RoaringTreemap` of the values"),
    ("redb", "redb, table held open"),
    ("sqlite", "SQLite, read transaction held"),
];

fn nanos(cost: f64) -> String {
    if cost < 20.0 { format!("{cost:.1}") } else { grouped(cost) }
}

fn duration(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n if n < 1e9 => format!("{:.1} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

/// So many a second.
fn rate(a_second: f64) -> String {
    match a_second {
        n if n < 1e6 => grouped(n),
        n => format!("{:.2} million", n / 1e6),
    }
}

/// With commas between thousands.
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([1.0, 999.0, 1000.0, 1e7].map(grouped), ["1", "999", "1,000", "10,000,000"]);
        assert_eq!([7.25, 187.4, 1234.5].map(nanos), ["7.2", "187", "1,234"]);
        let told = [950.0, 1500.0, 2.5e6, 3.2e9].map(duration);
        assert_eq!(told, ["950 ns", "1.5 µs", "2.5 ms", "3.20 s"]);
        assert_eq!([54_321.0, 3.456e6].map(rate), ["54,321", "3.46 million"]);
    }
}
