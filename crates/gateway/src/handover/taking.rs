//! The side of the process that takes over.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tracing::{debug, warn};

use super::message::{PROTOCOL, ToNew, ToOld, is_gone, receive, send};
use super::sockets::Sockets;
use super::{Door, relayed};

/// How long the running process may take for an answer. It waits for requests in progress, and saves what is due.
const PATIENCE: Duration = Duration::from_secs(120);
/// How many relayed requests may wait to be accepted.
const BACKLOG: i32 = 4096;

/// The process that runs, and is to be taken over from.
pub(crate) struct Predecessor {
    stream: UnixStream,
    sockets: Sockets,
    /// Where it relays requests to.
    relayed: Option<UnixListener>,
    path: PathBuf,
    /// Whether it has ended by itself.
    is_gone: bool,
}

/// Waits for the end of the process before. Dropping it removes the socket to which that one relays.
struct Gone {
    stream: UnixStream,
    path: PathBuf,
}

impl Predecessor {
    /// Asks the process that listens at `control` to hand over its sockets. Returns `None` if no process does. Blocks.
    ///
    /// # Errors
    /// If it refuses, is another user's, or is of a version that can't hand over to this one.
    pub(crate) fn meet(control: &Path) -> anyhow::Result<Option<Self>> {
        let stream = match UnixStream::connect(control) {
            Ok(stream) => stream,
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                return Ok(None);
            }
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("can't ask the running gateway at {}", control.display()));
            }
        };
        stream.set_read_timeout(Some(PATIENCE)).context("can't talk to the running gateway")?;
        let mut path = control.as_os_str().to_owned();
        path.push(format!(".{}", std::process::id()));
        // The running process may be in another folder.
        let path =
            std::path::absolute(PathBuf::from(path)).context("can't determine the folder of this process")?;
        let listener = listen(&path).with_context(|| format!("can't listen on {}", path.display()))?;
        let mut predecessor = Predecessor {
            stream,
            sockets: Sockets::default(),
            relayed: Some(listener),
            path,
            is_gone: false,
        };
        let hello = ToOld::TakeOver {
            protocol: PROTOCOL,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            relay: predecessor.path.clone(),
        };
        let asked = send(&mut predecessor.stream, &hello, None);
        let answer = asked.and_then(|()| receive(&mut predecessor.stream));
        match answer.context("the running gateway did not hand over its sockets")? {
            (ToNew::Sockets { names }, descriptors) => {
                predecessor.sockets = Sockets::named(names, descriptors);
                Ok(Some(predecessor))
            }
            (answer, _) => Err(refused(answer)),
        }
    }

    /// Takes the listening socket of this name, if the running process has one.
    pub(crate) fn take(&mut self, name: &str) -> Option<OwnedFd> {
        self.sockets.take(name)
    }

    /// Waits until the running process has given up the ledger. If it has ended, opening the ledger tells. Blocks.
    ///
    /// # Errors
    /// If it refuses.
    pub(crate) fn give_up(&mut self) -> anyhow::Result<()> {
        match self.ask(&ToOld::GiveUp).context("the running gateway did not give up the ledger")? {
            None | Some(ToNew::GivenUp) => Ok(()),
            Some(answer) => Err(refused(answer)),
        }
    }

    /// Says that all lists are loaded, and waits until the running process accepts no more connections. Blocks.
    ///
    /// # Errors
    /// If it refuses: it no longer waited.
    pub(crate) fn ready(&mut self) -> anyhow::Result<()> {
        match self.ask(&ToOld::Ready).context("the running gateway did not hand over")? {
            None | Some(ToNew::Go) => Ok(()),
            Some(answer) => Err(refused(answer)),
        }
    }

    /// Answers what is relayed through this door until the process before has ended, as the thread then does. Call it in the runtime, once
    /// that process relays.
    ///
    /// # Errors
    /// If no descriptors are left.
    pub(crate) fn answer_relayed(mut self, door: Door) -> io::Result<Option<JoinHandle<()>>> {
        let Some(listener) = self.relayed.take() else { return Ok(None) };
        let listener = tokio::net::UnixListener::from_std(listener)?;
        let answering = tokio::spawn(relayed::serve(listener, door));
        let gone = Gone { stream: self.stream.try_clone()?, path: self.path.clone() };
        gone.stream.set_read_timeout(None)?;
        let waiting = move || {
            gone.wait();
            answering.abort();
        };
        thread::Builder::new().name("predecessor".to_owned()).spawn(waiting).map(Some)
    }

    /// `None` if the running process has ended.
    fn ask(&mut self, message: &ToOld) -> io::Result<Option<ToNew>> {
        if self.is_gone {
            return Ok(None);
        }
        let asked = send(&mut self.stream, message, None);
        match asked.and_then(|()| receive(&mut self.stream)) {
            Ok((answer, _)) => Ok(Some(answer)),
            Err(error) if is_gone(&error) => {
                warn!("the gateway that was to hand over has ended: this one starts in its place");
                self.is_gone = true;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

impl Drop for Predecessor {
    fn drop(&mut self) {
        if self.relayed.is_some() {
            // Nothing was relayed.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Gone {
    /// Blocks until the process before has ended.
    fn wait(mut self) {
        // It says nothing more.
        if let Err(error) = receive::<ToNew>(&mut self.stream)
            && !is_gone(&error)
        {
            debug!(%error, "it is not known when the process before ended");
        }
    }
}

impl Drop for Gone {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn refused(answer: ToNew) -> anyhow::Error {
    match answer {
        ToNew::Refused { why } => anyhow::anyhow!("the running gateway goes on serving: {why}"),
        _ => anyhow::anyhow!("the running gateway answers something else than this version understands"),
    }
}

/// Listens on a Unix socket that only this user's processes can connect to. A socket that is there is replaced if nobody listens on it.
///
/// # Errors
/// If somebody listens on it, there is another file, the socket can't be replaced, or its mode not be changed.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    // Anything else may be a ledger.
    if std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        if UnixStream::connect(path).is_ok() {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "somebody listens on this socket"));
        }
        std::fs::remove_file(path)?;
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    // Many requests may have been held.
    rustix::net::listen(&listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Refuses to take over where nobody can.
///
/// # Errors
/// If there is no socket.
pub(crate) fn control(socket: Option<&Path>) -> anyhow::Result<&Path> {
    let Some(socket) = socket else {
        bail!(
            "--take-over needs server.hand_over_socket, and a ledger in a file: gateways that share a ledger in a database are restarted one \
             after the other"
        );
    };
    Ok(socket)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_was_left_is_replaced_and_no_other_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        drop(listen(&path).unwrap());
        drop(listen(&path).unwrap());
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "a ledger").unwrap();
        assert_eq!(listen(&path).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        assert_eq!(std::fs::read(&path).unwrap(), b"a ledger");
    }

    #[test]
    fn nobody_is_met_where_nobody_listens() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        assert!(Predecessor::meet(&path).unwrap().is_none());
        drop(listen(&path).unwrap());
        assert!(Predecessor::meet(&path).unwrap().is_none());
    }
}
