//! The entry point of the crate.

use std::collections::HashMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use portcullis_keys::{Fingerprint, MasterKey, Scope, TenantId, TenantKeys};
use portcullis_ledger_model::{
    Accepted, ChangedList, FeedPosition, Finding, ListId, ListState, Mark, Opening, Seq, ServerRun, Span,
    StorageUrl, Verified,
};

use crate::error::LedgerError;
use crate::list::{List, ListReader};
use crate::sqlite::{self, FileSource, FileTarget, Sqlite};
use crate::store::{Counts, ExpiredIn, Stats, Store, Uploads, copy};

/// The durable ledger of all tenants' entries. Cheap to clone.
///
/// The file is closed when the last clone, and the last [`List`] opened from one, is dropped.
#[derive(Clone)]
pub struct Ledger {
    pub(crate) store: Arc<dyn Store>,
    accepted: Accepted,
}

impl Ledger {
    /// Opens a ledger, or creates it (with mode 0600, in an existing directory). The same as
    /// [`open_as`](Self::open_as) with the default [`Opening`].
    ///
    /// # Errors
    /// Those of [`open_as`](Self::open_as).
    pub fn open(storage: &StorageUrl, master: MasterKey) -> Result<Self, LedgerError> {
        Self::open_as(storage, master, &Opening::default())
    }

    /// Opens a ledger, or creates it (with mode 0600, in an existing directory), as `opening` allows.
    ///
    /// While the ledger is open there are also files with the suffixes `-wal` and `-shm`. The files with the suffixes
    /// `.lock` and `.witness` remain. The latter says which ledger it is, and how far it was written: a ledger that lacks
    /// something is refused, before anything is changed.
    ///
    /// Opening after a crash recovers all acknowledged writes, which takes tens of milliseconds at most.
    ///
    /// # Errors
    /// [`LedgerError::InUse`], [`LedgerError::WrongMasterKey`], [`LedgerError::NewerSchema`],
    /// [`LedgerError::NotALedger`], [`LedgerError::Open`]; [`LedgerError::Lost`], [`LedgerError::Stale`],
    /// [`LedgerError::WithoutLog`], [`LedgerError::ForeignLog`], [`LedgerError::Another`] or [`LedgerError::WitnessDamaged`] if it is not, or may not
    /// be, the ledger that was there; [`LedgerError::Damaged`]; or an error of the storage.
    pub fn open_as(storage: &StorageUrl, master: MasterKey, opening: &Opening) -> Result<Self, LedgerError> {
        let path = file(storage)?;
        let store = Sqlite::open(path, &master, opening)?;
        let accepted = store.accepted().clone();
        Ok(Ledger { store: Arc::new(store), accepted })
    }

    /// A ledger in another store, which `accepted` says how it was opened.
    pub fn of_store(store: Arc<dyn Store>, accepted: Accepted) -> Self {
        Ledger { store, accepted }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// Lets another process open the ledger: from now on every write here is [`LedgerError::Closed`], and reads go on. Blocks until what
    /// is being committed is on disk. Dropping the ledger leaves its files to the other process.
    ///
    /// # Errors
    /// If the locks can't be given up.
    pub fn give_up(&self) -> Result<(), LedgerError> {
        self.store.give_up()
    }

    /// What was accepted of its files when it was opened: that it is new, or restored.
    pub fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Reads which lists there are in a ledger that is not open, and changes nothing. Leaves out tenants whose keys can't be
    /// decrypted.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify), and errors of the storage.
    pub fn survey(storage: &StorageUrl, master: &MasterKey) -> Result<Vec<ListState>, LedgerError> {
        let path = file(storage)?;
        sqlite::survey(path, master)
    }

    /// Checks a ledger that is not open, and changes nothing: its files, SQLite's structures, all sums, and that
    /// everything that is encrypted can be decrypted. Takes a few seconds per million entries.
    ///
    /// # Errors
    /// If the check can't be made: [`LedgerError::InUse`], [`LedgerError::Lost`], [`LedgerError::WrongMasterKey`],
    /// [`LedgerError::NewerSchema`], [`LedgerError::NotALedger`] or [`LedgerError::Open`].
    pub fn verify(storage: &StorageUrl, master: &MasterKey) -> Result<Verified, LedgerError> {
        let path = file(storage)?;
        sqlite::verify(path, master)
    }

    /// Checks the contents of a copy of this ledger, and changes nothing: SQLite's structures, all sums, and that everything
    /// that is encrypted can be decrypted. The copy must not be open anywhere. The ledger itself may be: only its witness is
    /// read, to tell how old the copy is.
    ///
    /// # Errors
    /// If the check can't be made: those of [`verify`](Self::verify), except [`LedgerError::InUse`];
    /// [`LedgerError::NotACopy`].
    pub fn verify_copy(
        storage: &StorageUrl,
        copy: &Path,
        master: &MasterKey,
    ) -> Result<Verified, LedgerError> {
        let path = file(storage)?;
        sqlite::verify_copy(copy, master, path)
    }

    /// Accepts the rows of a ledger that is not open as they are, although some are damaged: stores new sums and
    /// counters, and creates indexes again if nothing else of the file's structures is damaged. Call it if there is no
    /// backup, after [`verify`](Self::verify) said what is damaged. Returns what could not be accepted, because SQLite
    /// can't read it; everything else is accepted all the same.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify), or an error of the storage.
    pub fn accept_damage(storage: &StorageUrl, master: &MasterKey) -> Result<Vec<Finding>, LedgerError> {
        let path = file(storage)?;
        sqlite::accept(path, master)
    }

    /// A ledger in a file that is to be moved to another store. Reads all of it first, to find damage.
    ///
    /// # Errors
    /// Those of [`verify`](Self::verify); [`LedgerError::Damaged`] if it finds anything; [`LedgerError::Left`], [`LedgerError::Unfinished`];
    /// [`LedgerError::OlderSchema`].
    pub fn copy_from(storage: &StorageUrl, master: &MasterKey) -> Result<Box<dyn copy::Source>, LedgerError> {
        Ok(Box::new(FileSource::open(file(storage)?, master)?))
    }

    /// A file that a ledger is to be moved to, which will be created.
    ///
    /// # Errors
    /// [`LedgerError::NotEmpty`], [`LedgerError::InUse`] or [`LedgerError::Open`].
    pub fn copy_into(storage: &StorageUrl, master: &MasterKey) -> Result<Box<dyn copy::Target>, LedgerError> {
        Ok(Box::new(FileTarget::open(file(storage)?, master)?))
    }

    /// Takes back that a ledger in a file was moved: it can be opened again, as it was then.
    ///
    /// # Errors
    /// [`LedgerError::NotLeft`], and those of [`verify`](Self::verify).
    pub fn take_back(storage: &StorageUrl, master: &MasterKey) -> Result<(), LedgerError> {
        sqlite::take_back(file(storage)?, master)
    }

    /// What is wrong with the files of this open ledger: [`LedgerError::Replaced`], after which nothing is written any
    /// more; [`LedgerError::Full`] or [`LedgerError::Io`] if the last write failed for the disk; [`LedgerError::Witness`]; or
    /// [`LedgerError::WitnessReplaced`], for 10 seconds. The ledger and its log are looked at before each write is acknowledged, and
    /// everything each second. While writes fail, a small one is tried each second. Costs next to nothing.
    pub fn trouble(&self) -> Option<LedgerError> {
        self.store.trouble()
    }

    /// Where files of this open ledger that were removed or replaced can still be read, and where each belongs: under
    /// Linux, a process finds the files that it has open in `/proc`. Reads the folder of all open files.
    pub fn rescue(&self) -> Vec<(PathBuf, PathBuf)> {
        self.store.rescue()
    }

    /// Returns the tenant's keys. Creates them durably if the tenant is new; concurrent callers get the same keys.
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::Damaged`] if the stored secret can't be decrypted.
    pub fn ensure_tenant(&self, tenant: &TenantId) -> Result<TenantKeys, LedgerError> {
        Ok(self.store.ensure_tenant(tenant)?.1)
    }

    /// Finds out under which of the keys of its [`MasterKey`] the ledger is sealed, which others that share it may have exchanged, and
    /// uses that one from then on. Costs one lookup.
    ///
    /// # Errors
    /// [`LedgerError::AnotherMasterKey`] if it is under none of them; or an error of the storage.
    pub fn find_master_key(&self) -> Result<(), LedgerError> {
        self.store.find_master_key()
    }

    /// Seals the ledger under another key of its [`MasterKey`], in one transaction, while it is used: all tenants' secrets are
    /// encrypted anew. Takes some milliseconds per hundred tenants. When this returns, the key before opens nothing of the ledger any
    /// more, but what was copied of it earlier.
    ///
    /// # Errors
    /// [`LedgerError::KeyNotEverywhere`] if others that share the ledger don't have the key yet; [`LedgerError::AnotherMasterKey`];
    /// [`LedgerError::Damaged`] if a tenant's secret can't be decrypted; or an error of the storage, after which
    /// [`find_master_key`](Self::find_master_key) tells which key it is.
    pub fn rotate_master_key(&self, to: Fingerprint) -> Result<(), LedgerError> {
        self.store.rotate_master_key(to)
    }

    /// The names of all tenants, in order.
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::Damaged`] if a name is none.
    pub fn tenants(&self) -> Result<Vec<TenantId>, LedgerError> {
        self.store.tenants()
    }

    /// Deletes the tenant's secret, its lists with all entries, and its settings. Returns whether there were any.
    ///
    /// Without the secret, remaining copies of the tenant's data (in unused space of the file, in saved states) can't
    /// be read. The secret itself is overwritten in the file, and the write-ahead log is emptied. Backups of the file
    /// still contain the secret, encrypted under the master key. Blocks that the file system or the disk retains are
    /// beyond the ledger's control.
    ///
    /// Handles to the tenant's lists become unusable: they write nothing and find nothing.
    ///
    /// In a file, the rows are deleted in the background, some hundreds at a time, so that other writes don't wait long. If the ledger is
    /// closed before that is done, it goes on after the next opening. In a database, this returns when they are deleted, which takes
    /// some seconds per million entries, and keeps nobody else waiting.
    ///
    /// # Errors
    /// [`LedgerError::LogInUse`] if a long read kept the log from being emptied: the tenant is deleted, and another
    /// call empties the log. Otherwise an error of the storage.
    pub fn forget_tenant(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        self.store.forget_tenant(tenant)
    }

    /// Stores the settings of a tenant that was added at run time, replacing the previous ones. They are encrypted
    /// under a key of the tenant and opaque to the ledger.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn put_settings(&self, tenant: &TenantId, settings: &[u8]) -> Result<(), LedgerError> {
        self.store.put_settings(tenant, settings)
    }

    /// Returns all stored settings, ordered by tenant name.
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::Damaged`] if any settings can't be decrypted.
    pub fn settings(&self) -> Result<Vec<(TenantId, Vec<u8>)>, LedgerError> {
        self.store.settings()
    }

    /// Deletes the tenant's settings, but not its secret and lists. Returns whether there were any.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn remove_settings(&self, tenant: &TenantId) -> Result<bool, LedgerError> {
        self.store.remove_settings(tenant)
    }

    /// Stores the tenant's settings, or removes them if `after` is `None`, unless another process that shares the ledger has changed them
    /// since they were [read](Self::settings) as `before`; `None` means that there were none. Of several processes that change the same
    /// settings at the same time, so, one succeeds; those of other tenants don't matter. Costs three round trips to a database. A ledger that
    /// is not shared does not compare.
    ///
    /// # Errors
    /// [`LedgerError::SettingsChanged`] if they are others by now; [`LedgerError::TenantForgotten`] if the tenant that had them was
    /// forgotten; or an error of the storage.
    pub fn replace_settings(
        &self,
        tenant: &TenantId,
        before: Option<&[u8]>,
        after: Option<&[u8]>,
    ) -> Result<(), LedgerError> {
        self.store.replace_settings(tenant, before, after)
    }

    /// Returns a number that is another one after any process changed settings of a shared ledger. Costs one lookup.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn settings_version(&self) -> Result<u64, LedgerError> {
        self.store.settings_version()
    }

    /// Creates those of these tenants and lists that do not exist, in one commit. To be called before many lists are
    /// [opened](Self::list), each of which would be a commit.
    ///
    /// # Errors
    /// An error of the storage. Some may have been created then.
    pub fn ensure_lists(&self, wanted: &[(TenantId, Vec<Scope>)]) -> Result<(), LedgerError> {
        self.store.ensure_lists(wanted)
    }

    /// Opens one of the tenant's lists. Creates the list and the tenant's keys if they don't exist.
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::TenantForgotten`] if the tenant is being forgotten concurrently.
    pub fn list(&self, tenant: &TenantId, scope: Scope) -> Result<List, LedgerError> {
        let (row, keys) = self.store.ensure_tenant(tenant)?;
        let list = self.store.open_list(row, &scope)?;
        Ok(List::new(Arc::clone(&self.store), keys, list, tenant.clone(), scope))
    }

    /// Returns the tenant's lists that were ever opened: the tenant-wide one first, then by sender name.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn lists(&self, tenant: &TenantId) -> Result<Vec<Scope>, LedgerError> {
        self.store.lists(tenant)
    }

    /// Returns which of these lists, of any tenants, a shared ledger does not have any more: another process has forgotten their tenants,
    /// or the ledger has lost them. Costs one query, with a lookup per list. Returns nothing if the ledger is not shared.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn gone(&self, lists: &[ListId]) -> Result<Vec<ListId>, LedgerError> {
        self.store.gone(lists)
    }

    /// Returns the number of active entries of each list of all tenants, for metrics. Costs one query, which reads a row per list.
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::Damaged`] if a number is none.
    pub fn counts(&self) -> Result<HashMap<ListId, u64>, LedgerError> {
        self.store.counts()
    }

    /// Lifts the holds of all lists that expire at `now` or before, in one transaction. Returns the number of entries
    /// per list. Like any change, each takes a sequence number. The holds' [`lifted_by`](crate::Hold::lifted_by) is
    /// [`Actor::expiry`](crate::Actor::expiry).
    ///
    /// If what is stored of a list keeps its holds from ending, no hold is lifted, and the list is
    /// [damaged](crate::ListReader::is_damaged) and left out of later calls: call again.
    ///
    /// Lifts at most 500 holds, the longest overdue first, so that other writes don't wait long. Repeat while
    /// [`next_expiry`](Self::next_expiry) is not after `now`. In a shared ledger, a hold is lifted only if it has also expired by the
    /// database's clock: use [`now`](Self::now).
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::Damaged`], once for each list whose holds can't end.
    pub fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError> {
        self.store.expire_due(now)
    }

    /// Returns when the next hold expires. Costs two lookups.
    ///
    /// # Errors
    /// Those of [`expire_due`](Self::expire_due), after which the list is left out, too.
    pub fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError> {
        self.store.next_expiry()
    }

    /// Whether other processes write to this ledger.
    pub fn is_shared(&self) -> bool {
        self.store.is_shared()
    }

    /// Whether processes of the version before may use this ledger, too: nothing may be stored that those can't read. Costs one query.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn is_upgrading(&self) -> Result<bool, LedgerError> {
        self.store.is_upgrading()
    }

    /// The time by the clock that all processes that write to this ledger share, in whole milliseconds: the database's, or this
    /// machine's if the ledger is a file. Waits for nothing: the database's clock is read whenever a connection is opened, and by
    /// [`changed_lists`](Self::changed_lists). Goes back only if that clock was set back.
    pub fn now(&self) -> Timestamp {
        self.store.now()
    }

    /// Returns the lists of a shared ledger that changed since `position`, by any process, and moves the position. From the
    /// default position, these are all lists. Misses no commit, even while others are under way. Costs one query.
    ///
    /// A position is valid on the connection on which it was reached, for 12 hours. From any other, such as after the connection was
    /// lost, or that of another process, the call begins anew: it returns all lists, and sets [`FeedPosition::restarted`]. The
    /// database may then have another history: see [`lineage`](Self::lineage).
    ///
    /// # Errors
    /// An error of the storage. The position stays where it was.
    pub fn changed_lists(&self, position: &mut FeedPosition) -> Result<Vec<ChangedList>, LedgerError> {
        self.store.changed_lists(position)
    }

    /// Returns what changed in each of these lists of a shared ledger after a sequence number, up to `limit` changes of each: in any order,
    /// and perhaps not for all, in which case [`ListReader::changes_since`](crate::ListReader::changes_since) tells. Costs one query.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn spans_since<'a>(
        &self,
        lists: impl IntoIterator<Item = (&'a ListReader, Seq)>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(ListId, Span)>, LedgerError> {
        let lists: Vec<_> = lists.into_iter().map(|(list, since)| (list.row(), since)).collect();
        self.store.spans_since(&lists, limit)
    }

    /// A number that changes when a shared ledger comes to another database server, or to the same one after a restart: commits may
    /// have been lost, so ask [`forked`](Self::forked) before you apply further changes of a list. Reads that belong together, such as
    /// the pages that a plugin is filled from, are of one history if the number after the last is the one before the first.
    /// Costs nothing. Always 0 if the ledger is not shared.
    pub fn lineage(&self) -> u64 {
        self.store.lineage()
    }

    /// Which run of which database server a shared ledger is read from and written to now. All processes that are connected to it know
    /// the same number, so that a position in a list is comparable with those of others. Costs nothing. Always 0 if the ledger
    /// is not shared, unless it was restored from a backup.
    pub fn server(&self) -> ServerRun {
        self.store.server()
    }

    /// Returns which of these lists have a history without the given position, in the order of their ids: commits were lost, as
    /// at a failover to a standby that did not have them yet, so that what was read of these lists must be read again from the start.
    /// A position is a [`Changes::sequence`](crate::Changes::sequence) and its [`mark`](crate::Changes::mark).
    ///
    /// A shared ledger knows the positions that were a list's latest at any time of the last 24 hours. An older one counts as lost,
    /// because nothing tells whether it was: reading a list again costs less than blocking the wrong people. A list that does not exist
    /// is lost. The beginning of a list that exists never is.
    ///
    /// Costs one query, with a lookup per position. Returns nothing if the ledger is not shared.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn forked(&self, positions: &[(ListId, Seq, Mark)]) -> Result<Vec<ListId>, LedgerError> {
        self.store.forked(positions)
    }

    /// Takes the lease `name` for this process, or renews it. Returns whether this process has it now; `false` if another one has.
    /// Of the processes that share the ledger, one at a time has a lease. In a ledger that is not shared, the caller has all leases.
    ///
    /// The lease ends, by the database's clock, at the earliest `lasting` after this call began: stop what it protects by then, measured
    /// with [`Instant`](std::time::Instant) from before the call. It is bound to this open ledger, and not to the name of the
    /// node: a process that restarts waits for its own earlier lease to end. Costs a commit.
    ///
    /// A failover that loses commits may lose a lease, too: two processes may then believe that they have it, until it ends.
    ///
    /// # Errors
    /// An error of the storage. This process may have the lease all the same: act as if it had not.
    pub fn lease(&self, name: &str, lasting: Duration) -> Result<bool, LedgerError> {
        self.store.lease(name, lasting)
    }

    /// Gives up the lease `name`, so that another process can take it at once. Does nothing if this process does not have it. Costs a
    /// commit.
    ///
    /// # Errors
    /// An error of the storage. The lease then ends when it would have.
    pub fn release_lease(&self, name: &str) -> Result<(), LedgerError> {
        self.store.release_lease(name)
    }

    /// Deletes some thousand changes that a shared ledger remembered, for a day, so that others find them, and that it noticed lost ones.
    /// Returns whether there may be more: call it again then, and otherwise each minute. One process at a time does it, and calls of
    /// others do nothing. Costs two commits.
    ///
    /// # Errors
    /// An error of the storage. Call it again later.
    pub fn trim(&self) -> Result<bool, LedgerError> {
        self.store.trim()
    }

    /// The components of plugins that all who share the ledger can have; `None` if it is not shared.
    pub fn uploads(&self) -> Option<Arc<dyn Uploads>> {
        Arc::clone(&self.store).uploads()
    }

    /// What those who share the ledger have counted for rules; `None` if it is not shared.
    pub fn counts_of_all(&self) -> Option<Arc<dyn Counts>> {
        Arc::clone(&self.store).counts_of_all()
    }

    /// Returns counters since the ledger was opened.
    pub fn stats(&self) -> Stats {
        self.store.stats()
    }
}

/// The file of a ledger in SQLite.
fn file(storage: &StorageUrl) -> Result<&Path, LedgerError> {
    match storage {
        StorageUrl::Sqlite(path) => Ok(path),
        _ => Err(LedgerError::NotAFile),
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
