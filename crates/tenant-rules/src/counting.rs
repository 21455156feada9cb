//! What a tenant's rules count, and where it is saved.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_host::ErrorChain;
use portcullis_ledger::{TenantId, TenantKeys};
use portcullis_meters::{Clock, Journal, JournalError, Meters, Saved};
use tracing::{debug, error, warn};

use crate::tenant_rules::{FAILED, new_node};

/// The counters of one tenant, and their journal.
pub(crate) struct Counting {
    pub(crate) meters: Arc<Meters>,
    pub(crate) keys: TenantKeys,
    /// `None` if what was saved can't be read: nothing is saved over it.
    journal: Mutex<Option<Journal>>,
}

/// The file of a tenant's counters in a folder.
pub(crate) fn file_of(dir: &Path, tenant: &TenantId) -> PathBuf {
    // A tenant may be called `.` or `..`.
    dir.join(format!("tenant-{tenant}.meters"))
}

impl Counting {
    /// Continues from what was saved. Blocks for a read of the file.
    /// What is counted takes at most `limit` bytes of memory.
    pub(crate) fn open(dir: &Path, tenant: &TenantId, keys: &TenantKeys, clock: Clock, limit: usize) -> Self {
        let file = file_of(dir, tenant);
        let (journal, saved) = match Journal::open(&file, keys.state_seal()) {
            Ok((journal, saved)) => (Some(journal), saved),
            Err(error) => {
                error!(%tenant, error = %ErrorChain(&error), "what the tenant's rules counted can't be read: they count from 0, and nothing is saved");
                (None, Saved::default())
            }
        };
        if saved.lost_bytes > 0 {
            warn!(%tenant, bytes = saved.lost_bytes, "the end of what the tenant's rules counted can't be read: it is left out");
        }
        let changes = saved.changes.iter().map(Vec::as_slice);
        let meters = Meters::restore(changes, new_node(), limit, clock.now()).unwrap_or_else(|error| {
            error!(%tenant, %error, "what the tenant's rules counted is damaged: they count from 0");
            Meters::new(new_node(), limit)
        });
        Counting { meters: Arc::new(meters), keys: keys.clone(), journal: Mutex::new(journal) }
    }

    /// Saves what changed since the last time; to the disk itself, if it is to be `durable` at once. Blocks.
    pub(crate) fn save(&self, tenant: &TenantId, clock: Clock, durable: bool) {
        let mut journal = self.journal.lock();
        let Some(journal) = journal.as_mut() else { return };
        let saved = journal.save(&self.meters, self.keys.state_seal(), clock.now());
        let saved = saved.and_then(|()| if durable { journal.sync() } else { Ok(()) });
        if let Err(error) = saved {
            not_saved(tenant, &error);
        }
    }
}

fn not_saved(tenant: &TenantId, error: &JournalError) {
    // Each second, for as long as the disk is full.
    if FAILED.admits() {
        warn!(%tenant, error = %ErrorChain(error), "what the tenant's rules count can't be saved; retrying");
    } else {
        debug!(%tenant, error = %ErrorChain(error), "what the tenant's rules count can't be saved; retrying");
    }
}
