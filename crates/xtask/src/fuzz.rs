//! Runs the fuzz targets for a bounded time.
//!
//! They are built with the coverage that libFuzzer needs and without sanitizers, so that the stable toolchain is enough: nearly all
//! code here is safe Rust, and what is searched for is a property that does not hold.
#![allow(clippy::print_stdout, reason = "output for the terminal")]

use std::collections::VecDeque;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail, ensure};

use crate::cargo;

const DEFAULT_SECONDS: u32 = 60;
/// What one input may take, in seconds: plugins are compiled in it, on a machine that may be busy.
const MOST_SECONDS_OF_INPUT: u32 = 120;
const MOST_MEMORY_MB: u32 = 4096;

/// `[--seconds N] [TARGET…]`
pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let known = targets()?;
    let (seconds, mut chosen) = parse(arguments, &known)?;
    if chosen.is_empty() {
        chosen = known;
    }
    install()?;
    let target_dir = cargo::target_dir()?;
    let folders = Folders::new(&target_dir)?;
    build(&folders, &chosen)?;

    println!("{} targets, {seconds} s each; logs are in {}", chosen.len(), folders.logs.display());
    let queue = Mutex::new(VecDeque::from(chosen));
    let findings = Mutex::new(Vec::new());
    let take = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..processors {
            scope.spawn(|| {
                while let Some(target) = take() {
                    let finding = match search(&folders, &target, seconds) {
                        Ok(searched) => {
                            println!("{searched}");
                            searched.finding
                        }
                        Err(error) => Some(format!("{target}: {error:#}")),
                    };
                    findings.lock().unwrap_or_else(PoisonError::into_inner).extend(finding);
                }
            });
        }
    });
    // What targets keep on disk while they run.
    let _ = fs::remove_dir_all(&folders.temporary);
    let findings = findings.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

fn parse(arguments: &[String], known: &[String]) -> Result<(u32, Vec<String>)> {
    let (mut seconds, mut chosen) = (DEFAULT_SECONDS, Vec::new());
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--seconds" => {
                let value = arguments.next().and_then(|value| value.parse().ok()).filter(|value| *value > 0);
                seconds = value.context("--seconds needs a number from 1 on")?;
            }
            target if known.iter().any(|name| name == target) => chosen.push(target.to_owned()),
            other => bail!("there is no target {other:?}; there are: {}", known.join(", ")),
        }
    }
    Ok((seconds, chosen))
}

/// The names of all targets.
fn targets() -> Result<Vec<String>> {
    let folder = cargo::workspace().join("fuzz/fuzz_targets");
    let mut targets = Vec::new();
    for file in fs::read_dir(&folder).with_context(|| format!("can't read {}", folder.display()))? {
        let path = file?.path();
        targets.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    targets.sort();
    Ok(targets)
}

/// Installs cargo-fuzz, which knows what flags the compiler needs.
fn install() -> Result<()> {
    let mut version = cargo::command();
    version.args(["fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    if version.status().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    eprintln!("installing cargo-fuzz, which is missing");
    cargo::cargo_with(&["install", "cargo-fuzz", "--locked"], &[], &[])
}

/// Where everything of a search is: nothing of it is in the repository.
struct Folders {
    /// The target directory of the instrumented build.
    build: PathBuf,
    /// Inputs that reached something new, for the next search.
    corpus: PathBuf,
    /// Inputs that broke a target.
    findings: PathBuf,
    logs: PathBuf,
    temporary: PathBuf,
}

impl Folders {
    fn new(target_dir: &Path) -> Result<Self> {
        let folder = |name: &str| -> Result<PathBuf> {
            let path = target_dir.join(name);
            fs::create_dir_all(&path).with_context(|| format!("can't create {}", path.display()))?;
            // Programs run in another folder than this one may.
            path.canonicalize().with_context(|| format!("can't find {}", path.display()))
        };
        Ok(Folders {
            build: folder("fuzz")?,
            corpus: folder("fuzz-corpus")?,
            findings: folder("fuzz-findings")?,
            logs: folder("fuzz-logs")?,
            temporary: folder("fuzz-tmp")?,
        })
    }
}

fn build(folders: &Folders, chosen: &[String]) -> Result<()> {
    println!("building the targets, which takes a quarter of an hour the first time");
    // One by one: all at once would be all programs of the package, of which one is no target and is not linked with libFuzzer.
    for target in chosen {
        let mut command = cargo::command();
        // By default cargo-fuzz takes one unit, which is slow to compile, and makes no difference to coverage.
        let options = ["--sanitizer", "none", "--features", "libfuzzer", "--codegen-units", "16"];
        command.args(["fuzz", "build"]).args(options).arg("--target-dir").arg(&folders.build).arg(target);
        let status = command.status().context("can't run cargo fuzz")?;
        ensure!(status.success(), "the fuzz target {target} can't be built");
    }
    Ok(())
}

/// What came of a search.
struct Searched {
    target: String,
    runs: String,
    coverage: String,
    finding: Option<String>,
}

impl std::fmt::Display for Searched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Searched { target, runs, coverage, finding } = self;
        let finding = if finding.is_some() { "1 finding" } else { "no finding" };
        write!(f, "{target:<14} {runs:>10} runs   coverage {coverage:>6}   {finding}")
    }
}

fn search(folders: &Folders, target: &str, seconds: u32) -> Result<Searched> {
    let program = folders.build.join(host()?).join("release").join(target);
    let (corpus, findings) = (folders.corpus.join(target), folders.findings.join(target));
    for folder in [&corpus, &findings] {
        fs::create_dir_all(folder).with_context(|| format!("can't create {}", folder.display()))?;
    }
    let log = folders.logs.join(format!("{target}.log"));
    let file = File::create(&log).with_context(|| format!("can't create {}", log.display()))?;
    let status = Command::new(&program)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={MOST_SECONDS_OF_INPUT}"))
        .arg(format!("-report_slow_units={MOST_SECONDS_OF_INPUT}"))
        .arg(format!("-rss_limit_mb={MOST_MEMORY_MB}"))
        .arg("-print_final_stats=1")
        // A folder, as it ends with a slash.
        .arg(format!("-artifact_prefix={}/", findings.display()))
        .arg(&corpus)
        .arg(cargo::workspace().join("fuzz/corpus").join(target))
        .env("TMPDIR", &folders.temporary)
        .stdout(Stdio::null())
        .stderr(file)
        .status()
        .with_context(|| format!("can't run {}", program.display()))?;
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let finding = (!status.success()).then(|| finding(target, &text, &program, &log));
    Ok(Searched {
        target: target.to_owned(),
        runs: last_after(&text, "stat::number_of_executed_units:").unwrap_or("?").to_owned(),
        coverage: last_after(&text, " cov:").unwrap_or("?").to_owned(),
        finding,
    })
}

/// The word behind the last one of a text.
fn last_after<'a>(text: &'a str, before: &str) -> Option<&'a str> {
    text.rsplit_once(before)?.1.split_whitespace().next()
}

/// What broke, and how to see it again.
fn finding(target: &str, log: &str, program: &Path, log_path: &Path) -> String {
    let Some(input) = last_after(log, "Test unit written to") else {
        return format!("{target}: it failed without an input that breaks it: see {}", log_path.display());
    };
    // The message of a panic is on the line after the one that says where it was.
    let panic: Vec<&str> = log.lines().skip_while(|line| !line.contains("panicked at")).take(2).collect();
    format!(
        "{target}: {}\n  the input is {input}\n  reproduce it by {} {input}\n  mend it, copy the input to fuzz/corpus/{target}/, \
         and `cargo xtask test` runs it",
        panic.join(" "),
        program.display(),
    )
}

/// The platform that the compiler compiles for.
fn host() -> Result<String> {
    let printed = Command::new("rustc").arg("-vV").output().context("can't run rustc")?;
    let text = String::from_utf8(printed.stdout).context("the output of rustc is not UTF-8")?;
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).context("rustc does not say what it compiles for")
}
