//! Periodically saves who wrote to each sender in the last 24 hours.

use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use portcullis_edge::gateway::Gateway;

/// The time between two saves. A crash loses at most the visits of this period.
const PERIOD: Duration = Duration::from_secs(5);
/// The same for a gateway whose visits others ask for.
const PERIOD_OF_MANY: Duration = Duration::from_secs(1);

/// Saves new visits periodically. Never returns.
pub(crate) async fn run(gateway: Arc<Gateway>) {
    let period = if gateway.engine.is_shared() { PERIOD_OF_MANY } else { PERIOD };
    loop {
        tokio::time::sleep(period).await;
        let at_work = Arc::clone(&gateway);
        let _ = tokio::task::spawn_blocking(move || write_down(&at_work)).await;
    }
}

/// Saves new visits of the tenants with the 24-hour rule (`dialects.within_24_hours`).
pub(crate) fn write_down(gateway: &Gateway) {
    let registry = gateway.registry.load();
    for tenant in registry.tenants().filter(|tenant| tenant.config.dialects.within_24_hours) {
        for sender in tenant.senders.values() {
            if let Err(error) = sender.visits.write_down(&sender.list) {
                warn!(tenant = %tenant.config.id, %error, "can't save who wrote in the last 24 hours; retrying");
            }
        }
    }
}
