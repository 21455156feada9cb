//! The sockets that the gateway listens on: those of its configuration, and those that were passed to it.

mod passed;
mod socket;
mod socket_file;

use std::io::Write as _;

use anyhow::Context as _;
use portcullis_edge::http::route::PREFIX;
use tracing::{info, warn};

use crate::config::{Config, Endpoint, SocketName};

pub(crate) use passed::Passed;
pub(crate) use socket::{Accepted, Socket};

/// A socket that the gateway listens on.
pub(crate) struct Listener {
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
/// A socket that was passed is used by the address that has its name, or that it is bound to. Others are closed, with a warning.
///
/// # Errors
/// If one of the addresses is not available, or no socket was passed under a name.
pub(crate) fn bind(config: &Config, mut passed: Passed) -> anyhow::Result<Vec<Listener>> {
    let audience = match config.admin_listen.is_empty() {
        true => Audience::Everybody,
        false => Audience::Clients { has_health: config.health_on_listen },
    };
    let of_clients = config.listen.iter().map(|endpoint| (endpoint, audience));
    let of_operators = config.admin_listen.iter().map(|endpoint| (endpoint, Audience::Operators));
    let mut listeners = Vec::new();
    for (endpoint, audience) in of_clients.chain(of_operators) {
        let sockets = sockets(endpoint, config.unix_socket_mode, &mut passed)?;
        let is_tls = endpoint.is_tls;
        listeners.extend(sockets.into_iter().map(|socket| Listener { socket, is_tls, audience }));
    }
    for name in passed.left() {
        warn!(name, "a socket was passed that no address in the configuration has: it is closed");
    }
    Ok(listeners)
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

/// Prints and logs the address of each listener, the first one of `server.listen` first.
///
/// # Errors
/// If an address can't be determined, or not be written to standard output.
#[expect(clippy::print_stdout, reason = "programs that start the gateway read its address from this line")]
pub(crate) fn announce(listeners: &[Listener]) -> anyhow::Result<()> {
    for listener in listeners {
        let address = listener.socket.url(listener.is_tls);
        let address = address.context("can't determine the address that the gateway listens on")?;
        if listener.audience == Audience::Operators {
            println!("listening on {address} for administration");
            info!(address, "listening for administration");
        } else {
            println!("listening on {address}");
            info!(address, "listening");
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
