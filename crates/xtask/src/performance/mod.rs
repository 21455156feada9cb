//! The page of what the benchmarks measured: `docs/performance.md` and its plots. Nothing on it is typed by hand.

mod measured;
mod plot;
mod targets;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use measured::Measured;

/// The sizes of lists that the page shows, in their order.
const SIZES: [u64; 4] = [10_000, 64_000, 1_000_000, 10_000_000];
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

/// Writes the page of what lies in `target/criterion`.
pub(crate) fn write(workspace: &Path, target: &Path) -> Result<()> {
    let measured = Measured::read(&target.join("criterion"))?;
    ensure!(!measured.is_empty(), "nothing was measured: `cargo xtask bench` measures, and writes the page");
    let docs = workspace.join("docs");
    std::fs::create_dir_all(&docs).context("the folder docs can't be made")?;
    plot::checks(&measured, &docs.join("check.svg"))?;
    let page = page(&measured)?;
    std::fs::write(docs.join("performance.md"), page).context("docs/performance.md can't be written")
}

fn page(measured: &Measured) -> Result<String> {
    let mut page = String::new();
    writeln!(page, "# What it costs\n")?;
    writeln!(
        page,
        "Written by `cargo xtask bench` from what criterion measured last: medians, and what is compared was measured in one run. Read the ratios: times change from \
         machine to machine, and this one is shared.\n"
    )?;
    writeln!(page, "{}\n", machine())?;
    writeln!(page, "## Targets\n")?;
    page.push_str(&targets::table(measured)?);
    writeln!(page, "\n## A check, one at a time\n")?;
    writeln!(page, "99 of 100 ask about a stranger. In nanoseconds, and as a multiple of the hash set's.\n")?;
    writeln!(page, "![A check over the size of the list](check.svg)\n")?;
    sizes_header(&mut page, "")?;
    for (holder, name) in HOLDERS {
        write!(page, "| {name} |")?;
        for size in SIZES {
            let cost = measured.of(&format!("check/one/{size}/{holder}"));
            let base = measured.of(&format!("check/one/{size}/hash-set"));
            match cost.zip(base) {
                Some((cost, base)) => write!(page, " {} ({:.1}×) |", nanos(cost), cost / base)?,
                None => write!(page, " |")?,
            }
        }
        writeln!(page)?;
    }
    writeln!(page, "\n{}\n", growth(measured)?)?;
    writeln!(page, "## Many at once\n")?;
    writeln!(page, "A number, in nanoseconds, and as a multiple of the same natively.\n")?;
    sizes_header(&mut page, "")?;
    for (group, batch, name) in [
        ("batch", 64, "a batch of 64 subjects"),
        ("batch", 1024, "a batch of 1,024 subjects"),
        ("numbers", 1024, "a batch of 1,024 numbers, with their permutation"),
    ] {
        write!(page, "| {name} |")?;
        for size in SIZES {
            let of = |holder: &str| {
                measured
                    .of(&format!("check/{group}/{size}/{holder}/{batch}"))
                    .map(|cost| cost / f64::from(batch))
            };
            match of("host").zip(of("native")) {
                Some((host, native)) => write!(page, " {} ({:.2}×) |", nanos(host), host / native)?,
                None => write!(page, " |")?,
            }
        }
        writeln!(page)?;
    }
    writeln!(page, "\n## Changes, and whole lists\n")?;
    sizes_header(&mut page, "")?;
    for (pattern, name) in [
        ("block-and-unblock/{}/host", "block and unblock, through the host"),
        ("block-and-unblock/{}/native", "the same natively"),
        ("block-and-unblock/{}/hash-set", "the same in a hash set"),
        ("list/{}/build/native", "build the set, from unsorted values"),
        ("list/{}/fill/host", "fill a plugin, through the host"),
        ("list/{}/save/native", "save"),
        ("list/{}/load/native", "load"),
    ] {
        write!(page, "| {name} |")?;
        for size in SIZES {
            match measured.of(&pattern.replace("{}", &size.to_string())) {
                Some(cost) => write!(page, " {} |", duration(cost))?,
                None => write!(page, " |")?,
            }
        }
        writeln!(page)?;
    }
    Ok(page)
}

fn sizes_header(page: &mut String, first: &str) -> Result<()> {
    write!(page, "| {first} |")?;
    SIZES.iter().try_for_each(|size| write!(page, " {} |", grouped(*size)))?;
    writeln!(page, "\n|{}", " --- |".repeat(SIZES.len() + 1))?;
    Ok(())
}

/// How the cost of a check grows with the list, in words.
fn growth(measured: &Measured) -> Result<String> {
    let mut words = Vec::new();
    for (holder, name) in HOLDERS {
        let at = |size: u64| measured.of(&format!("check/one/{size}/{holder}"));
        let ends = SIZES.first().zip(SIZES.last()).and_then(|(first, last)| at(*first).zip(at(*last)));
        if let Some((first, last)) = ends {
            words.push(format!("{name} {:.1}×", last / first));
        }
    }
    if words.is_empty() {
        return Ok(String::new());
    }
    let mut text = String::new();
    write!(
        text,
        "From the shortest list to the longest, a thousand times as long, a check costs: {}.",
        words.join("; ")
    )?;
    Ok(text)
}

/// What the machine says of itself.
fn machine() -> String {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model =
        cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": ")).map(|(_, name)| name);
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc = rustc.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    format!("{}, {count} processors, {}.", model.unwrap_or("a processor without a name"), rustc.trim())
}

fn nanos(cost: f64) -> String {
    if cost < 20.0 { format!("{cost:.1}") } else { format!("{cost:.0}") }
}

fn duration(nanos: f64) -> String {
    match nanos {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n if n < 1e9 => format!("{:.1} ms", n / 1e6),
        n => format!("{:.2} s", n / 1e9),
    }
}

/// With commas between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
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
        assert_eq!([1, 999, 1000, 10_000_000].map(grouped), ["1", "999", "1,000", "10,000,000"]);
        assert_eq!([7.25, 187.4].map(nanos), ["7.2", "187"]);
        let told = [950.0, 1500.0, 2.5e6, 3.2e9].map(duration);
        assert_eq!(told, ["950 ns", "1.5 µs", "2.5 ms", "3.20 s"]);
    }
}
