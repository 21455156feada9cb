//! `cargo xtask languages`: what plugins in several languages cost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;

use crate::cargo;

/// What surrounds the table in `docs/plugins.md`.
const BEGIN: &str = "<!-- languages: written by `cargo xtask languages` -->\n";
const END: &str = "<!-- end of languages -->\n";

/// The languages, in the order of the table.
const LANGUAGES: [(&str, &str); 3] =
    [("rust", "Rust, with the SDK"), ("c", "C"), ("js", "JavaScript, with QuickJS")];

/// A report of `portcullis plugin verify --bench --json`.
#[derive(Deserialize)]
struct Report {
    bytes: u64,
    loaded: Loaded,
    costs: Costs,
    costs_of_exact: Costs,
}

#[derive(Deserialize)]
struct Loaded {
    millis: u64,
    code_bytes: u64,
}

#[derive(Deserialize)]
struct Costs {
    start_micros: f64,
    check_nanos: f64,
    check_many_nanos: f64,
    block_nanos: f64,
    empty_bytes: u64,
    full_bytes: u64,
}

/// Builds the templates of all languages, exchanges them under load, measures them, and writes the table.
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    if let Some(unknown) = arguments.first() {
        bail!("`cargo xtask languages` takes no arguments: {unknown:?}");
    }
    let measured = cargo::target_dir()?.join("measured");
    std::fs::create_dir_all(&measured).context("can't create the results directory")?;
    let folder = measured.to_str().context("the path of the results directory is not UTF-8")?;
    // All packages, like the tests: see `build`.
    let command = ["test", "--release", "--workspace", "--test", "cli"];
    let exchange = ["--", "languages::plugins_in_several_languages"].map(str::to_owned);
    let demanded = [("PORTCULLIS_REQUIRE_CLANG", "1"), ("PORTCULLIS_REQUIRE_CLIENTS", "1")];
    cargo::cargo_with(&command, &exchange, &[&demanded[..], &[("PORTCULLIS_MEASURED", folder)]].concat())?;
    let file = measured.join("languages.json");
    let text = std::fs::read_to_string(&file).with_context(|| format!("can't read {}", file.display()))?;
    let reports = serde_json::from_str(&text).with_context(|| format!("can't parse {}", file.display()))?;
    write(&cargo::workspace().join("docs/plugins.md"), &table(&reports)?)
}

fn table(reports: &BTreeMap<String, Report>) -> Result<String> {
    let mut text = "| | component | compiled in | to | an instance, empty | with 20,000 entries | starts in | a check | one of a batch | a write |\n\
                    | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    let mut exact = None;
    for (language, name) in LANGUAGES {
        let report = reports.get(language).with_context(|| format!("{language} was not measured"))?;
        let Report { bytes, loaded, costs, costs_of_exact } = report;
        let made = format!("{} | {} ms | {}", kib(*bytes), loaded.millis, kib(loaded.code_bytes));
        row(&mut text, name, &made, costs)?;
        exact = Some(costs_of_exact);
    }
    let exact = exact.context("nothing was measured")?;
    row(&mut text, "the plugin `exact`, in the same run", "| |", exact)?;
    Ok(text)
}

fn row(text: &mut String, name: &str, made: &str, costs: &Costs) -> Result<()> {
    let Costs { start_micros, check_nanos, check_many_nanos, block_nanos, empty_bytes, full_bytes } = costs;
    writeln!(
        text,
        "| {name} | {made} | {} | {} | {start_micros:.0} µs | {check_nanos:.0} ns | {check_many_nanos:.0} ns | {block_nanos:.0} ns |",
        kib(*empty_bytes),
        kib(*full_bytes)
    )
    .context("can't write a row")
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

/// Replaces the table of a page.
fn write(page: &Path, table: &str) -> Result<()> {
    let text = std::fs::read_to_string(page).with_context(|| format!("can't read {}", page.display()))?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.with_context(|| format!("{} has no place for the table", page.display()))?;
    let text = format!("{before}{BEGIN}{table}{END}{after}");
    std::fs::write(page, text).with_context(|| format!("can't write {}", page.display()))
}
