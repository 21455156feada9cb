//! The ledger as a whole.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::error::LedgerError;
use crate::keys::{MasterKey, TenantKeys};
use crate::list::List;
use crate::name::TenantId;
use crate::scope::Scope;
use crate::sqlite::Sqlite;
use crate::storage_url::StorageUrl;
use crate::store::{ExpiredIn, Stats, Store};

/// The durable record of all tenants' entries. Cheap to clone.
///
/// The file is closed when the last clone, and the last [`List`] opened from one, is dropped.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
}

impl Ledger {
    /// Opens a ledger, or makes one where there is no file (with mode 0600, in a folder that must
    /// exist). Besides the file there are `-wal` and `-shm` while it is open, and `.lock`, which
    /// stays.
    ///
    /// After a crash this also recovers what was acknowledged; it costs tens of milliseconds at
    /// most.
    ///
    /// # Errors
    /// [`LedgerError::InUse`] where it is open already, [`LedgerError::WrongMasterKey`],
    /// [`LedgerError::NewerSchema`], [`LedgerError::NotALedger`], [`LedgerError::Open`], and what
    /// the disk may report.
    pub fn open(storage: &StorageUrl, master: MasterKey) -> Result<Self, LedgerError> {
        let StorageUrl::Sqlite(path) = storage;
        Ok(Ledger { store: Arc::new(Sqlite::open(path, master.seal())?) })
    }

    /// The tenant's keys. At first sight of a tenant they are made, durably; whoever else asks at
    /// the same time gets the same.
    ///
    /// # Errors
    /// What the disk may report; [`LedgerError::Damaged`] where the stored secret does not open.
    pub fn ensure_tenant(&self, tenant: &TenantId) -> Result<TenantKeys, LedgerError> {
        Ok(self.store.ensure_tenant(tenant)?.1)
    }

    /// Deletes the tenant's secret, its lists with all entries, and its settings. Whether there was
    /// anything.
    ///
    /// With the secret gone, whatever else may remain of the tenant (in unused space of the file, in
    /// saved states) can't be read by anybody. The secret itself is overwritten in the file, and the
    /// log emptied; copies of the file made earlier still hold it, sealed under the master key, and
    /// what a file system or a disk keeps of overwritten blocks is beyond reach.
    ///
    /// Handles to the tenant's lists go dead: they write nothing and find nothing.
    ///
    /// Takes a few seconds for a million entries, during which nothing else is written.
    ///
    /// # Errors
    /// [`LedgerError::LogInUse`] where a long read kept the log from being emptied: the tenant is
    /// gone, and asking again empties it. And what the disk may report.
    pub fn forget_tenant(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        self.store.forget_tenant(tenant)
    }

    /// Keeps the settings of a tenant that was added at run time, in place of those there were. They
    /// are sealed under a key of the tenant, and mean nothing to the ledger.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn put_settings(&self, tenant: &TenantId, settings: &[u8]) -> Result<(), LedgerError> {
        self.store.put_settings(tenant, settings)
    }

    /// All settings that are kept, by the tenants' names.
    ///
    /// # Errors
    /// What the disk may report; [`LedgerError::Damaged`] where any of them does not open.
    pub fn settings(&self) -> Result<Vec<(TenantId, Vec<u8>)>, LedgerError> {
        self.store.settings()
    }

    /// Removes the tenant's settings. Whether there were any. Its secret and lists stay.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn remove_settings(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        self.store.remove_settings(tenant)
    }

    /// One of the tenant's lists. The list, and the tenant's keys, are made where there are none.
    ///
    /// # Errors
    /// What the disk may report. [`LedgerError::TenantForgotten`] where the tenant is being forgotten
    /// at this moment.
    pub fn list(&self, tenant: &TenantId, scope: Scope) -> Result<List, LedgerError> {
        let (row, keys) = self.store.ensure_tenant(tenant)?;
        let list = self.store.open_list(row, &scope)?;
        Ok(List::new(Arc::clone(&self.store), keys, list, tenant.clone(), scope))
    }

    /// The tenant's lists that were ever opened: the tenant-wide one first, then by the senders'
    /// names.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn lists(&self, tenant: &TenantId) -> Result<Vec<Scope>, LedgerError> {
        self.store.lists(tenant)
    }

    /// Lifts holds that end at `now` or before, of all lists, in one transaction, and says in which
    /// lists of how many entries. Each entry takes a sequence number like with any other change; its hold's
    /// [`lifted_by`](crate::Hold::lifted_by) is [`Actor::expiry`](crate::Actor::expiry).
    ///
    /// At most 10,000 at once, those first that are due longest, so that other writes don't wait
    /// long. Call again while [`next_expiry`](Self::next_expiry) is not after `now`.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError> {
        self.store.expire_due(now)
    }

    /// When the next entry ends. Costs one look-up.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.store.next_expiry()
    }

    /// What was done since the ledger was opened.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
