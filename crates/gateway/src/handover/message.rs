//! What two processes say to each other while one takes over from the other: a line of JSON each.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::sockets::{self, Sockets};

/// The version of this protocol.
pub(super) const PROTOCOL: u32 = 1;

/// What the process that takes over says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToOld {
    /// It wants to take over, and will answer requests that are relayed to this socket.
    TakeOver { protocol: u32, version: String, relay: PathBuf },
    /// It is prepared, and needs the ledger.
    GiveUp,
    /// It has loaded all lists.
    Ready,
}

/// What the running process says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ToNew {
    /// It hands over its sockets, which come with this.
    Sockets { names: Vec<String> },
    /// It has given up the ledger.
    GivenUp,
    /// It relays all requests from now on, and accepts no connections any more.
    Go,
    /// It goes on alone.
    Refused { why: String },
}

/// Sends a message, with sockets. Blocks.
pub(super) fn send(
    stream: &mut UnixStream,
    message: &impl Serialize,
    sockets: Option<&Sockets>,
) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    sockets::send(stream, &line, sockets)
}

/// Receives a message, and the sockets that came with it. Blocks, for as long as the stream's timeout.
pub(super) fn receive<T: DeserializeOwned>(stream: &mut UnixStream) -> io::Result<(T, Vec<OwnedFd>)> {
    let (line, descriptors) = sockets::receive(stream)?;
    Ok((serde_json::from_slice(&line)?, descriptors))
}

/// Whether an error says that the other process is gone.
pub(super) fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Whether an error says that the other process said nothing for the time of the stream's timeout.
pub(super) fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
