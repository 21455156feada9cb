//! Programs in other languages that tests run: installed once, where the languages are there.
//!
//! Where they are not, the tests that need them say so on standard error and pass; with `PORTCULLIS_REQUIRE_CLIENTS` set,
//! as it is in CI, they fail.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where they and what they need stand.
pub(crate) fn clients_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// A Python that has what `requirements.txt` names.
pub(crate) fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(|| available("Python's", install_python())).as_deref()
}

/// The npm client's program.
pub(crate) fn npm_client() -> Option<&'static Path> {
    static CLIENT: OnceLock<Option<PathBuf>> = OnceLock::new();
    CLIENT.get_or_init(|| available("Node's", install_npm())).as_deref()
}

fn available(what: &str, installed: Result<PathBuf, String>) -> Option<PathBuf> {
    match installed {
        Ok(path) => Some(path),
        Err(why) if std::env::var_os("PORTCULLIS_REQUIRE_CLIENTS").is_some() => {
            panic!("{what} clients can't be run: {why}")
        }
        Err(why) => {
            // Not captured by the test's harness, which shows nothing of a test that passes.
            let _ = writeln!(std::io::stderr(), "SKIPPED: tests with {what} clients: {why}");
            None
        }
    }
}

fn install_python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    let python = folder.join("bin/python");
    let wanted = clients_folder().join("requirements.txt");
    install(&folder, &wanted, || {
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&wanted))
    })?;
    Ok(python)
}

fn install_npm() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm");
    let wanted = clients_folder().join("npm");
    let client = folder.join("client.mjs");
    install(&folder, &wanted.join("package-lock.json"), || {
        for file in ["package.json", "package-lock.json"] {
            std::fs::copy(wanted.join(file), folder.join(file)).map_err(|error| error.to_string())?;
        }
        run(Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund", "--loglevel=error"])
            .current_dir(&folder))
    })?;
    std::fs::copy(wanted.join("client.mjs"), &client).map_err(|error| error.to_string())?;
    Ok(client)
}

/// Installs what a file names, unless that was done.
fn install(folder: &Path, wanted: &Path, work: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let told = |error: std::io::Error| error.to_string();
    let wanted = std::fs::read(wanted).map_err(told)?;
    let done = folder.join("installed");
    if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).map_err(told)?;
    work()?;
    std::fs::write(done, wanted).map_err(told)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
