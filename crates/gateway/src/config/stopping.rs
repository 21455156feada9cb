//! How the gateway stops: `server.lame_duck_seconds` and `server.grace_seconds`.

use std::time::Duration;

use portcullis_edge::settings::{FieldPath, Problem};
use portcullis_proxy::settings::TrafficSettings;

use super::file::Server;

/// How the gateway stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stopping {
    /// How long `/readyz` says that the gateway is about to stop, while all requests are still served.
    pub(crate) lame_duck: Duration,
    /// How long requests in progress may take once the gateway no longer listens.
    pub(crate) grace: Duration,
}

/// In seconds: two health checks of most balancers.
pub(super) const DEFAULT_LAME_DUCK: u64 = 5;
/// In seconds.
pub(super) const LONGEST_LAME_DUCK: u64 = 3600;
/// In seconds.
pub(super) const LONGEST_GRACE: u64 = 7200;
/// What a request takes at most besides waiting for an upstream or a callback, in seconds: a write waits for so long.
const OWN_TIME: u64 = 10;

impl Stopping {
    /// Checks both settings, and adds what is wrong to `problems`. `place` is the path of `[server]`.
    pub(super) fn check(
        typed: &Server,
        traffic: &TrafficSettings,
        place: &FieldPath,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let lame_duck = typed.lame_duck_seconds.unwrap_or(DEFAULT_LAME_DUCK);
        if lame_duck > LONGEST_LAME_DUCK {
            let what = "must be at most 3600 (an hour); leave it out for 5";
            problems.push(Problem::new(place.key("lame_duck_seconds"), what));
        }
        let least = traffic.upstream_timeout_seconds.max(traffic.callback_timeout_seconds);
        let default = least.saturating_add(OWN_TIME);
        let grace = typed.grace_seconds.unwrap_or(default);
        if typed.grace_seconds.is_some_and(|grace| !(least..=LONGEST_GRACE).contains(&grace)) {
            let what = format!(
                "must be from {least} to {LONGEST_GRACE}: traffic.upstream_timeout_seconds and callback_timeout_seconds let a \
                 message take {least} seconds, and one that is cut off may be sent twice; leave it out for {default}"
            );
            problems.push(Problem::new(place.key("grace_seconds"), what));
        }
        Stopping { lame_duck: Duration::from_secs(lame_duck), grace: Duration::from_secs(grace) }
    }
}
