//! Entries that end by themselves.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger::{LedgerError, Scope};
use tracing::{debug, error};

use crate::gateway::Gateway;

/// The clock may be set meanwhile: so no wait is longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After the ledger failed.
const RETRY_WAIT: Duration = Duration::from_secs(5);

/// Ends entries when they are due, for ever.
pub(crate) async fn run(gateway: Arc<Gateway>) {
    loop {
        // Asked for before the look at the ledger, so that an entry written after that look wakes the wait.
        let earlier = gateway.expiry.notified();
        let at_work = Arc::clone(&gateway);
        let wait = match tokio::task::spawn_blocking(move || expire_due(&at_work)).await {
            Ok(Ok(wait)) => wait,
            Ok(Err(error)) => {
                error!(error = %error, "entries that are due could not be ended; trying again");
                RETRY_WAIT
            }
            Err(_) => RETRY_WAIT,
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = earlier => {}
        }
    }
}

/// Ends all entries that are due, and says how long nothing else will be.
fn expire_due(gateway: &Gateway) -> Result<Duration, LedgerError> {
    loop {
        let Some(next) = gateway.equipment.ledger.next_expiry()? else { return Ok(LONGEST_WAIT) };
        let now = Timestamp::now();
        if next > now {
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or_default();
            return Ok(wait.min(LONGEST_WAIT));
        }
        let registry = gateway.registry.load();
        for ended in gateway.equipment.ledger.expire_due(now)? {
            let tenant = registry.tenant(ended.tenant.as_str());
            let gate = tenant.and_then(|tenant| match &ended.scope {
                Scope::Tenant => Some(&tenant.wide),
                Scope::Sender(sender) => tenant.senders.get(sender.as_str()),
            });
            if let Some(gate) = gate {
                gate.catch_up();
                debug!(tenant = %ended.tenant, list = gate.name(), entries = ended.count, "entries ended");
            }
        }
    }
}
