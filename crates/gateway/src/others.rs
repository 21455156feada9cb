//! Follows the changes of tenants that other gateways make, which share the ledger.

use std::sync::Arc;
use std::time::Duration;

use portcullis_edge::gateway::Gateway;
use portcullis_host::ErrorChain;
use tracing::debug;

/// How often the ledger is asked. So long may another gateway not know a tenant that was added here.
const PERIOD: Duration = Duration::from_secs(1);

/// Follows periodically. Never returns.
pub(crate) async fn follow(gateway: Arc<Gateway>) {
    loop {
        tokio::time::sleep(PERIOD).await;
        let at_work = Arc::clone(&gateway);
        let followed = tokio::task::spawn_blocking(move || at_work.follow_others()).await;
        if let Ok(Err(error)) = followed {
            // That the ledger can't be reached is reported elsewhere.
            debug!(
                error = ErrorChain(&error).to_string(),
                "can't read what other gateways changed of tenants; retrying"
            );
        }
    }
}
