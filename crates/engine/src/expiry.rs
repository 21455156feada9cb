//! Entries that expire.

use std::sync::Arc;
use std::time::Duration;

use portcullis_ledger::LedgerError;
use tracing::{debug, error};

use crate::directory::Directory;

/// The longest sleep. The wall clock may be set meanwhile: an entry expires at most this late after a jump forward.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest sleep if others write to the ledger: the one that wrote an entry may be gone when it expires.
const LONGEST_WAIT_OF_MANY: Duration = Duration::from_secs(5);
/// The sleep after an error of the ledger.
const RETRY_WAIT: Duration = Duration::from_secs(5);

/// Expires entries when they are due, until it is aborted or the engine is closed.
pub(crate) async fn run(directory: Arc<Directory>) {
    loop {
        // Created before the ledger is read, so that an entry which is written after that ends the sleep.
        let earlier = directory.context.expiry.notified();
        let background = Arc::clone(&directory);
        let wait = match tokio::task::spawn_blocking(move || expire_due(&background)).await {
            Ok(Ok(Some(wait))) => wait,
            Ok(Ok(None)) => return,
            Ok(Err(error)) => {
                error!(
                    error = portcullis_host::ErrorChain(&error).to_string(),
                    "entries that are due can't be expired now; trying again"
                );
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

/// Expires all entries that are due. Returns how long to sleep, or `None` if the engine is closed.
fn expire_due(directory: &Directory) -> Result<Option<Duration>, LedgerError> {
    let ledger = &directory.context.ledger;
    let longest = if ledger.is_shared() { LONGEST_WAIT_OF_MANY } else { LONGEST_WAIT };
    loop {
        let Ok(_operation) = directory.context.lifecycle.begin() else { return Ok(None) };
        let Some(next) = ledger.next_expiry()? else { return Ok(Some(longest)) };
        let now = ledger.now();
        if next > now {
            let wait = Duration::try_from(next.duration_since(now)).unwrap_or(longest);
            return Ok(Some(wait.min(longest)));
        }
        for expired in ledger.expire_due(now)? {
            // Looked up after the commit. A list that is put later is brought up to date by that.
            let Some(tenant) = directory.tenant(&expired.tenant) else { continue };
            let Some(members) = tenant.members.load_full() else { continue };
            let Some(list) = members.list(&expired.scope) else { continue };
            list.follow_in_turn(tenant.announcer());
            debug!(tenant = %expired.tenant, list = list.name(), entries = expired.count, "entries expired");
        }
    }
}
