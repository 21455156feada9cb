//! Counters of what clients were refused. They belong to the process, because requests are refused before it is ready, too.

use std::sync::LazyLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabels {
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    reason: &'static str,
}

static REFUSED: LazyLock<Family<StatusLabels, Counter>> = LazyLock::new(Family::default);
static CLOSED: LazyLock<Family<ReasonLabels, Counter>> = LazyLock::new(Family::default);

/// Why the gateway closed a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// It was idle, and another client needed its place.
    Idle,
    /// There were too many connections.
    Limit,
    /// Its address had too many connections.
    Address,
    /// The client did not take the response.
    Stalled,
    /// The client did not finish the head of a request.
    Late,
}

impl Closed {
    const ALL: [Closed; 5] = [Closed::Idle, Closed::Limit, Closed::Address, Closed::Stalled, Closed::Late];

    const fn as_str(self) -> &'static str {
        match self {
            Closed::Idle => "idle",
            Closed::Limit => "limit",
            Closed::Address => "address",
            Closed::Stalled => "stalled",
            Closed::Late => "late",
        }
    }
}

/// Counts a request that was answered with an error. `status` is from 400 to 599.
pub fn refused(status: u16) {
    REFUSED.get_or_create(&StatusLabels { status }).inc();
}

/// Counts connections that the gateway closed.
pub fn closed(reason: Closed, count: usize) {
    CLOSED.get_or_create(&ReasonLabels { reason: reason.as_str() }).inc_by(count as u64);
}

pub(super) fn register(registry: &mut Registry) {
    REFUSED.get_or_create(&StatusLabels { status: 401 }).inc_by(0);
    registry.register("refused_requests", "Requests answered with an error, by status", REFUSED.clone());
    for reason in Closed::ALL {
        closed(reason, 0);
    }
    registry.register("closed_connections", "Connections closed by the gateway, by reason", CLOSED.clone());
}
