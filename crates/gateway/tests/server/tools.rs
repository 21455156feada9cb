//! Installs the Python and Node clients that tests run, once per target directory.
//!
//! If they can't be installed, the tests that need them print a note and pass. With `PORTCULLIS_REQUIRE_CLIENTS` set,
//! as in CI, these tests fail instead.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the clients and their requirements.
pub(crate) fn clients_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients")
}

/// A Python interpreter with the packages in `requirements.txt`.
pub(crate) fn python() -> Option<&'static Path> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    PYTHON.get_or_init(|| available("Python's", install_python())).as_deref()
}

/// The script of the npm client.
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
            // Written directly, because the test harness captures the output of passing tests.
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

/// Runs `work`, unless it has been done for the current content of `wanted`.
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
