//! One process takes over from another on the same machine, and no request fails, is done twice, or is answered wrongly.
//!
//! The running process listens on a Unix socket ([`giving`]). Another one that is started with `--take-over` ([`taking`])
//!
//! 1. gets the listening sockets, so that no connection is lost: both processes accept from the same queue;
//! 2. asks for the ledger once it is prepared. From then on the running process holds requests that write, or that count for rules, and
//!    waits for those in progress. It saves what is due, and releases the ledger. Checks and messages are answered from memory as before, as
//!    nobody can write;
//! 3. opens the ledger, loads the lists, and says that it is ready. From then on the running process relays all requests to it
//!    ([`relay`], [`relayed`]), those that were held first, and tells its clients to connect again. It ends when its connections have;
//! 4. accepts connections, and takes the place of the running process.
//!
//! If the new process fails before step 2, nothing has happened. If it fails in step 3, it may have changed the ledger. So the running
//! process does not take the ledger back, but starts a [`successor`] from its own program, and goes on answering checks.

mod door;
mod gate;
mod giving;
mod message;
mod relay;
mod relayed;
mod sockets;
mod successor;
mod taking;

pub(crate) use door::Door;
pub(crate) use gate::Gate;
pub(crate) use giving::Giving;
pub(crate) use sockets::Sockets;
pub(crate) use successor::Program;
pub(crate) use taking::{Predecessor, control, listen};

/// The name of the socket on which processes ask to take over, among those that are handed over.
pub(crate) const CONTROL: &str = "hand-over";
