//! Requests that the gateway makes: to upstreams, callbacks and next hops, and with events.

use std::fmt::Error;
use std::sync::LazyLock;
use std::time::Duration;

use portcullis_ledger_model::Distribution;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use crate::families;

/// Whom a request is made to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The Cloud API, or what stands in for it.
    Upstream,
    /// The URL to which a sender's webhooks are delivered.
    Callback,
    /// The next hop of a message.
    NextHop,
    /// The URL to which a tenant's changes are delivered.
    Events,
}

impl To {
    const ALL: [To; 4] = [To::Upstream, To::Callback, To::NextHop, To::Events];

    /// Its name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            To::Upstream => "upstream",
            To::Callback => "callback",
            To::NextHop => "next_hop",
            To::Events => "events",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with this status.
    Answered(u16),
    /// The connection could not be established, or broke.
    Unreachable,
    /// It was not answered in time.
    Late,
}

const OUTCOMES: [&str; 6] = ["success", "redirect", "client_error", "server_error", "unreachable", "late"];

impl Outcome {
    fn index(self) -> usize {
        match self {
            Outcome::Answered(..300) => 0,
            Outcome::Answered(300..400) => 1,
            Outcome::Answered(400..500) => 2,
            Outcome::Answered(500..) => 3,
            Outcome::Unreachable => 4,
            Outcome::Late => 5,
        }
    }
}

/// In nanoseconds: from 1 ms, which is another machine of the same network, to 60 s.
const TIMES: &[u64] = &[
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    5_000_000_000,
    10_000_000_000,
    30_000_000_000,
    60_000_000_000,
];

type ByOutcome = [Distribution; OUTCOMES.len()];

static ANSWERED: LazyLock<[ByOutcome; To::ALL.len()]> =
    LazyLock::new(|| std::array::from_fn(|_| std::array::from_fn(|_| Distribution::new(TIMES))));

/// Counts a request, and how long it took until the head of the response arrived, or until it was given up.
pub fn made(to: To, outcome: Outcome, took: Duration) {
    ANSWERED[to as usize][outcome.index()].observe_time(took);
}

/// Writes the requests.
#[derive(Debug)]
struct Exchanges;

impl Collector for Exchanges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let each = To::ALL.into_iter().flat_map(|to| {
            OUTCOMES
                .into_iter()
                .zip(&ANSWERED[to as usize])
                .map(move |(outcome, times)| ([("to", to.as_str()), ("outcome", outcome)], times.read()))
        });
        // Most gateways make requests of one or two kinds.
        let each = each.filter(|(_, times)| times.count() > 0);
        let help =
            "Time until a request of the gateway was answered, by whom it was for and what became of it.";
        families::durations(&mut encoder, ("outgoing_request_duration", help), each)
    }
}

pub(crate) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Exchanges));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_by_outcome() {
        made(To::NextHop, Outcome::Answered(404), Duration::from_millis(3));
        made(To::NextHop, Outcome::Late, Duration::from_secs(30));
        let mut registry = Registry::default();
        register(&mut registry);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"outgoing_request_duration_seconds_count{to="next_hop",outcome="client_error"} 1"#,
            r#"outgoing_request_duration_seconds_sum{to="next_hop",outcome="late"} 30.0"#,
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is not in:\n{text}");
        }
        assert!(!text.contains("unreachable"));
    }
}
