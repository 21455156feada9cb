//! Starts a gateway per test and runs commands against it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;

use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_portcullis");

pub(crate) const TOKEN: &str = "acme-secret";

pub(crate) const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:0"
admin_token = "admin-secret"

[storage]
url = "sqlite://portcullis.db"

[[tenants]]
id = "acme"
tokens = ["acme-secret"]
default_region = "SE"

[[tenants.senders]]
id = "support"
number = "46700000001"

[[tenants.senders]]
id = "sales"
number = "46700000002"
"#;

/// A running gateway. By default it has a tenant `acme` with two senders, `support` and `sales`.
pub(crate) struct Gateway {
    folder: TempDir,
    process: Child,
    url: String,
}

impl Gateway {
    pub(crate) fn start() -> Self {
        Self::with(CONFIG)
    }

    /// Starts a gateway with this configuration.
    pub(crate) fn with(config: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("portcullis.toml"), config).unwrap();
        let (process, url) = serve(folder.path());
        Gateway { folder, process, url }
    }

    /// Kills the gateway with SIGKILL, and starts it again on the same files. This does not simulate a power failure: data
    /// in the page cache survives.
    pub(crate) fn restart(&mut self) {
        self.kill();
        (self.process, self.url) = serve(self.folder.path());
    }

    /// Kills the gateway with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The path of a file in the gateway's folder.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.file(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A command against this gateway with acme's token, such as `list --sender support`. Arguments are split at spaces; use
    /// [`Invocation::arg`] for one that contains a space.
    pub(crate) fn command(&self, arguments: &str) -> Invocation {
        command(arguments).env("PORTCULLIS_URL", &self.url).env("PORTCULLIS_TOKEN", TOKEN)
    }

    /// The blocked numbers of a list, sorted.
    pub(crate) fn listed(&self, target: &str) -> Vec<String> {
        let mut numbers: Vec<String> =
            self.command(&format!("list {target}")).good().out.lines().map(str::to_owned).collect();
        numbers.sort();
        numbers
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn serve(folder: &Path) -> (Child, String) {
    let mut process = Command::new(BINARY)
        .args(["serve", "--config"])
        .arg(folder.join("portcullis.toml"))
        .env("PORTCULLIS_LOG", "info")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    // The log says when all lists are loaded. Polling would slow that down.
    let mut log = BufReader::new(process.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains(": ready version=") {
        assert_ne!(log.read_line(&mut said).unwrap(), 0, "it did not start: {said}");
    }
    // Keep reading, so that the pipe does not fill up.
    thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let url = line.trim().strip_prefix("listening on ").unwrap().to_owned();
    (process, url)
}

/// A command without gateway and token, regardless of the test's environment.
pub(crate) fn command(arguments: &str) -> Invocation {
    let mut command = Command::new(BINARY);
    command.args(arguments.split_whitespace());
    command.env_remove("PORTCULLIS_URL").env_remove("PORTCULLIS_TOKEN");
    Invocation { command, input: None }
}

/// A command to run.
pub(crate) struct Invocation {
    command: Command,
    input: Option<String>,
}

/// The result of a command.
pub(crate) struct Run {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Invocation {
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    pub(crate) fn input(mut self, text: impl Into<String>) -> Self {
        self.input = Some(text.into());
        self
    }

    /// Starts the command with pipes for all streams.
    pub(crate) fn spawn(mut self) -> (Child, ChildStdin) {
        let mut child =
            self.command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        (child, stdin)
    }

    /// Runs the command and waits for it.
    pub(crate) fn run(mut self) -> Run {
        let input = self.input.take();
        let (child, mut stdin) = self.spawn();
        let feeder = thread::spawn(move || {
            // A command that ends early does not read all of its input.
            _ = stdin.write_all(input.unwrap_or_default().as_bytes());
        });
        let run = Run::of(child);
        feeder.join().unwrap();
        run
    }

    /// Runs the command, and asserts that it exits with 0.
    #[track_caller]
    pub(crate) fn good(self) -> Run {
        self.ends(0)
    }

    /// Runs the command, and asserts its exit code.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Run {
        let run = self.run();
        assert_eq!(run.code, Some(code), "{}{}", run.out, run.err);
        run
    }
}

impl Run {
    pub(crate) fn of(child: Child) -> Self {
        let output = child.wait_with_output().unwrap();
        Run {
            code: output.status.code(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The last line on standard error.
    pub(crate) fn last_words(&self) -> &str {
        self.err.lines().last().unwrap_or_default()
    }
}
