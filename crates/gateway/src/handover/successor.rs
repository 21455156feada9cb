//! Starts the process that takes over.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tracing::info;

/// Options of `serve` that are meant for one start.
const OF_ONE_START: [&str; 2] = ["--new-ledger", "--restored"];
/// The option with which a process takes over.
const TAKE_OVER: &str = "--take-over";
/// Variables with which systemd addresses one process.
const OF_ONE_PROCESS: [&str; 4] = ["WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"];

/// How this process was started.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Where the program was: by now, another version may be there.
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// Which program to start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// The one that is installed now.
    Installed,
    /// The one of this process, even if it was replaced.
    Own,
}

impl Program {
    /// That of this process. Call it at the start, before the program can be replaced.
    pub(crate) fn this() -> Self {
        let arguments: Vec<OsString> = std::env::args_os().collect();
        let name = || arguments.first().map(PathBuf::from).unwrap_or_default();
        Program { path: std::env::current_exe().unwrap_or_else(|_| name()), arguments }
    }

    /// Starts a process that takes over from this one. Its log goes where this one's goes.
    ///
    /// # Errors
    /// If there is no program, or it can't be started.
    pub(crate) fn start(&self, version: Version) -> io::Result<Child> {
        let mut command = match version {
            Version::Installed => Command::new(&self.path),
            Version::Own => Command::new("/proc/self/exe"),
        };
        let mut arguments = self.arguments.iter();
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        command.args(arguments.filter(|argument| {
            OF_ONE_START.iter().chain([&TAKE_OVER]).all(|option| argument.as_os_str() != *option)
        }));
        for variable in OF_ONE_PROCESS {
            command.env_remove(variable);
        }
        // The addresses are as they were: nobody waits for them to be printed.
        let child = command.arg(TAKE_OVER).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        info!(pid = child.id(), "a process was started that is to take over");
        Ok(child)
    }
}
