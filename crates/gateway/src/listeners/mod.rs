//! The sockets that the gateway listens on: those of its configuration, and those that were passed to it.

mod passed;
mod socket;
mod socket_file;

use std::io::Write as _;

use anyhow::Context as _;
use portcullis_edge::http::route::PREFIX;
use tracing::{info, warn};

use crate::config::{Config, Endpoint, SocketName};
use crate::handover::Predecessor;

pub(crate) use passed::Passed;
pub(crate) use socket::{Accepted, Socket};

/// A socket that the gateway listens on.
pub(crate) struct Listener {
    /// By which a process that takes over asks for it: as the configuration has it, with a number if there are several.
    pub(crate) name: String,
    pub(crate) socket: Socket,
    pub(crate) is_tls: bool,
    pub(crate) audience: Audience,
}

/// What is served on a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Everything.
    Everybody,
    /// Everything but metrics and the admin API, which are on a listener of their own.
    Clients {
        /// Whether health checks are answered.
        has_health: bool,
    },
    /// Metrics, the admin API and health checks.
    Operators,
}

impl Audience {
    /// Whether a path is served.
    pub(crate) fn has(self, path: &str) -> bool {
        match self {
            Audience::Everybody => true,
            Audience::Operators => is_for_operators(path),
            Audience::Clients { has_health } if is_health(path) => has_health,
            Audience::Clients { .. } => !is_for_operators(path),
        }
    }
}

/// Whether a path is for health checks or the administrator, which have a reserve of connections.
pub(crate) fn is_for_operators(path: &str) -> bool {
    let admin = path.strip_prefix(PREFIX).is_some_and(|path| path.starts_with("/admin/"));
    admin || path == "/metrics" || is_health(path)
}

fn is_health(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

/// Listens on all addresses of the configuration, those of `server.listen` first.
///
/// A socket of the process before is used by the address that it has it for. A socket that was passed is used by the address that has its
/// name, or that it is bound to. Others are closed, with a warning.
///
/// # Errors
/// If one of the addresses is not available, or no socket was passed under a name.
pub(crate) fn bind(
    config: &Config,
    mut passed: Passed,
    mut predecessor: Option<&mut Predecessor>,
) -> anyhow::Result<Vec<Listener>> {
    let audience = match config.admin_listen.is_empty() {
        true => Audience::Everybody,
        false => Audience::Clients { has_health: config.health_on_listen },
    };
    let of_clients = config.listen.iter().map(|endpoint| (endpoint, audience));
    let of_operators = config.admin_listen.iter().map(|endpoint| (endpoint, Audience::Operators));
    let mut listeners = Vec::new();
    for (endpoint, audience) in of_clients.chain(of_operators) {
        let mut sockets = match &mut predecessor {
            Some(predecessor) => handed_over(endpoint, predecessor)?,
            None => Vec::new(),
        };
        if sockets.is_empty() {
            sockets = self::sockets(endpoint, config.unix_socket_mode, &mut passed)?;
        }
        let is_tls = endpoint.is_tls;
        listeners.extend(sockets.into_iter().enumerate().map(|(index, socket)| {
            let name = name_of(endpoint, index);
            Listener { name, socket, is_tls, audience }
        }));
    }
    passed.warn_of_unusable();
    for name in passed.left() {
        warn!(name, "a socket was passed that no address in the configuration has: it is closed");
    }
    Ok(listeners)
}

/// The name of the socket of an address, or of one of several that were passed under one name.
fn name_of(endpoint: &Endpoint, index: usize) -> String {
    format!("{endpoint}#{index}")
}

/// The sockets that the process before has for an address.
fn handed_over(endpoint: &Endpoint, predecessor: &mut Predecessor) -> anyhow::Result<Vec<Socket>> {
    let named = (0..).map_while(|index| predecessor.take(&name_of(endpoint, index)));
    named.map(|socket| Socket::of_predecessor(&endpoint.socket, socket)).collect()
}

fn sockets(endpoint: &Endpoint, mode: u32, passed: &mut Passed) -> anyhow::Result<Vec<Socket>> {
    if let SocketName::Passed(name) = &endpoint.socket {
        let sockets = passed.named(name);
        anyhow::ensure!(
            !sockets.is_empty(),
            "no socket was passed under the name {name}: start the gateway by a socket unit of systemd with FileDescriptorName={name}, or \
             listen on an address"
        );
        return sockets.into_iter().map(Socket::of_passed).collect();
    }
    if let Some(socket) = passed.bound_to(&endpoint.socket) {
        return Ok(vec![Socket::of_passed(socket)?]);
    }
    let socket = match &endpoint.socket {
        SocketName::Tcp(address) => Socket::bind_tcp(*address),
        SocketName::Unix(path) => Socket::bind_unix(path, mode),
        SocketName::Passed(_) => return Ok(Vec::new()),
    };
    let socket =
        socket.with_context(|| format!("can't listen on {endpoint}; is another gateway running?"))?;
    Ok(vec![socket])
}

/// Where a listener is reached.
pub(crate) struct Address {
    pub(crate) url: String,
    audience: Audience,
}

/// The address of each listener.
///
/// # Errors
/// If the system does not say it.
pub(crate) fn addresses(listeners: &[Listener]) -> anyhow::Result<Vec<Address>> {
    let address = |Listener { socket, is_tls, audience, .. }: &Listener| {
        let url = socket.url(*is_tls).context("can't determine the address that the gateway listens on")?;
        Ok(Address { url, audience: *audience })
    };
    listeners.iter().map(address).collect()
}

/// Prints and logs where listeners are reached, the first one of `server.listen` first.
///
/// # Errors
/// If it can't be written to standard output.
#[expect(clippy::print_stdout, reason = "programs that start the gateway read its address from this line")]
pub(crate) fn announce(addresses: &[Address]) -> anyhow::Result<()> {
    for Address { url, audience } in addresses {
        if *audience == Audience::Operators {
            println!("listening on {url} for administration");
            info!(address = url, "listening for administration");
        } else {
            println!("listening on {url}");
            info!(address = url, "listening");
        }
    }
    std::io::stdout().flush().context("can't write the address to standard output")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_audience_is_served_what_is_its_own() {
        let clients = Audience::Clients { has_health: true };
        for (path, of_clients, of_operators) in [
            ("/metrics", false, true),
            ("/portcullis/v1/admin/tenants", false, true),
            ("/portcullis/v1/senders/support/check", true, false),
            ("/healthz", true, true),
            ("/readyz", true, true),
        ] {
            assert!(Audience::Everybody.has(path));
            assert_eq!(
                (clients.has(path), Audience::Operators.has(path)),
                (of_clients, of_operators),
                "{path}"
            );
        }
        assert!(!Audience::Clients { has_health: false }.has("/readyz"));
    }
}
