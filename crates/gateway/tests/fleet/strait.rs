//! A way to a database on which a test can hold up some connections.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use tempfile::TempDir;

/// What a gateway sends that follows the others.
pub(crate) const FOLLOWING: &str = "pg_snapshot_xip";
/// What it sends to read what they changed.
pub(crate) const CHANGES: &str = "CROSS JOIN LATERAL";

/// A way to a database.
pub(crate) struct Strait {
    /// With the socket.
    folder: TempDir,
    database: String,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: Option<&'static str>,
    waiting: usize,
}

impl Strait {
    /// A way to the database at this URL of a socket.
    pub(crate) fn to(url: &str) -> Self {
        let (_, place) = url.split_once('@').unwrap();
        let (host, database) = place.split_once('/').unwrap();
        let socket = PathBuf::from(host.replace("%2F", "/")).join(".s.PGSQL.5432");
        let folder = TempDir::new().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        let gate = Arc::<Gate>::default();
        let passing = Arc::clone(&gate);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), UnixStream::connect(&socket).unwrap());
                let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                let gate = Arc::clone(&passing);
                thread::spawn(move || gate.pass(client, server));
                thread::spawn(move || {
                    let _ = std::io::copy(&mut answers, &mut back);
                    let _ = back.shutdown(std::net::Shutdown::Both);
                });
            }
        });
        Strait { folder, database: database.to_owned(), gate }
    }

    /// The URL of the database on this way.
    pub(crate) fn url(&self) -> String {
        let host = self.folder.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://portcullis@{host}/{}", self.database)
    }

    /// Holds up all connections on which this was ever sent, and waits until one is.
    pub(crate) fn hold(&self, text: &'static str) {
        let mut state = self.gate.state.lock().unwrap();
        state.held = Some(text);
        while state.waiting == 0 {
            let (held, waited) = self.gate.changed.wait_timeout(state, Duration::from_secs(60)).unwrap();
            assert!(!waited.timed_out(), "nobody sends {text}");
            state = held;
        }
    }

    /// Holds up all connections from now on on which this is sent.
    pub(crate) fn hold_next(&self, text: &'static str) {
        self.gate.state.lock().unwrap().held = Some(text);
    }

    /// Lets all of them go on.
    pub(crate) fn release(&self) {
        self.gate.state.lock().unwrap().held = None;
        self.gate.changed.notify_all();
    }
}

impl Gate {
    /// Passes on what a client sends.
    fn pass(&self, mut client: UnixStream, mut server: UnixStream) {
        let (mut sent, mut buffer) = (Vec::new(), [0; 1 << 16]);
        while let Ok(read @ 1..) = client.read(&mut buffer) {
            sent.extend_from_slice(&buffer[..read]);
            let mut state = self.state.lock().unwrap();
            while state.held.is_some_and(|held| sent.windows(held.len()).any(|part| part == held.as_bytes()))
            {
                state.waiting += 1;
                self.changed.notify_all();
                state = self.changed.wait(state).unwrap();
                state.waiting -= 1;
            }
            drop(state);
            if server.write_all(&buffer[..read]).is_err() {
                break;
            }
        }
        let _ = server.shutdown(std::net::Shutdown::Both);
    }
}
