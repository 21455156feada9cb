//! Who wrote to senders lately, put on disk now and then.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use portcullis_edge::gateway::Gateway;

/// How much of it a crash may lose.
const PERIOD: Duration = Duration::from_secs(5);

/// Puts it on disk, for ever.
pub(crate) async fn run(gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let at_work = Arc::clone(&gateway);
        let _ = tokio::task::spawn_blocking(move || write_down(&at_work)).await;
    }
}

/// Puts what is new on disk, of the tenants that need it.
pub(crate) fn write_down(gateway: &Gateway) {
    let registry = gateway.registry.load();
    for tenant in registry.tenants().filter(|tenant| tenant.config.dialects.within_24_hours) {
        for sender in tenant.senders.values() {
            if let Err(error) = sender.visits.write_down(sender.list.ledger()) {
                warn!(tenant = %tenant.config.id, %error, "who wrote lately could not be put on disk; trying again");
            }
        }
    }
}
