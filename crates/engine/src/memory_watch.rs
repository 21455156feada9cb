//! Watches how much memory the plugins of each tenant take, and says so before one runs out of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portcullis_ledger::TenantId;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

use crate::directory::Directory;

/// How often. A look at a tenant takes nanoseconds.
const EVERY: Duration = Duration::from_secs(1);

/// Reports tenants whose account becomes nearly full, once, and those that have room again, until it is aborted.
pub(crate) async fn run(directory: Arc<Directory>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut nearly_full = BTreeSet::new();
    loop {
        ticks.tick().await;
        look(&directory, &mut nearly_full);
    }
}

fn look(directory: &Directory, nearly_full: &mut BTreeSet<TenantId>) {
    let mut now = BTreeSet::new();
    for tenant in directory.tenants().values() {
        let Some(members) = tenant.members.load_full() else { continue };
        let account = &members.account;
        if !account.is_nearly_full() {
            continue;
        }
        if !nearly_full.contains(&tenant.id) {
            warn!(
                tenant = %tenant.id, plugin = members.chosen.name(), bytes = account.used(), limit = account.limit(),
                "the tenant's plugin has taken more than 80 % of its memory_limit_bytes: raise it, or replace the plugin if it leaks"
            );
        }
        now.insert(tenant.id.clone());
    }
    for tenant in nearly_full.difference(&now) {
        info!(%tenant, "the tenant's plugin has memory again");
    }
    *nearly_full = now;
}
