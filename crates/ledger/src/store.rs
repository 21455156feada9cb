//! What a ledger's storage must do: everything that [`Ledger`](crate::Ledger) and [`List`](crate::List) ask of it, and nothing about
//! how.
//!
//! A store blocks the thread that calls it. A read sees every write that was acknowledged before it began, and one state of the
//! rows. A write is durable when it returns, and happens as a whole or not at all. What a write does to an entry stands in
//! `apply`, which every store uses. `tests/contract` holds each store to this.

use std::num::NonZeroUsize;

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Person, ReservedId, Subject};

use crate::changes::{Census, Changes, Seq};
use crate::entry::{Entry, Filter, Page, Paging};
use crate::error::LedgerError;
use crate::identity::UserId;
use crate::keys::{Seal, TenantKeys};
use crate::name::TenantId;
use crate::record::{Record, Trail};
use crate::scope::Scope;
use crate::tie::{Tie, Tied};
use crate::write::{Write, Written};

/// The most holds that one call of [`Expiry::expire_due`] lifts, so that other writes don't wait long.
pub(crate) const MAX_EXPIRED_AT_ONCE: usize = 10_000;

/// A storage of ledgers.
pub(crate) trait Store:
    Tenants + Lists + Entries + Feed + Persons + Records + Visits + Expiry
{
    fn stats(&self) -> Stats;
}

/// How a store knows a tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TenantRow(pub(crate) i64);

/// How a store knows a list. Never that of another list, also after the tenant is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListRow {
    pub(crate) id: i64,
    pub(crate) tenant: TenantRow,
}

/// What a ledger did since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Calls that write.
    pub jobs: u64,
    /// Commits, each one flush of the disk. Under load, many calls share one.
    pub commits: u64,
}

/// Entries of one list that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiredIn {
    /// Whose list.
    pub tenant: TenantId,
    /// Which one.
    pub scope: Scope,
    /// How many entries: at least one.
    pub count: usize,
}

/// Tenants: their secrets and settings.
pub(crate) trait Tenants: Send + Sync {
    /// The tenant, made with a new secret where there is none. Callers that ask at the same time get the same.
    fn ensure_tenant(&self, tenant: &TenantId) -> Result<(TenantRow, TenantKeys), LedgerError>;

    /// Deletes all rows of the tenant, and makes its secret unreadable. Whether there was anything.
    fn forget_tenant(&self, tenant: &TenantId) -> Result<bool, LedgerError>;

    fn put_settings(&self, tenant: &TenantId, settings: &[u8]) -> Result<(), LedgerError>;

    /// By the tenants' names.
    fn settings(&self) -> Result<Vec<(TenantId, Vec<u8>)>, LedgerError>;

    /// Whether there were any.
    fn remove_settings(&self, tenant: &TenantId) -> Result<bool, LedgerError>;
}

/// Lists, and what is kept of a list as a whole.
pub(crate) trait Lists: Send + Sync {
    /// The tenant's list of this scope, made where there is none.
    fn open_list(&self, tenant: TenantRow, scope: &Scope) -> Result<ListRow, LedgerError>;

    /// The tenant's lists: the tenant-wide one first, then by the senders' names.
    fn lists(&self, tenant: &TenantId) -> Result<Vec<Scope>, LedgerError>;

    fn census(&self, list: ListRow) -> Result<Census, LedgerError>;

    fn kept_state(&self, list: ListRow) -> Result<Option<[u8; 16]>, LedgerError>;

    fn keep_state(&self, list: ListRow, id: [u8; 16]) -> Result<(), LedgerError>;

    fn told(&self, list: ListRow) -> Result<Option<Seq>, LedgerError>;

    fn set_told(&self, list: ListRow, told: Seq) -> Result<(), LedgerError>;
}

/// Entries with all that is known of them.
pub(crate) trait Entries: Send + Sync {
    /// Makes the writes in their order. A block that would make more than `most` entries active does nothing.
    fn write(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: Vec<Write>,
        most: u64,
    ) -> Result<Vec<Written>, LedgerError>;

    /// In the order of the subjects.
    fn get_many(
        &self,
        list: ListRow,
        seal: &Seal,
        subjects: &[Subject],
    ) -> Result<Vec<Option<Entry>>, LedgerError>;

    /// In the order of their subjects.
    fn page(
        &self,
        list: ListRow,
        seal: &Seal,
        from: Paging,
        limit: NonZeroUsize,
        filter: Filter,
    ) -> Result<Page, LedgerError>;

    /// As [`page`](Self::page), without reading the entries.
    fn subjects(
        &self,
        list: ListRow,
        from: Paging,
        limit: NonZeroUsize,
        filter: Filter,
    ) -> Result<Page<Subject>, LedgerError>;
}

/// What is blocked, without any text: what plugins are filled with, and follow.
pub(crate) trait Feed: Send + Sync {
    /// In the order of the subjects; none for one without an active entry.
    fn directions(&self, list: ListRow, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError>;

    /// Active entries in the order of their subjects. Fewer than `limit` only at the end.
    fn members(
        &self,
        list: ListRow,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError>;

    /// Entries in the order of their last changes.
    fn changes_since(&self, list: ListRow, since: Seq, limit: NonZeroUsize) -> Result<Changes, LedgerError>;
}

/// Persons: who is known by which ids.
pub(crate) trait Persons: Send + Sync {
    /// `None` where nobody ever named this user.
    fn person_of_user(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<Option<Person>, LedgerError>;

    /// As [`person_of_user`](Self::person_of_user), but a user that nobody named yet is kept.
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

    fn tie(&self, tenant: TenantRow, keys: &TenantKeys, tie: Tie) -> Result<Tied, LedgerError>;

    /// The subjects of the ids whose entries stand under one of these now.
    fn ids_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        person: &[Subject],
    ) -> Result<Vec<Subject>, LedgerError>;

    /// Whom an id was given to.
    fn user_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        id: ReservedId,
    ) -> Result<Option<UserId>, LedgerError>;
}

/// The trail: what was done. Records that share a sequence number are never parted.
pub(crate) trait Records: Send + Sync {
    /// The newest first, from below `before`.
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

    /// Those of one subject, the newest first.
    fn history(
        &self,
        list: ListRow,
        seal: &Seal,
        subject: Subject,
        before: Option<Seq>,
        limit: NonZeroUsize,
    ) -> Result<Trail, LedgerError>;
}

/// Who wrote to a list's owner lately.
pub(crate) trait Visits: Send + Sync {
    /// By subject.
    fn visits(&self, list: ListRow, since: Timestamp) -> Result<Vec<(Subject, Timestamp)>, LedgerError>;

    fn keep_visits(
        &self,
        list: ListRow,
        visits: &[(Subject, Timestamp)],
        forget_before: Timestamp,
    ) -> Result<(), LedgerError>;
}

/// Holds whose time is over.
pub(crate) trait Expiry: Send + Sync {
    /// Lifts holds that end at `now` or before, those first that are due longest, up to [`MAX_EXPIRED_AT_ONCE`].
    fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError>;

    /// When the next hold ends.
    fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError>;
}
