//! Sockets that systemd passes.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::super::support::refused_start;
use super::addresses::listening;
use super::{ask, connect};

/// A gateway that was started with a socket.
struct Started {
    process: Child,
    line: String,
    _folder: TempDir,
}

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts a gateway as a socket unit does: with the socket as descriptor 3.
fn start(listener: TcpListener, name: &str, config: &str) -> Started {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("portcullis.toml"), config).unwrap();
    let mut process = Command::new("sh")
        .args(["-c", "exec \"$0\" \"$@\" 3<&0 </dev/null", env!("CARGO_BIN_EXE_portcullis")])
        .args(["serve", "--config", "portcullis.toml"])
        .current_dir(folder.path())
        .env_remove("PORTCULLIS_MASTER_KEY")
        .env_remove("LISTEN_PID")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_FDNAMES", name)
        .stdin(Stdio::from(OwnedFd::from(listener)))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    Started { process, line: line.trim_end().to_owned(), _folder: folder }
}

#[test]
fn a_passed_socket_is_used_by_its_name_and_by_its_address() {
    for by_name in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        // It waits in the kernel until the gateway is there.
        let early = connect(&address);
        let setting = if by_name { "fd:public" } else { address.as_str() };
        let gateway = start(listener, "public", &listening(&format!("listen = \"{setting}\"")));
        assert_eq!(gateway.line, format!("listening on http://{address}"));
        assert_eq!(ask(early, "GET /healthz", &[], "").0, 200);
        // Nobody else has the socket.
        drop(gateway);
        assert!(std::net::TcpStream::connect(&address).is_err());
    }
}

#[test]
fn a_name_that_no_socket_was_passed_under_is_an_error() {
    let folder = TempDir::new().unwrap();
    let said = refused_start(folder.path(), &listening("listen = \"fd:public\""));
    assert!(said.contains("no socket was passed under the name public"), "{said}");
}
