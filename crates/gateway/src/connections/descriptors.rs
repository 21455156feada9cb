//! The limit of open files, and what it is divided into.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::{info, warn};

/// What to do if descriptors run out, for log lines.
pub(crate) const REMEDY: &str =
    "raise the limit of open files: LimitNOFILE= in the unit of systemd, or `ulimit -n` in the shell";

/// A soft limit beyond this is no use, and some programs close every descriptor up to it.
const ENOUGH: u64 = 1 << 20;
/// Below this, the gateway says that the limit is low.
const LOW: u64 = 4096;
/// Descriptors of the gateway itself: the ledger, saved states, plugin files, the event loop.
const OWN: u64 = 64;
/// The most connections if nothing else is set. Each takes memory, too.
const MOST_CONNECTIONS: u64 = 65_536;
/// The fewest connections, however low the limit is.
const LEAST_CONNECTIONS: u64 = 16;

/// Raises the soft limit of open files to the hard one, and returns it.
pub(crate) fn raise() -> u64 {
    let before = getrlimit(Resource::Nofile);
    let wanted = before.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    if before.current.is_some_and(|current| current < wanted)
        && let Err(error) =
            setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: before.maximum })
    {
        warn!(%error, "can't raise the soft limit of open files to the hard one");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH)
}

/// Returns how many connections of clients a limit of open files allows. `outbound` is the most connections to upstreams, callbacks
/// and next hops, which get up to a third. `set` is the setting, which can lower the number.
pub(super) fn connections(limit: u64, outbound: u64, set: Option<u32>) -> usize {
    let rest = limit.saturating_sub(OWN);
    let allowed = (rest - outbound.min(rest / 3)).max(LEAST_CONNECTIONS);
    let connections = match set {
        Some(set) => allowed.min(u64::from(set)),
        None => allowed.min(MOST_CONNECTIONS),
    };
    usize::try_from(connections).unwrap_or(usize::MAX)
}

/// Logs what the limit allows.
pub(super) fn announce(limit: u64, connections: usize, set: Option<u32>) {
    let is_less_than_set = set.is_some_and(|set| connections < set as usize);
    if limit < LOW || is_less_than_set {
        warn!(open_files = limit, connections, "the limit of open files allows few connections: {REMEDY}");
    } else {
        info!(open_files = limit, connections, "accepting connections");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_divided_between_clients_and_the_rest() {
        assert_eq!(connections(256, 2048, None), 128);
        assert_eq!(connections(1024, 2048, None), 640);
        assert_eq!(connections(1024, 100, None), 860);
        assert_eq!(connections(1 << 20, 2048, None), 65_536);
        assert_eq!(connections(1 << 20, 2048, Some(100_000)), 100_000);
        assert_eq!(connections(1024, 2048, Some(100)), 100);
        assert_eq!(connections(32, 2048, None), 16);
    }
}
