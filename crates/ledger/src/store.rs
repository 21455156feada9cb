//! The interface between the ledger and its storage.
//!
//! A store blocks the calling thread. A read sees a consistent snapshot with all writes acknowledged before it began. A
//! write is atomic, and durable when it returns. The effect of a write on entries is defined in `apply`, which every
//! store uses. `tests/contract` tests every store.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use jiff::Timestamp;
use portcullis_keys::{Scope, Seal, TenantId, TenantKeys, UserId};
use portcullis_msisdn::{Directions, Person, ReservedId, Subject};

use crate::changes::{Census, Changes, Seq};
use crate::entry::{Entry, Filter, Page, Paging};
use crate::error::LedgerError;
use crate::link::{Link, Linked};
use crate::record::{Record, Trail};
use crate::write::{Write, Written};

/// The maximum number of holds lifted by one call of [`Expiry::expire_due`], so that other writes don't wait long.
pub(crate) const MAX_EXPIRED_AT_ONCE: usize = 10_000;

/// A storage backend.
pub(crate) trait Store:
    Tenants + Lists + Entries + Feed + Persons + Records + Visits + Expiry
{
    fn stats(&self) -> Stats;

    /// What is wrong with the files of the open ledger.
    fn trouble(&self) -> Option<LedgerError>;

    /// Where files that were lost are to be copied from, and to.
    fn rescue(&self) -> Vec<(PathBuf, PathBuf)>;
}

/// A tenant's row id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TenantRow(pub(crate) i64);

/// A list's row id. Never reused, even after the tenant is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListRow {
    pub(crate) id: i64,
    pub(crate) tenant: TenantRow,
}

/// Counters since the ledger was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Write calls.
    pub jobs: u64,
    /// Commits. Each is one flush of the disk; under load many calls share one.
    pub commits: u64,
}

/// Expired entries of one list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredIn {
    /// The tenant that owns the list.
    pub tenant: TenantId,
    /// The list.
    pub scope: Scope,
    /// The number of entries; at least one.
    pub count: usize,
}

/// Tenants: their secrets and settings.
pub(crate) trait Tenants: Send + Sync {
    /// Returns the tenant, created with a new secret if it does not exist. Concurrent callers get the same.
    fn ensure_tenant(&self, tenant: &TenantId) -> Result<(TenantRow, TenantKeys), LedgerError>;

    /// The names of all tenants, in order.
    fn tenants(&self) -> Result<Vec<TenantId>, LedgerError>;

    /// Deletes all rows of the tenant and makes its secret unrecoverable. Returns whether the tenant existed.
    fn forget_tenant(&self, tenant: &TenantId) -> Result<bool, LedgerError>;

    fn put_settings(&self, tenant: &TenantId, settings: &[u8]) -> Result<(), LedgerError>;

    /// Ordered by tenant name.
    fn settings(&self) -> Result<Vec<(TenantId, Vec<u8>)>, LedgerError>;

    /// Returns whether there were any.
    fn remove_settings(&self, tenant: &TenantId) -> Result<bool, LedgerError>;
}

/// Lists, and their per-list state.
pub(crate) trait Lists: Send + Sync {
    /// Returns the list, created if it does not exist.
    fn open_list(&self, tenant: TenantRow, scope: &Scope) -> Result<ListRow, LedgerError>;

    /// The tenant-wide list first, then by sender name.
    fn lists(&self, tenant: &TenantId) -> Result<Vec<Scope>, LedgerError>;

    fn census(&self, list: ListRow) -> Result<Census, LedgerError>;

    fn kept_state(&self, list: ListRow) -> Result<Option<[u8; 16]>, LedgerError>;

    /// `sequence` is that of the state.
    fn keep_state(&self, list: ListRow, id: [u8; 16], sequence: Seq) -> Result<(), LedgerError>;

    fn event_cursor(&self, list: ListRow) -> Result<Option<Seq>, LedgerError>;

    fn set_event_cursor(&self, list: ListRow, cursor: Seq) -> Result<(), LedgerError>;
}

/// Entries with all their fields.
pub(crate) trait Entries: Send + Sync {
    /// Applies the writes in order. Rejects a block that would raise the number of active entries above `max_active`.
    fn write(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: Vec<Write>,
        max_active: u64,
    ) -> Result<Vec<Written>, LedgerError>;

    /// In the order of `subjects`.
    fn get_many(
        &self,
        list: ListRow,
        seal: &Seal,
        subjects: &[Subject],
    ) -> Result<Vec<Option<Entry>>, LedgerError>;

    /// In the order of the entries' subjects.
    fn page(
        &self,
        list: ListRow,
        seal: &Seal,
        from: Paging,
        limit: NonZeroUsize,
        filter: Filter,
    ) -> Result<Page, LedgerError>;

    /// Like [`page`](Self::page), without reading the entries.
    fn subjects(
        &self,
        list: ListRow,
        from: Paging,
        limit: NonZeroUsize,
        filter: Filter,
    ) -> Result<Page<Subject>, LedgerError>;
}

/// Blocked directions without any text, for plugins.
pub(crate) trait Feed: Send + Sync {
    /// In the order of `subjects`; none for a subject without an active entry. Fails with [`LedgerError::Damaged`] if
    /// entries near these are not as they were written.
    fn directions(&self, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError>;

    /// Active entries in the order of their subjects. Returns fewer than `limit` only at the end. Fails with
    /// [`LedgerError::Damaged`] if entries among these, or near them, are not as they were written.
    fn members(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError>;

    /// Like [`directions`](Self::directions), without looking for damage.
    fn sample_directions(&self, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError>;

    /// Like [`members`](Self::members), without looking for damage.
    fn sample(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError>;

    /// Checks that the entries that changed after `since`, the sequence number of the kept state, are as they were
    /// written.
    fn check_changes(&self, list: ListRow, since: Seq) -> Result<(), LedgerError>;

    /// Whether the list was found to be damaged since the store was opened.
    fn is_damaged(&self, list: ListRow) -> bool;

    /// Entries in the order of their latest changes.
    fn changes_since(&self, list: ListRow, since: Seq, limit: NonZeroUsize) -> Result<Changes, LedgerError>;
}

/// Persons and their ids.
pub(crate) trait Persons: Send + Sync {
    /// Checks that the tenant's identities are as they were written. If not, they are no longer looked up.
    fn check_people(&self, tenant: TenantRow) -> Result<(), LedgerError>;

    /// Whether the identities were found to be damaged since the store was opened.
    fn are_people_damaged(&self, tenant: TenantRow) -> bool;

    /// `None` if the user id was never used.
    fn person_of_user(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<Option<Person>, LedgerError>;

    /// Like [`person_of_user`](Self::person_of_user), but registers a new user id.
    fn ensure_person_of_user(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<Person, LedgerError>;

    fn person_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        subject: Subject,
    ) -> Result<Person, LedgerError>;

    fn link(&self, tenant: TenantRow, keys: &TenantKeys, link: Link) -> Result<Linked, LedgerError>;

    /// The subjects of the ids whose entries are now under one of these subjects.
    fn ids_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        person: &[Subject],
    ) -> Result<Vec<Subject>, LedgerError>;

    /// The user id that a reserved id was assigned to.
    fn user_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        id: ReservedId,
    ) -> Result<Option<UserId>, LedgerError>;
}

/// The audit trail. Records that share a sequence number are not split.
pub(crate) trait Records: Send + Sync {
    /// The latest first, with sequence numbers below `before`.
    fn trail(
        &self,
        list: ListRow,
        seal: &Seal,
        before: Seq,
        limit: NonZeroUsize,
    ) -> Result<Trail, LedgerError>;

    /// The oldest first.
    fn records_after(
        &self,
        list: ListRow,
        seal: &Seal,
        after: Seq,
        limit: NonZeroUsize,
    ) -> Result<Vec<Record>, LedgerError>;

    /// The records of one subject, the latest first.
    fn history(
        &self,
        list: ListRow,
        seal: &Seal,
        subject: Subject,
        before: Option<Seq>,
        limit: NonZeroUsize,
    ) -> Result<Trail, LedgerError>;
}

/// When people last wrote to a list's owner.
pub(crate) trait Visits: Send + Sync {
    /// Ordered by subject.
    fn visits(&self, list: ListRow, since: Timestamp) -> Result<Vec<(Subject, Timestamp)>, LedgerError>;

    fn keep_visits(
        &self,
        list: ListRow,
        visits: &[(Subject, Timestamp)],
        forget_before: Timestamp,
    ) -> Result<(), LedgerError>;
}

/// Expiry of holds.
pub(crate) trait Expiry: Send + Sync {
    /// Lifts holds that expire at `now` or before, the longest overdue first, up to [`MAX_EXPIRED_AT_ONCE`].
    fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError>;

    /// When the next hold expires.
    fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError>;
}
