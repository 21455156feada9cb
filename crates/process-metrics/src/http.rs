//! HTTP requests, by route, method and class of status, how long they took, and why they were refused.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;
use portcullis_ledger_model::Distribution;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::families;

/// The methods that have metrics of their own.
const METHODS: [&str; 10] =
    ["GET", "POST", "DELETE", "PUT", "HEAD", "PATCH", "OPTIONS", "TRACE", "CONNECT", OTHER];
const OTHER: &str = "other";
/// The classes of statuses, from 100 on.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];
/// In nanoseconds: from 50 µs to 30 s.
const TIMES: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    100_000_000,
    250_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
    30_000_000_000,
];
/// The most routes. Those beyond it, of which there are none unless a caller passes paths in place of patterns, are counted together.
const MOST_ROUTES: usize = 512;

/// The requests of one route. Keep it where a route is served for every message: looking it up costs some 50 nanoseconds.
#[derive(Debug, Default)]
pub struct Route([OnceLock<Box<Answered>>; METHODS.len()]);

/// The answered requests with one method.
#[derive(Debug)]
struct Answered {
    by_class: [AtomicU64; CLASSES.len()],
    times: Distribution,
}

impl Route {
    /// Counts a request that took so long until its response began. Costs three atomic additions.
    ///
    /// `method` is a standard method, or counts as `other`.
    pub fn answered(&self, method: &str, status: u16, took: Duration) {
        let index = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let made = || Box::new(Answered { by_class: Default::default(), times: Distribution::new(TIMES) });
        let Some(answered) = self.0.get(index).map(|answered| answered.get_or_init(made)) else { return };
        let class = usize::from(status / 100).saturating_sub(1).min(CLASSES.len() - 1);
        if let Some(count) = answered.by_class.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        answered.times.observe_time(took);
    }

    fn methods(&self) -> impl Iterator<Item = (&'static str, &Answered)> {
        METHODS.into_iter().zip(&self.0).filter_map(|(method, answered)| Some((method, &**answered.get()?)))
    }
}

static ROUTES: RwLock<BTreeMap<Box<str>, Arc<Route>>> = RwLock::new(BTreeMap::new());

/// The requests of a route, which is a pattern such as `/portcullis/v1/senders/{sender}/check`, never a path.
pub fn route(pattern: &str) -> Arc<Route> {
    if let Some(route) = ROUTES.read().get(pattern) {
        return Arc::clone(route);
    }
    let mut routes = ROUTES.write();
    let name = if routes.len() < MOST_ROUTES { pattern } else { OTHER };
    Arc::clone(routes.entry(name.into()).or_default())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    status: u16,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ClosedLabels {
    reason: &'static str,
}

static REFUSED: LazyLock<Family<RefusedLabels, Counter>> = LazyLock::new(Family::default);
static CLOSED: LazyLock<Family<ClosedLabels, Counter>> = LazyLock::new(Family::default);

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

/// Why a request was refused, in one of a few dozen words. Insert it as an extension of the response, and it is counted and logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(pub &'static str);

impl Reason {
    /// Of answers that say nothing of the reason, such as those of an upstream.
    pub const OTHER: Reason = Reason(OTHER);
}

/// Counts a request that was answered with an error. `status` is from 400 to 599.
pub fn refused(status: u16, Reason(reason): Reason) {
    REFUSED.get_or_create(&RefusedLabels { status, reason }).inc();
}

/// Counts connections that the gateway closed.
pub fn closed(reason: Closed, count: usize) {
    CLOSED.get_or_create(&ClosedLabels { reason: reason.as_str() }).inc_by(count as u64);
}

/// Writes the routes.
#[derive(Debug)]
struct Routes;

impl Collector for Routes {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let routes = ROUTES.read();
        let each = || routes.iter().flat_map(|(name, route)| route.methods().map(move |of| (&**name, of)));
        let counts = each().flat_map(|(route, (method, answered))| {
            let counts = CLASSES.into_iter().zip(&answered.by_class);
            counts.map(move |(class, count)| {
                let labels = [("route", route), ("method", method), ("status_class", class)];
                (labels, count.load(Ordering::Relaxed))
            })
        });
        let counts = counts.filter(|(_, count)| *count > 0);
        let named = ("http_requests", "Answered requests, by route, method and class of status.");
        families::counters(&mut encoder, named, counts)?;
        let times = each().map(|(route, (method, answered))| {
            ([("route", route), ("method", method)], answered.times.read())
        });
        let named = ("http_request_duration", "Time from the head of a request to that of its response.");
        families::durations(&mut encoder, named, times)
    }
}

pub(crate) fn register(registry: &mut Registry) {
    REFUSED.get_or_create(&RefusedLabels { status: 401, reason: "missing_token" }).inc_by(0);
    registry.register(
        "refused_requests",
        "Requests answered with an error, by status and reason",
        REFUSED.clone(),
    );
    for reason in Closed::ALL {
        closed(reason, 0);
    }
    registry.register("closed_connections", "Connections closed by the gateway, by reason", CLOSED.clone());
    registry.register_collector(Box::new(Routes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted_by_route_method_and_class() {
        let one = route("/one/{of}/test");
        one.answered("GET", 200, Duration::from_micros(70));
        route("/one/{of}/test").answered("PROPFIND", 503, Duration::from_secs(60));
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Routes));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            r#"http_requests_total{route="/one/{of}/test",method="GET",status_class="2xx"} 1"#,
            r#"http_requests_total{route="/one/{of}/test",method="other",status_class="5xx"} 1"#,
            r#"http_request_duration_seconds_bucket{le="0.00005",route="/one/{of}/test",method="GET"} 0"#,
            r#"http_request_duration_seconds_bucket{le="0.0001",route="/one/{of}/test",method="GET"} 1"#,
            r#"http_request_duration_seconds_bucket{le="30.0",route="/one/{of}/test",method="other"} 0"#,
            r#"http_request_duration_seconds_bucket{le="+Inf",route="/one/{of}/test",method="other"} 1"#,
        ] {
            assert!(text.lines().any(|there| there == line), "{line} is not in:\n{text}");
        }
    }
}
