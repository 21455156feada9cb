//! The interface between the ledger and its storage.
//!
//! A store blocks the calling thread. A read sees a consistent snapshot with all writes acknowledged before it began. A
//! write is atomic, and durable when it returns. What a write does is the same in every store: `batch` applies it to entries, and
//! `people` finds out who it is about, both on the rows of [`Tables`](tables::Tables). `tests/contract` tests every store.

#![expect(clippy::missing_errors_doc, reason = "each method may fail with an error of the storage")]

mod confirmations;
pub mod copy;
mod counts;
mod deliveries;
mod nodes;
pub mod sealed;
mod uploads;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_keys::{Fingerprint, Scope, Seal, TenantId, TenantKeys, UserId};
use portcullis_ledger_model::{
    Census, ChangedList, Changes, Committed, Entry, FeedPosition, Filter, Link, Linked, ListId, Mark, Page,
    Paging, Record, Seq, ServerRun, Span, Trail, Write, time,
};
use portcullis_msisdn::{Directions, Person, ReservedId, Subject};

use crate::error::LedgerError;

pub use confirmations::Confirmations;
pub use counts::{Counts, CountsPart, StoredAt};
pub use deliveries::Deliveries;
pub use nodes::{Description, Fleet, Lease, Node, Nodes};
pub use portcullis_ledger_model::{ListRow, Stats, TenantRow, batch, people, tables};
pub use uploads::{Upload, Uploads};

/// The maximum number of holds lifted by one call of [`Expiry::expire_due`], so that other writes wait some tens of milliseconds at
/// most.
pub const MAX_EXPIRED_AT_ONCE: usize = 500;

/// A storage backend.
pub trait Store:
    Tenants
    + Lists
    + Entries
    + Feed
    + Persons
    + Records
    + Visits
    + Deliveries
    + Confirmations
    + Expiry
    + Shared
    + Nodes
{
    /// Counters since the store was opened.
    fn stats(&self) -> Stats;

    /// What is wrong with the files of the open ledger.
    fn trouble(&self) -> Option<LedgerError>;

    /// Where files that were lost are to be copied from, and to.
    fn rescue(&self) -> Vec<(PathBuf, PathBuf)>;

    /// Lets another process open the ledger. From now on nothing is written here, and reads go on. Does nothing if it is shared.
    fn give_up(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// The components of plugins in it; `None` if it is not shared, so that nobody else needs them.
    fn uploads(self: Arc<Self>) -> Option<Arc<dyn Uploads>> {
        None
    }

    /// What gateways have counted for rules; `None` if it is not shared, so that nobody else needs to know.
    fn counts_of_all(self: Arc<Self>) -> Option<Arc<dyn Counts>> {
        None
    }
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
pub trait Tenants: Send + Sync {
    /// Returns the tenant, created with a new secret if it does not exist. Concurrent callers get the same.
    fn ensure_tenant(&self, tenant: &TenantId) -> Result<(TenantRow, TenantKeys), LedgerError>;

    /// Finds out under which of the known master keys the tenants' secrets are, and uses that one.
    fn find_master_key(&self) -> Result<(), LedgerError>;

    /// Encrypts all tenants' secrets under another known master key, in one transaction.
    fn rotate_master_key(&self, to: Fingerprint) -> Result<(), LedgerError>;

    /// The names of all tenants, in order.
    fn tenants(&self) -> Result<Vec<TenantId>, LedgerError>;

    /// Makes the tenant's secret unrecoverable, and deletes all its rows, then or in the background. Returns whether the tenant existed.
    /// When this returns, it does not for any reader, and its name can be used again.
    fn forget_tenant(&self, tenant: &TenantId) -> Result<bool, LedgerError>;

    /// Stores a tenant's settings, which are encrypted, in the place of earlier ones.
    fn put_settings(&self, tenant: &TenantId, settings: &[u8]) -> Result<(), LedgerError>;

    /// The settings of all tenants that have some, ordered by the tenants' names.
    fn settings(&self) -> Result<Vec<(TenantId, Vec<u8>)>, LedgerError>;

    /// Removes a tenant's settings. Returns whether there were any.
    fn remove_settings(&self, tenant: &TenantId) -> Result<bool, LedgerError>;

    /// Stores a tenant's settings, or removes them if `after` is `None`. Fails with [`LedgerError::SettingsChanged`] if they are not
    /// `before`, where `None` means that there are none. If the ledger is not shared, nobody but the caller changes them.
    fn replace_settings(
        &self,
        tenant: &TenantId,
        before: Option<&[u8]>,
        after: Option<&[u8]>,
    ) -> Result<(), LedgerError> {
        let _ = before;
        match after {
            Some(settings) => self.put_settings(tenant, settings),
            None => self.remove_settings(tenant).map(drop),
        }
    }

    /// A number that is another one after settings changed. Always 0 in a ledger that is not shared.
    fn settings_version(&self) -> Result<u64, LedgerError> {
        Ok(0)
    }
}

/// Lists, and their per-list state.
pub trait Lists: Send + Sync {
    /// Creates those of these tenants and lists that do not exist, in one commit. Leaves out lists of tenants that
    /// are being forgotten.
    fn ensure_lists(&self, wanted: &[(TenantId, Vec<Scope>)]) -> Result<(), LedgerError>;

    /// Returns the list, created if it does not exist.
    fn open_list(&self, tenant: TenantRow, scope: &Scope) -> Result<ListRow, LedgerError>;

    /// A tenant's lists: the tenant-wide one first, then by sender name.
    fn lists(&self, tenant: &TenantId) -> Result<Vec<Scope>, LedgerError>;

    /// Which of these lists the tenant does not have.
    fn missing_lists(&self, tenant: TenantRow, lists: &[ListId]) -> Result<Vec<ListId>, LedgerError>;

    /// Which of these lists, of any tenants, do not exist. Nothing if the ledger is not shared.
    fn gone(&self, lists: &[ListId]) -> Result<Vec<ListId>, LedgerError> {
        let _ = lists;
        Ok(Vec::new())
    }

    /// A list's latest sequence number and number of active entries.
    fn census(&self, list: ListRow) -> Result<Census, LedgerError>;

    /// The number of active entries of each list.
    fn counts(&self) -> Result<HashMap<ListId, u64>, LedgerError>;

    /// The id of the saved state that may be loaded; `None` if there is none.
    fn kept_state(&self, list: ListRow) -> Result<Option<[u8; 16]>, LedgerError>;

    /// Stores the id of the saved state that may be loaded. `sequence` is that of the state.
    fn keep_state(&self, list: ListRow, id: [u8; 16], sequence: Seq) -> Result<(), LedgerError>;

    /// The last record whose event was delivered; `None` if none ever was.
    fn event_cursor(&self, list: ListRow) -> Result<Option<Seq>, LedgerError>;

    /// Stores the event cursor.
    fn set_event_cursor(&self, list: ListRow, cursor: Seq) -> Result<(), LedgerError>;
}

/// Entries with all their fields.
pub trait Entries: Send + Sync {
    /// Applies the writes in order. Rejects a block that would raise the number of active entries above `max_active`.
    fn write(
        &self,
        list: ListRow,
        keys: &TenantKeys,
        writes: Vec<Write>,
        max_active: u64,
    ) -> Result<Committed, LedgerError>;

    /// Looks up entries, in the order of `subjects`.
    fn get_many(
        &self,
        list: ListRow,
        seal: &Seal,
        subjects: &[Subject],
    ) -> Result<Vec<Option<Entry>>, LedgerError>;

    /// A page of entries, in the order of their subjects.
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
pub trait Feed: Send + Sync {
    /// Blocked directions, in the order of `subjects`; none for a subject without an active entry. Fails with [`LedgerError::Damaged`] if
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
pub trait Persons: Send + Sync {
    /// Checks that the tenant's identities are as they were written. If not, they are no longer looked up.
    fn check_people(&self, tenant: TenantRow) -> Result<(), LedgerError>;

    /// Whether the identities were found to be damaged since the store was opened.
    fn are_people_damaged(&self, tenant: TenantRow) -> bool;

    /// The person of a user id, whose first subject is the one that their entries are under. `None` if it was never used.
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

    /// The person known as `subject`: by a number, an id, or an unknown value.
    fn person_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        subject: Subject,
    ) -> Result<Person, LedgerError>;

    /// Links identities of one person.
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
pub trait Records: Send + Sync {
    /// A page of the trail, the latest first, with sequence numbers below `before`.
    fn trail(
        &self,
        list: ListRow,
        seal: &Seal,
        before: Seq,
        limit: NonZeroUsize,
    ) -> Result<Trail, LedgerError>;

    /// The records after this one, the oldest first.
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
pub trait Visits: Send + Sync {
    /// Who wrote since then, and when, ordered by subject.
    fn visits(&self, list: ListRow, since: Timestamp) -> Result<Vec<(Subject, Timestamp)>, LedgerError>;

    /// When somebody last wrote; `None` if they never did, or were forgotten.
    fn visit(&self, list: ListRow, subject: Subject) -> Result<Option<Timestamp>, LedgerError>;

    /// Stores who wrote when, unless a later time is stored, and forgets those who wrote last before `forget_before`.
    fn keep_visits(
        &self,
        list: ListRow,
        visits: &[(Subject, Timestamp)],
        forget_before: Timestamp,
    ) -> Result<(), LedgerError>;
}

/// A ledger that several processes write to. The methods' own bodies are those of a ledger that is not shared.
pub trait Shared: Send + Sync {
    /// Whether other processes write to the ledger.
    fn is_shared(&self) -> bool {
        false
    }

    /// A tenant's lists, and the sequence number of each. Nothing if the ledger is not shared.
    fn sequences_of(&self, _tenant: TenantRow) -> Result<Vec<(Scope, ListId, Seq)>, LedgerError> {
        Ok(Vec::new())
    }

    /// Whether processes of the version before may use the ledger, too: nothing may be stored that those can't read.
    fn is_upgrading(&self) -> Result<bool, LedgerError> {
        Ok(false)
    }

    /// The time by the clock that all writers share, in whole milliseconds.
    fn now(&self) -> Timestamp {
        time::now()
    }

    /// The lists that changed since `position`, by any process, and up to which change. Moves the position. If it can't continue
    /// from the position, and from the default one, these are all lists.
    fn changed_lists(&self, position: &mut FeedPosition) -> Result<Vec<ChangedList>, LedgerError> {
        let _ = position;
        Ok(Vec::new())
    }

    /// What changed in each of these lists since then, up to so many changes: of some of them, in any order. Of the rest,
    /// [`changes_since`](Feed::changes_since) tells.
    fn spans_since(
        &self,
        lists: &[(ListRow, Seq)],
        limit: NonZeroUsize,
    ) -> Result<Vec<(ListId, Span)>, LedgerError> {
        let _ = (lists, limit);
        Ok(Vec::new())
    }

    /// A number that changes when what was read before may not be in the ledger's history.
    fn lineage(&self) -> u64 {
        0
    }

    /// Which run of which server is read from and written to now, or which line of a ledger that is not shared.
    fn server(&self) -> ServerRun;

    /// Deletes some thousand changes that need not be remembered any more, if no other process does. Whether there may be more.
    fn trim(&self) -> Result<bool, LedgerError> {
        Ok(false)
    }

    /// Which of these positions the ledger's history does not contain, as far as it is known.
    fn forked(&self, positions: &[(ListId, Seq, Mark)]) -> Result<Vec<ListId>, LedgerError> {
        let _ = positions;
        Ok(Vec::new())
    }

    /// Which of these positions of a list no commit led to, as far as is known.
    fn lost_positions(
        &self,
        list: ListRow,
        positions: &[(Seq, Mark)],
    ) -> Result<Vec<(Seq, Mark)>, LedgerError> {
        let _ = (list, positions);
        Ok(Vec::new())
    }

    /// Takes or renews a lease. Whether this process has it now.
    fn lease(&self, name: &str, lasting: Duration) -> Result<bool, LedgerError> {
        let _ = (name, lasting);
        Ok(true)
    }

    /// Gives a lease up, if this process has it.
    fn release_lease(&self, name: &str) -> Result<(), LedgerError> {
        let _ = name;
        Ok(())
    }
}

/// Expiry of holds.
pub trait Expiry: Send + Sync {
    /// Lifts holds that expire at `now` or before, the longest overdue first, up to [`MAX_EXPIRED_AT_ONCE`].
    fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError>;

    /// When the next hold expires.
    fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError>;
}
