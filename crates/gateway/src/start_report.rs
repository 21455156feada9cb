//! The lines with which a gateway's log begins, and with which it says that it is ready.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_edge::gateway::Gateway;
use portcullis_engine::Service;
use portcullis_ledger::StorageUrl;
use portcullis_process_metrics::process::Build;
use tracing::info;

use crate::listeners::Address;

/// The version of this program.
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from, which who builds it may set; empty otherwise.
const REVISION: &str = match option_env!("PORTCULLIS_COMMIT") {
    Some(revision) => revision,
    None => "",
};
/// The most plugins that are named.
const NAMED: usize = 10;

/// What was built, for the metrics.
pub(crate) fn build() -> Build {
    Build { version: VERSION, revision: REVISION }
}

fn revision() -> Option<&'static str> {
    Some(REVISION).filter(|revision| !revision.is_empty())
}

/// A start, from its first moment on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StartReport(Instant);

/// What serves once a gateway has started.
#[derive(Debug)]
pub(crate) struct Serving {
    tenants: usize,
    senders: usize,
    lists: usize,
    out_of_service: usize,
    plugins: String,
}

impl Serving {
    /// Counts what serves. Blocks for a moment.
    pub(crate) fn of(gateway: &Gateway) -> Self {
        let status = gateway.engine.status();
        let lists = || status.iter().flat_map(|tenant| &tenant.lists);
        let plugins = status.iter().filter(|tenant| tenant.reload.serving.missing().is_none());
        let plugins: BTreeSet<&str> =
            plugins.map(|tenant| tenant.reload.serving.version().name.as_str()).collect();
        let mut named: Vec<&str> = plugins.iter().take(NAMED).copied().collect();
        if plugins.len() > NAMED {
            named.push("…");
        }
        Serving {
            tenants: status.len(),
            senders: gateway.registry.load().tenants().map(|tenant| tenant.senders.len()).sum(),
            lists: lists().count(),
            out_of_service: lists().filter(|list| list.service == Service::Out).count(),
            plugins: named.join(", "),
        }
    }
}

impl StartReport {
    /// Says that the program starts, with this configuration file.
    pub(crate) fn begin(configuration: &Path) -> Self {
        info!(
            version = VERSION,
            commit = revision(),
            pid = std::process::id(),
            configuration = %configuration.display(),
            "starting"
        );
        StartReport(Instant::now())
    }

    /// The time since the start.
    pub(crate) fn took(self) -> Duration {
        self.0.elapsed()
    }

    /// Says that all requests are answered from now on.
    pub(crate) fn ready(
        self,
        configuration: &Path,
        addresses: &[Address],
        ledger: &StorageUrl,
        serving: &Serving,
    ) {
        let ledger = match ledger {
            StorageUrl::Sqlite(_) => "sqlite",
            StorageUrl::Postgres(_) => "postgresql",
            _ => "another",
        };
        info!(
            version = VERSION,
            commit = revision(),
            configuration = %configuration.display(),
            addresses = addresses.iter().map(|address| address.url.as_str()).collect::<Vec<_>>().join(", "),
            ledger,
            tenants = serving.tenants,
            senders = serving.senders,
            lists = serving.lists,
            out_of_service = serving.out_of_service,
            plugins = serving.plugins,
            millis = u64::try_from(self.took().as_millis()).unwrap_or(u64::MAX),
            "ready"
        );
    }
}
