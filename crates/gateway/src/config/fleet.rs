//! The settings of gateways that share a ledger.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::SignedDuration;
use portcullis_edge::settings::{FieldPath, Problem};
use portcullis_engine::{DEFAULT_STALE_AFTER, WhenStale, is_node_name};

use super::file;

const STALE_AFTER: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(86_400);

/// The settings of gateways that share a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FleetSettings {
    /// `None`: the host's name.
    pub(crate) node: Option<String>,
    pub(crate) stale_after: Duration,
    pub(crate) when_stale: WhenStale,
}

impl Default for FleetSettings {
    fn default() -> Self {
        FleetSettings { node: None, stale_after: DEFAULT_STALE_AFTER, when_stale: WhenStale::default() }
    }
}

impl FleetSettings {
    /// Validates the settings. `is_shared` is whether the ledger is one that gateways can share.
    pub(crate) fn check(
        typed: Option<&file::Fleet>,
        is_shared: bool,
        place: &FieldPath,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let Some(typed) = typed else { return FleetSettings::default() };
        if !is_shared {
            let what = "applies to gateways that share a ledger in PostgreSQL: set storage.url to a postgres:// URL, or remove [fleet]";
            problems.push(Problem::new(place.clone(), what));
        }
        if typed.node.as_deref().is_some_and(|name| !is_node_name(name)) {
            let what = "must have 1 to 64 letters, digits, '.', '_' and '-', and not begin with '.'; leave it out for the host's name";
            problems.push(Problem::new(place.key("node"), what));
        }
        let stale_after = match typed.stale_after.as_deref().map(duration) {
            None => DEFAULT_STALE_AFTER,
            Some(Some(duration)) if STALE_AFTER.contains(&duration) => duration,
            Some(_) => {
                let what =
                    "must be a duration from 100ms to 24h; write it like \"30s\", which is the default";
                problems.push(Problem::new(place.key("stale_after"), what));
                DEFAULT_STALE_AFTER
            }
        };
        FleetSettings { node: typed.node.clone(), stale_after, when_stale: typed.when_stale }
    }
}

fn duration(text: &str) -> Option<Duration> {
    text.parse::<SignedDuration>().ok()?.try_into().ok()
}
