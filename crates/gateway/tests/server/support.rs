//! Starts a gateway per test and sends requests to it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;
use ureq::http::{Method, Request};

/// The timeout for anything that a test waits for.
pub(crate) const LONG: Duration = Duration::from_secs(60);

pub(crate) const ACME: &str = "acme-secret";
pub(crate) const GLOBEX: &str = "globex-secret";
pub(crate) const ADMIN: &str = "admin-secret";

/// The start of every test's configuration.
pub(crate) const SERVER: &str = r#"
[server]
listen = "127.0.0.1:0"
admin_token = "admin-secret"
lame_duck_seconds = 0

[storage]
url = "sqlite://portcullis.db"

[plugins]
dir = "plugins"
"#;

/// Two tenants. Each has a sender `support`.
pub(crate) const TENANTS: &str = r#"
[[tenants]]
id = "acme"
tokens = ["acme-secret"]
default_region = "SE"

[[tenants.senders]]
id = "support"
number = "46700000001"

[[tenants.senders]]
id = "sales"

[[tenants]]
id = "globex"
tokens = ["globex-secret"]

[[tenants.senders]]
id = "support"
number = "46700000002"
"#;

/// A running gateway.
pub(crate) struct Gateway {
    folder: TempDir,
    process: Child,
    url: String,
    log: Log,
    agent: ureq::Agent,
}

/// A process of a gateway from which another one has taken over.
pub(crate) struct Before {
    process: Child,
    log: Log,
}

impl Before {
    /// Kills it with SIGKILL.
    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
    }

    /// Waits until it has ended by itself, and returns its log.
    pub(crate) fn log_after_the_end(mut self) -> String {
        assert!(self.process.wait().unwrap().success());
        self.log.whole()
    }
}

impl Drop for Before {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The log on standard error, read continuously so that the gateway never blocks on a full pipe.
pub(crate) struct Log {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    fn of(process: &mut Child) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let mut stderr = BufReader::new(process.stderr.take().unwrap());
        let written = Arc::clone(&text);
        let reader = thread::spawn(move || {
            let mut line = String::new();
            while stderr.read_line(&mut line).is_ok_and(|length| length > 0) {
                written.lock().unwrap().push_str(&line);
                line.clear();
            }
        });
        Log { text, reader: Some(reader) }
    }

    /// The whole log. Call this after the process has exited.
    pub(crate) fn whole(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text.lock().unwrap().clone()
    }
}

/// If a gateway's directory contains this file, the gateway trusts only the certificates in it.
pub(crate) const TRUSTED: &str = "trusted.pem";

/// If a gateway's directory contains this socket, it is the service manager's.
pub(crate) const SERVICE_MANAGER: &str = "notify";

/// If a gateway's directory contains this folder, systemd has put credentials there.
#[allow(dead_code, reason = "for tests of the configuration")]
pub(crate) const CREDENTIALS: &str = "credentials";

/// If a gateway's directory contains this folder, it is where Docker's configuration is.
const DOCKER: &str = "docker";

/// What a gateway is started with, besides its configuration.
#[derive(Clone, Copy)]
pub(crate) struct Surroundings {
    /// The filter of the log.
    pub(crate) log: &'static str,
    /// The limits of open files, soft and hard.
    pub(crate) open_files: Option<(u32, u32)>,
}

impl Default for Surroundings {
    fn default() -> Self {
        Surroundings { log: "debug", open_files: None }
    }
}

fn spawn(folder: &Path, surroundings: Surroundings, options: &[&str]) -> Child {
    let program = env!("CARGO_BIN_EXE_portcullis");
    let mut command = match surroundings.open_files {
        None => Command::new(program),
        Some((soft, hard)) => {
            let limits = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$0\" \"$@\"");
            let mut shell = Command::new("sh");
            shell.args(["-c", &limits, program]);
            shell
        }
    };
    if folder.join(TRUSTED).exists() {
        command.env("SSL_CERT_FILE", folder.join(TRUSTED));
    }
    if folder.join(SERVICE_MANAGER).exists() {
        command.env("NOTIFY_SOCKET", folder.join(SERVICE_MANAGER));
    }
    if folder.join(CREDENTIALS).exists() {
        command.env("CREDENTIALS_DIRECTORY", folder.join(CREDENTIALS));
    }
    if folder.join(DOCKER).exists() {
        command.env("DOCKER_CONFIG", folder.join(DOCKER));
    }
    command
        .args(["serve", "--config", "portcullis.toml"])
        .args(options)
        .current_dir(folder)
        .env_remove("PORTCULLIS_MASTER_KEY")
        .env("PORTCULLIS_LOG", surroundings.log)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Starts a gateway that must fail to start, and returns its standard error.
pub(crate) fn refused_start(folder: &Path, config: &str) -> String {
    refused_start_with(folder, config, &[])
}

/// Starts a gateway with further options that must fail to start, and returns its standard error.
pub(crate) fn refused_start_with(folder: &Path, config: &str, options: &[&str]) -> String {
    std::fs::write(folder.join("portcullis.toml"), config).unwrap();
    let output = spawn(folder, Surroundings::default(), options).wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2), "the start must be refused");
    String::from_utf8(output.stderr).unwrap()
}

impl Gateway {
    /// Starts a gateway with [`SERVER`] and [`TENANTS`].
    pub(crate) fn start() -> Self {
        Self::with(&format!("{SERVER}{TENANTS}"))
    }

    pub(crate) fn with(config: &str) -> Self {
        Self::with_plugin(config, None)
    }

    /// Starts a gateway with a file in its plugin folder.
    pub(crate) fn with_plugin(config: &str, plugin: Option<(&str, &[u8])>) -> Self {
        let gateway = Self::starting(config, plugin);
        gateway.until("ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
        gateway
    }

    /// Starts a gateway that trusts only these certificates.
    pub(crate) fn trusting(config: &str, certificates: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join(TRUSTED), certificates).unwrap();
        let gateway = Self::starting_in(folder, config, None, Surroundings::default());
        gateway.until("ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
        gateway
    }

    /// Starts a gateway without waiting until it is ready.
    pub(crate) fn starting(config: &str, plugin: Option<(&str, &[u8])>) -> Self {
        Self::starting_in(TempDir::new().unwrap(), config, plugin, Surroundings::default())
    }

    /// Starts a gateway in these surroundings.
    pub(crate) fn within(surroundings: Surroundings, config: &str) -> Self {
        let gateway = Self::starting_in(TempDir::new().unwrap(), config, None, surroundings);
        gateway.until("ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
        gateway
    }

    fn starting_in(
        folder: TempDir,
        config: &str,
        plugin: Option<(&str, &[u8])>,
        surroundings: Surroundings,
    ) -> Self {
        if let Some((file, component)) = plugin {
            std::fs::create_dir(folder.path().join("plugins")).unwrap();
            std::fs::write(folder.path().join("plugins").join(file), component).unwrap();
        }
        Self::starting_with(folder, config, surroundings, &[])
    }

    fn starting_with(folder: TempDir, config: &str, surroundings: Surroundings, options: &[&str]) -> Self {
        std::fs::write(folder.path().join("portcullis.toml"), config).unwrap();
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(LONG))
            // For DELETE with a body.
            .allow_non_standard_methods(true)
            .build()
            .new_agent();
        let (process, url, log) = run_with(folder.path(), surroundings, options);
        Gateway { folder, process, url, log, agent }
    }

    /// Starts a gateway in this folder, with further options.
    #[allow(dead_code, reason = "for gateways that share a ledger")]
    pub(crate) fn in_folder(folder: TempDir, config: &str, options: &[&str]) -> Self {
        let gateway = Self::starting_with(folder, config, Surroundings::default(), options);
        gateway.until("ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
        gateway
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The address to connect to.
    pub(crate) fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// A number of bytes from the process's status, such as `VmRSS` (memory now) and `VmHWM` (the most so far).
    pub(crate) fn memory(&self, name: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    /// The sum of a metric over all of its labels that contain `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> u64 {
        let metrics = self.metrics();
        let lines = metrics.lines().filter(|line| line.starts_with(name) && line.contains(label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
    }

    /// The length of the log so far, in bytes.
    pub(crate) fn log_length(&self) -> usize {
        self.log.text.lock().unwrap().len()
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Kills the gateway with SIGKILL, and starts it again on the same files. This does not simulate a power failure: data
    /// in the page cache survives.
    pub(crate) fn kill_and_restart(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        self.run_again();
    }

    /// Stops the gateway with SIGTERM, and starts it again on the same files.
    pub(crate) fn restart(&mut self) {
        self.terminate();
        assert!(self.wait().success());
        self.run_again();
    }

    fn run_again(&mut self) {
        self.run_again_with(&[]);
    }

    /// Starts the gateway again, after it has ended, without waiting until it is ready.
    pub(crate) fn start_again(&mut self) {
        (self.process, self.url, self.log) = run(self.folder.path(), Surroundings::default());
    }

    /// Starts the gateway again, with further options, after it has ended.
    pub(crate) fn run_again_with(&mut self, options: &[&str]) {
        (self.process, self.url, self.log) = run_with(self.folder.path(), Surroundings::default(), options);
        self.until("ready", |gateway| gateway.call("GET", "/readyz", "", None).status == 200);
    }

    /// Starts another process on the same files, which takes over from this one.
    pub(crate) fn take_over(&mut self) -> Before {
        let (process, url, log) = run_with(self.folder.path(), Surroundings::default(), &["--take-over"]);
        assert_eq!(url, self.url);
        let process = std::mem::replace(&mut self.process, process);
        Before { process, log: std::mem::replace(&mut self.log, log) }
    }

    /// Kills the gateway with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Stops the gateway with SIGTERM.
    pub(crate) fn stop(&mut self) {
        self.terminate();
        assert!(self.wait().success());
    }

    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Sends a signal, such as `-STOP`.
    pub(crate) fn signal(&self, signal: &str) {
        let kill = Command::new("kill").arg(signal).arg(self.process.id().to_string()).status().unwrap();
        assert!(kill.success());
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.process.wait().unwrap()
    }

    /// Stops the gateway, and returns its log.
    pub(crate) fn log_after_the_end(mut self) -> (String, TempDir) {
        self.terminate();
        assert!(self.wait().success());
        let log = self.log.whole();
        (log, std::mem::replace(&mut self.folder, TempDir::new().unwrap()))
    }

    /// Polls until `holds` returns true, for at most [`LONG`].
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.until_within(LONG, what, holds);
    }

    /// Polls until `holds` returns true, for several minutes: what waits for many compilations.
    pub(crate) fn until_long(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        self.until_within(15 * LONG, what, holds);
    }

    fn until_within(&self, time: Duration, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + time;
        while !holds(self) {
            assert!(Instant::now() < deadline, "never {what}; the log:\n{}", self.log.text.lock().unwrap());
            thread::yield_now();
        }
    }

    /// Sends a request to the native API, with an optional JSON body.
    pub(crate) fn api(&self, method: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        self.call(method, &format!("/portcullis/v1{path}"), token, body.map(|body| body.to_string()))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.api("GET", path, ACME, None)
    }

    pub(crate) fn post(&self, path: &str, body: Value) -> Answer {
        self.api("POST", path, ACME, Some(body))
    }

    pub(crate) fn delete(&self, path: &str, body: Value) -> Answer {
        self.api("DELETE", path, ACME, Some(body))
    }

    pub(crate) fn admin(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.api(method, &format!("/admin/tenants{path}"), ADMIN, body)
    }

    pub(crate) fn call(&self, method: &str, path: &str, token: &str, body: Option<String>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.url));
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        self.send(request.body(body.unwrap_or_default()).unwrap())
    }

    pub(crate) fn send(&self, request: Request<String>) -> Answer {
        let has_body = !request.body().is_empty();
        let (parts, body) = request.into_parts();
        let sent = if has_body {
            self.agent.run(Request::from_parts(parts, body))
        } else if matches!(parts.method, Method::POST | Method::PUT | Method::PATCH) {
            self.agent.run(Request::from_parts(parts, ""))
        } else {
            self.agent.run(Request::from_parts(parts, ()))
        };
        Answer::of(sent.unwrap())
    }

    /// Sends a request whose body need not be UTF-8.
    pub(crate) fn send_bytes(&self, request: Request<Vec<u8>>) -> Answer {
        Answer::of(self.agent.run(request).unwrap())
    }

    /// Sends a request without a body, and returns the headers and the bytes of the response.
    pub(crate) fn bytes(&self, request: Request<()>) -> (ureq::http::HeaderMap, Vec<u8>) {
        let mut response = self.agent.run(request).unwrap();
        let bytes = response.body_mut().read_to_vec().unwrap();
        (response.headers().clone(), bytes)
    }

    /// Uploads a component.
    pub(crate) fn put_plugin(&self, name: &str, component: &[u8]) -> Answer {
        self.put_plugin_within(name, component, LONG)
    }

    /// Uploads a component, and waits so long for the answer.
    pub(crate) fn put_plugin_within(&self, name: &str, component: &[u8], time: Duration) -> Answer {
        let request = self.agent.put(format!("{}/portcullis/v1/admin/plugins/{name}", self.url));
        let request = request.config().timeout_global(Some(time)).build();
        let request = request.header("authorization", format!("Bearer {ADMIN}"));
        Answer::of(request.content_type("application/wasm").send(component).unwrap())
    }

    /// Moves a file into the plugin folder atomically.
    pub(crate) fn drop_plugin(&self, name: &str, component: &[u8]) {
        let folder = self.folder().join("plugins");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(".new"), component).unwrap();
        std::fs::rename(folder.join(".new"), folder.join(format!("{name}.wasm"))).unwrap();
    }

    /// The status of a tenant's plugin.
    pub(crate) fn plugin(&self, tenant: &str) -> Value {
        self.admin("GET", &format!("/{tenant}/plugin"), None).ok().clone()
    }

    /// The metrics.
    pub(crate) fn metrics(&self) -> String {
        // Those of all lists.
        let request = self.agent.get(format!("{}/metrics?lists=all", self.url));
        let mut response = request.header("authorization", format!("Bearer {ADMIN}")).call().unwrap();
        assert_eq!(response.status(), 200);
        response.body_mut().read_to_string().unwrap()
    }

    /// Sends SIGHUP.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    /// The number of lines of the log that contain this text.
    pub(crate) fn log_lines(&self, text: &str) -> usize {
        self.log.text.lock().unwrap().lines().filter(|line| line.contains(text)).count()
    }

    /// Whether this is in the log already. What was logged is read a little later.
    pub(crate) fn logged(&self, text: &str) -> bool {
        self.log.text.lock().unwrap().contains(text)
    }

    /// Waits until this is in the log.
    pub(crate) fn until_logged(&self, text: &str) {
        self.until("logging it", |gateway| gateway.logged(text));
    }

    /// What was logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.text.lock().unwrap().clone()
    }

    /// Blocks a number for acme's sender `support`.
    pub(crate) fn block(&self, number: &str) -> Answer {
        let answer = self.post("/senders/support/entries", json!({ "number": number }));
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer
    }

    /// The verdict on an inbound message for acme's sender `support`.
    pub(crate) fn verdict(&self, number: &str) -> Value {
        self.verdict_of("support", number, "inbound")
    }

    /// Asks with one of acme's tokens for what was written up to a position. The path is that of a check.
    pub(crate) fn check_since(&self, path: &str, position: &str, body: Value) -> Answer {
        let request = Request::post(format!("{}/portcullis/v1{path}", self.url))
            .header("authorization", format!("Bearer {ACME}"))
            .header("content-type", "application/json")
            .header("portcullis-position", position);
        self.send(request.body(body.to_string()).unwrap())
    }

    pub(crate) fn verdict_of(&self, sender: &str, number: &str, direction: &str) -> Value {
        let body = json!({ "number": number, "direction": direction });
        let answer = self.post(&format!("/senders/{sender}/check"), body);
        assert_eq!(answer.status, 200, "{}", answer.json);
        answer.json["verdict"].clone()
    }
}

/// What must not occur in the log of any test: parts of the numbers, tokens and texts that tests use. They are long enough not to
/// occur in times or ids by chance.
const SECRETS: [&str; 17] = [
    "4673200",
    "732001122",
    "073-200",
    "98765432",
    "98765 432",
    "97250123",
    "97250295",
    "1650555123",
    "1650555124",
    "91940800",
    "91807400",
    "1349120865",
    "-secret",
    "wrong-key",
    "pct_",
    "lives at",
    "wrote STOP",
];

impl Drop for Gateway {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if !thread::panicking() {
            let log = self.log.whole();
            for secret in SECRETS {
                let line = log.lines().find(|line| without_request_id(line).contains(secret));
                assert_eq!(line, None, "{secret} is in the log");
            }
        }
    }
}

/// The line without its request ids, which are random and may contain the digits of a number by chance.
fn without_request_id(line: &str) -> String {
    let mut pieces = line.split("request_id=");
    let mut rest = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        rest.push_str(piece.get(32..).unwrap_or_default());
    }
    rest
}

fn run(folder: &Path, surroundings: Surroundings) -> (Child, String, Log) {
    run_with(folder, surroundings, &[])
}

fn run_with(folder: &Path, surroundings: Surroundings, options: &[&str]) -> (Child, String, Log) {
    let mut process = spawn(folder, surroundings, options);
    let mut log = Log::of(&mut process);
    let mut line = String::new();
    let mut stdout = BufReader::new(process.stdout.take().unwrap());
    stdout.read_line(&mut line).unwrap();
    let Some(url) = line.trim_end().strip_prefix("listening on ") else {
        panic!("it does not listen; the log:\n{}", log.whole());
    };
    let url = url.to_owned();
    // Kept open, so that a write would not fail. No further output must appear.
    thread::spawn(move || {
        let mut more = String::new();
        let _ = stdout.read_to_string(&mut more);
        let is_address = |line: &str| line.starts_with("listening on ");
        assert!(more.lines().all(is_address), "there are only addresses on standard output: {more}");
    });
    (process, url, log)
}

/// A response of the gateway.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The raw body.
    pub(crate) text: String,
    pub(crate) json: Value,
    pub(crate) headers: ureq::http::HeaderMap,
}

impl Answer {
    fn of(mut response: ureq::http::Response<ureq::Body>) -> Self {
        let text = response.body_mut().read_to_string().unwrap();
        Answer {
            status: response.status().as_u16(),
            json: serde_json::from_str(&text).unwrap_or(Value::Null),
            text,
            headers: response.headers().clone(),
        }
    }

    /// Asserts that the response is this error, and returns its message.
    #[track_caller]
    pub(crate) fn error(&self, status: u16, code: &str) -> &str {
        assert_eq!((self.status, self.json["error"]["code"].as_str()), (status, Some(code)), "{}", self.json);
        let message = self.json["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty());
        message
    }

    /// Asserts that the response is 200, and returns its body.
    #[track_caller]
    pub(crate) fn ok(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.json);
        &self.json
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}

/// The outcomes of a write, in order.
pub(crate) fn outcomes(answer: &Answer) -> Vec<&str> {
    let results = answer.ok()["results"].as_array().unwrap();
    results.iter().map(|result| result["outcome"].as_str().unwrap()).collect()
}

/// The same plugin with a different digest: a custom section is appended.
pub(crate) fn variant(component: &[u8], name: u8) -> Vec<u8> {
    // Section id 0, length 3: a name of one byte, and one byte of content.
    [component, &[0, 3, 1, b'v', name]].concat()
}

/// The digest of a component, as the API writes it.
pub(crate) fn digest(component: &[u8]) -> String {
    use sha2::Digest as _;
    let hex = sha2::Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    format!("sha256:{hex}")
}

/// All files below a folder, without sockets.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
