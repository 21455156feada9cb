//! Sockets that are passed to the gateway at its start, by systemd's protocol: `LISTEN_FDS` and `LISTEN_FDNAMES`.

use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use listenfd::ListenFd;
use tracing::warn;

use crate::config::SocketName;

/// The names of passed sockets, separated by colons.
const NAMES: &str = "LISTEN_FDNAMES";
/// The name of a socket that was passed without one, as systemd has it.
const UNNAMED: &str = "unknown";

/// A listening socket that was passed.
pub(crate) enum PassedSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Sockets that were passed, by name. Several may have one name.
#[derive(Default)]
pub(crate) struct Passed {
    sockets: Vec<(String, PassedSocket)>,
    /// The names of descriptors that are no stream sockets.
    unusable: Vec<String>,
}

impl Passed {
    /// Takes the sockets that this process was started with, so that its children don't get them.
    ///
    /// To be called before there are other threads, as it changes the environment.
    pub(crate) fn take() -> Self {
        let names = std::env::var(NAMES).unwrap_or_default();
        let mut names = names.split(':');
        let mut fds = ListenFd::from_env();
        let mut passed = Passed::default();
        for index in 0..fds.len() {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or(UNNAMED).to_owned();
            if let Ok(Some(listener)) = fds.take_tcp_listener(index) {
                passed.sockets.push((name, PassedSocket::Tcp(listener)));
            } else if let Ok(Some(listener)) = fds.take_unix_listener(index) {
                passed.sockets.push((name, PassedSocket::Unix(listener)));
            } else {
                passed.unusable.push(name);
            }
        }
        passed
    }

    /// Takes all sockets of this name.
    pub(super) fn named(&mut self, name: &str) -> Vec<PassedSocket> {
        let taken = self.sockets.extract_if(.., |(of, _)| of == name);
        taken.map(|(_, socket)| socket).collect()
    }

    /// Takes the socket that is bound to this address or path.
    pub(super) fn bound_to(&mut self, name: &SocketName) -> Option<PassedSocket> {
        let is_meant = |socket: &PassedSocket| match (socket, name) {
            (PassedSocket::Tcp(listener), SocketName::Tcp(address)) => {
                listener.local_addr().is_ok_and(|bound| bound == *address)
            }
            (PassedSocket::Unix(listener), SocketName::Unix(path)) => {
                listener.local_addr().is_ok_and(|bound| bound.as_pathname() == Some(path.as_path()))
            }
            _ => false,
        };
        let index = self.sockets.iter().position(|(_, socket)| is_meant(socket))?;
        Some(self.sockets.swap_remove(index).1)
    }

    /// Warns of descriptors that are no stream sockets, and are not used.
    pub(super) fn warn_of_unusable(&self) {
        for name in &self.unusable {
            warn!(name, "a descriptor was passed that is not a stream socket of TCP or Unix: it is not used");
        }
    }

    /// The names of those that nobody took.
    pub(super) fn left(&self) -> impl Iterator<Item = &str> {
        self.sockets.iter().map(|(name, _)| name.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    #[test]
    fn a_socket_is_found_by_its_name_or_its_address() {
        let (one, two, three) = (tcp(), tcp(), tcp());
        let address = SocketName::Tcp(three.local_addr().unwrap());
        let sockets = [("public", one), ("public", two), ("admin", three)];
        let sockets = sockets.map(|(name, socket)| (name.to_owned(), PassedSocket::Tcp(socket)));
        let mut passed = Passed { sockets: sockets.into(), unusable: Vec::new() };
        assert_eq!((passed.named("other").len(), passed.named("public").len()), (0, 2));
        assert_eq!(passed.left().collect::<Vec<_>>(), ["admin"]);
        assert!(passed.bound_to(&address).is_some() && passed.bound_to(&address).is_none());
    }
}
