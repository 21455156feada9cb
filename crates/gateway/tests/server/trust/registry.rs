//! A registry, run here: Debian's docker-registry.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tempfile::TempDir;

const PROGRAM: &str = "/usr/bin/docker-registry";

/// The user of registries that ask for one, as `htpasswd -nbB` writes it. The password is `registry-password`.
const USER: &str = "portcullis:$2y$05$uqoM7THzrR6l0PIcDeRfXOxnEe4FKk6WHMXiVNvvKxAnuSPE.DPb2\n";
pub(super) const USER_IN_BASE64: &str = "cG9ydGN1bGxpczpyZWdpc3RyeS1wYXNzd29yZA==";

/// Whether there is a registry to run. If not, says so, and fails if it is required.
#[expect(clippy::print_stderr, reason = "somebody reads it")]
pub(super) fn is_there() -> bool {
    let is_there = Path::new(PROGRAM).exists();
    if !is_there {
        assert!(std::env::var_os("PORTCULLIS_REQUIRE_REGISTRY").is_none(), "{PROGRAM} is not there");
        eprintln!("SKIPPED: no registry is installed (apt-get install docker-registry)");
    }
    is_there
}

/// Writes a Docker configuration with the credentials of the user for this registry into a folder.
pub(super) fn log_in(folder: &Path, host: &str) -> PathBuf {
    let docker = folder.join("docker");
    std::fs::create_dir_all(&docker).unwrap();
    let config = format!(r#"{{"auths": {{"{host}": {{"auth": "{USER_IN_BASE64}"}}}}}}"#);
    std::fs::write(docker.join("config.json"), config).unwrap();
    docker
}

/// A registry, and what it has.
pub(super) struct Registry {
    folder: TempDir,
    port: u16,
    process: Option<Child>,
}

impl Registry {
    /// Reserves a port for a registry, which is away until it is [started](Self::start).
    pub(super) fn away(asks_for_a_user: bool) -> Self {
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = folder.path().display();
        let auth = if asks_for_a_user {
            std::fs::write(folder.path().join("users"), USER).unwrap();
            format!("auth:\n  htpasswd:\n    realm: registry\n    path: {at}/users\n")
        } else {
            String::new()
        };
        let config = format!(
            "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {at}/blobs\nhttp:\n  addr: 127.0.0.1:{port}\n{auth}"
        );
        std::fs::write(folder.path().join("config.yml"), config).unwrap();
        Registry { folder, port, process: None }
    }

    pub(super) fn started(asks_for_a_user: bool) -> Self {
        let mut registry = Registry::away(asks_for_a_user);
        registry.start();
        registry
    }

    /// Starts it, and waits until it answers.
    pub(super) fn start(&mut self) {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").arg(self.folder.path().join("config.yml"));
        self.process = Some(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.process.as_mut().unwrap().try_wait().unwrap();
            assert_eq!(ended, None, "the registry does not start");
            thread::yield_now();
        }
    }

    pub(super) fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Writes a Docker configuration with the credentials of the user into a folder.
    pub(super) fn log_in(&self, folder: &Path) -> PathBuf {
        log_in(folder, &self.host())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A registry that passes everything on to another one, except that it changes a byte of manifests or of layers if it is told to.
pub(super) struct Liar {
    port: u16,
    pub(super) changes_manifests: Arc<AtomicBool>,
    pub(super) changes_layers: Arc<AtomicBool>,
}

impl Liar {
    pub(super) fn before(registry: &Registry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (changes_manifests, changes_layers) =
            (Arc::<AtomicBool>::default(), Arc::<AtomicBool>::default());
        let liar = Liar {
            port,
            changes_manifests: Arc::clone(&changes_manifests),
            changes_layers: Arc::clone(&changes_layers),
        };
        let to = registry.host();
        // Ends with the tests' process.
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A client that goes away is no concern of this.
                let _ = pass_on(client, &to, &changes_manifests, &changes_layers);
            }
        });
        liar
    }

    pub(super) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

/// The head of the request on a connection; `None` if it ends before.
pub(super) fn head_of(client: &TcpStream) -> std::io::Result<Option<String>> {
    let mut head = String::new();
    let mut lines = BufReader::new(client);
    while !head.ends_with("\r\n\r\n") {
        if lines.read_line(&mut head)? == 0 {
            return Ok(None);
        }
    }
    Ok(Some(head))
}

fn pass_on(
    mut client: TcpStream,
    to: &str,
    changes_manifests: &AtomicBool,
    changes_layers: &AtomicBool,
) -> std::io::Result<()> {
    let Some(head) = head_of(&client)? else { return Ok(()) };
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut registry = TcpStream::connect(to)?;
    registry.write_all(head.replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut answer = Vec::new();
    registry.read_to_end(&mut answer)?;
    let is_changed = (path.contains("/manifests/") && changes_manifests.load(Ordering::Relaxed))
        || (path.contains("/blobs/") && changes_layers.load(Ordering::Relaxed));
    if let (true, Some(last)) = (is_changed, answer.last_mut()) {
        // The end of a manifest is a brace, and that of a component part of a section.
        *last = if *last == b'}' { b' ' } else { *last ^ 1 };
    }
    client.write_all(&answer)
}
