//! Changes that are yet to be delivered to tenants.

use std::collections::BTreeMap;
use std::fmt::Error;
use std::time::SystemTime;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::{Registry, Unit};

use crate::families;

/// What a tenant has not been told of, as it was when that was last looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backlog {
    /// How many changes.
    pub changes: u64,
    /// When the oldest of them was made.
    pub oldest: SystemTime,
}

/// By tenant; only those that have not been told of everything.
static BEHIND: Mutex<BTreeMap<String, Backlog>> = Mutex::new(BTreeMap::new());

/// Sets what a tenant has not been told of; `None` if nothing, or if another gateway delivers.
pub fn set(tenant: &str, backlog: Option<Backlog>) {
    let mut behind = BEHIND.lock();
    match backlog {
        Some(backlog) => drop(behind.insert(tenant.to_owned(), backlog)),
        None => drop(behind.remove(tenant)),
    }
}

/// Writes the sums over all tenants.
#[derive(Debug)]
struct Sums;

impl Collector for Sums {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), Error> {
        let (tenants, changes, oldest) = {
            let behind = BEHIND.lock();
            let changes: u64 = behind.values().map(|backlog| backlog.changes).sum();
            (behind.len(), changes, behind.values().map(|backlog| backlog.oldest).min())
        };
        let age = oldest.and_then(|oldest| oldest.elapsed().ok()).unwrap_or_default();
        let help = "Tenants with changes whose delivery failed, and is retried.";
        families::gauge(&mut encoder, ("events_behind_tenants", help), None, tenants as u64)?;
        let help = "Changes that could not be delivered yet, of all tenants.";
        families::gauge(&mut encoder, ("events_pending_changes", help), None, changes)?;
        let help = "Age of the oldest change that could not be delivered yet; 0 if there is none.";
        families::gauge(
            &mut encoder,
            ("events_oldest_pending", help),
            Some(&Unit::Seconds),
            age.as_secs_f64(),
        )
    }
}

pub(crate) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(Sums));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_delivered_counts_no_more() {
        set("acme", Some(Backlog { changes: 3, oldest: SystemTime::UNIX_EPOCH }));
        set("globex", Some(Backlog { changes: 4, oldest: SystemTime::now() }));
        let text = || {
            let mut registry = Registry::default();
            register(&mut registry);
            let mut text = String::new();
            prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
            text
        };
        assert!(text().contains("events_pending_changes 7\n"), "{}", text());
        set("acme", None);
        set("globex", None);
        assert!(text().contains("events_behind_tenants 0\n"), "{}", text());
        assert!(text().contains("events_oldest_pending_seconds 0.0\n"), "{}", text());
    }
}
