//! Entries that end by themselves.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger::LedgerError;
use tracing::{debug, error};

use crate::directory::Directory;

/// The clock may be set meanwhile: so no wait is longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After the ledger failed.
const RETRY_WAIT: Duration = Duration::from_secs(5);

/// Ends entries when they are due, for ever.
pub(crate) async fn run(directory: Arc<Directory>) {
    loop {
        // Created before the look at the ledger, so that an entry written after that look wakes the wait.
        let earlier = directory.context.expiry.notified();
        let at_work = Arc::clone(&directory);
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

/// Ends all entries that are due, and returns how long nothing else will be.
fn expire_due(directory: &Directory) -> Result<Duration, LedgerError> {
    let ledger = &directory.context.ledger;
    loop {
        let Some(next) = ledger.next_expiry()? else { return Ok(LONGEST_WAIT) };
        let now = Timestamp::now();
        if next > now {
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or(LONGEST_WAIT);
            return Ok(wait.min(LONGEST_WAIT));
        }
        for ended in ledger.expire_due(now)? {
            let Some(tenant) = directory.tenant(&ended.tenant) else { continue };
            let Some(members) = tenant.members.load_full() else { continue };
            let list = members.list(&ended.scope);
            tenant.changed(list);
            if let Some(list) = list {
                debug!(tenant = %ended.tenant, list = list.name(), entries = ended.count, "entries ended");
            }
        }
    }
}
