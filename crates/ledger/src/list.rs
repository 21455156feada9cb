//! Handles to a blacklist.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use portcullis_keys::{Scope, TenantId, TenantKeys, UserId};
use portcullis_ledger_model::{
    Census, Changes, Committed, Entry, Filter, Link, Linked, ListId, Mark, Page, Paging, PublicId, Record,
    Seq, Trail, Write, Written,
};
use portcullis_msisdn::{Directions, Permutation, Person, ReservedId, Subject};

use crate::error::LedgerError;
use crate::store::{ListRow, Store};

/// A blacklist of a tenant, for reading and writing. Cheap to clone; keeps the ledger open.
///
/// Dereferences to [`ListReader`] for reads.
///
/// After the tenant is [forgotten](crate::Ledger::forget_tenant), lookups and pages find nothing, and other calls fail
/// with [`LedgerError::TenantForgotten`].
#[derive(Clone)]
pub struct List(ListReader);

/// A blacklist of a tenant, for reading. Cheap to clone; keeps the ledger open.
///
/// A read sees all writes acknowledged before it began, and is consistent in itself, but two reads may see different
/// states. To copy a whole list, get its [`sequence`](Self::sequence), then read all [`members`](Self::members), then
/// apply the [`changes_since`](Self::changes_since) that sequence number.
#[derive(Clone)]
pub struct ListReader(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    keys: TenantKeys,
    row: ListRow,
    tenant: TenantId,
    scope: Scope,
    public_ids: Permutation,
}

impl Deref for List {
    type Target = ListReader;

    fn deref(&self) -> &ListReader {
        &self.0
    }
}

impl List {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        keys: TenantKeys,
        row: ListRow,
        tenant: TenantId,
        scope: Scope,
    ) -> Self {
        let public_ids = keys.public_ids(&scope);
        List(ListReader(Arc::new(Inner { store, keys, row, tenant, scope, public_ids })))
    }

    /// Returns a read-only handle to the list.
    pub fn reader(&self) -> &ListReader {
        &self.0
    }

    /// Applies the writes in order, all or none. Returns the result of each when all are on disk.
    ///
    /// A call costs one flush of the disk, shared with concurrent calls from other threads. Each write then takes
    /// microseconds, so import in batches of thousands. Other calls wait while a batch is written. Sort a long import
    /// by subject before splitting it into batches: each batch then touches its own database pages, which is several
    /// times faster.
    ///
    /// # Errors
    /// [`LedgerError::NoDirections`] for a block without directions, [`LedgerError::Full`],
    /// [`LedgerError::TenantForgotten`], or another error of the storage.
    pub fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, LedgerError> {
        self.write_up_to(u64::MAX, writes)
    }

    /// Like [`write`](Self::write), but a block that would raise the number of active entries above `max_active` is
    /// rejected with [`Outcome::Full`](crate::Outcome::Full).
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub fn write_up_to(&self, max_active: u64, writes: Vec<Write>) -> Result<Vec<Written>, LedgerError> {
        self.commit(max_active, writes).map(|committed| committed.written)
    }

    /// Like [`write_up_to`](Self::write_up_to), for a caller that follows the list: it need not read what changed.
    ///
    /// # Errors
    /// Those of [`write`](Self::write).
    pub fn commit(&self, max_active: u64, writes: Vec<Write>) -> Result<Committed, LedgerError> {
        if writes.is_empty() {
            return Ok(Committed { written: Vec::new(), span: None });
        }
        let blocks_nothing =
            |write: &Write| matches!(write, Write::Block(block) if block.directions.is_none());
        if writes.iter().any(blocks_nothing) {
            return Err(LedgerError::NoDirections);
        }
        self.inner().store.write(self.inner().row, &self.inner().keys, writes, max_active)
    }

    /// Stores the event cursor durably: the last record whose event has been delivered.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn set_event_cursor(&self, cursor: Seq) -> Result<(), LedgerError> {
        self.inner().store.set_event_cursor(self.inner().row, cursor)
    }

    /// Like [`person_of_user`](ListReader::person_of_user), but durably registers a user id that is new to the tenant.
    /// The person is the same in all of the tenant's lists, permanently.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], or an error of the storage.
    pub fn ensure_person_of_user(&self, user: &UserId) -> Result<Person, LedgerError> {
        self.inner().store.ensure_person_of_user(self.inner().row.tenant, &self.inner().keys, user)
    }

    /// Durably links identities of one person in all of the tenant's lists: from then on, a block of one applies to the
    /// others. Costs a lookup if they are already linked.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], or an error of the storage.
    pub fn link(&self, link: Link) -> Result<Linked, LedgerError> {
        self.inner().store.link(self.inner().row.tenant, &self.inner().keys, link)
    }

    /// Stores when people last wrote to the list's owner, unless a later time is stored, and deletes visits before `forget_before`.
    /// The cost is proportional to the visits passed in, plus a scan of those stored.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn keep_visits(
        &self,
        visits: &[(Subject, Timestamp)],
        forget_before: Timestamp,
    ) -> Result<(), LedgerError> {
        self.inner().store.keep_visits(self.inner().row, visits, forget_before)
    }

    /// Durably stores the id of the saved state that may be loaded for this list, and the sequence number that it has.
    /// From then on the ledger keeps a sum of the entries that changed since, for
    /// [`check_changes_since_state`](ListReader::check_changes_since_state).
    ///
    /// States are in files next to the ledger. If the ledger is restored from a backup without them, its history may
    /// diverge from that of a newer state although the sequence numbers match. The backup contains the id of an older
    /// state, so the newer state is not loaded and no later opt-out is lost.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], or an error of the storage.
    pub fn keep_state(&self, id: [u8; 16], sequence: Seq) -> Result<(), LedgerError> {
        self.inner().store.keep_state(self.inner().row, id, sequence)
    }

    pub(crate) fn store(&self) -> &dyn Store {
        &*self.inner().store
    }

    fn inner(&self) -> &Inner {
        &self.0.0
    }
}

impl ListReader {
    pub(crate) fn row(&self) -> ListRow {
        self.0.row
    }

    /// The list's id in its ledger.
    pub fn id(&self) -> ListId {
        ListId(self.0.row.id)
    }

    /// The tenant that owns the list.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// Which of the tenant's lists this is.
    pub fn scope(&self) -> &Scope {
        &self.0.scope
    }

    /// The tenant's keys.
    pub fn keys(&self) -> &TenantKeys {
        &self.0.keys
    }

    /// The id by which clients know the subject's entry on this list, whether or not it exists.
    pub fn public_id(&self, subject: Subject) -> PublicId {
        PublicId::from_permuted(self.0.public_ids.permute(subject))
    }

    /// The subject for a public id of this list. Every id has one; use [`get`](Self::get) to find out whether there is
    /// an entry.
    pub fn subject_of(&self, id: &PublicId) -> Subject {
        self.0.public_ids.invert(id.permuted())
    }

    /// Returns the subject's entry, active or not.
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::Damaged`] if the row is invalid.
    pub fn get(&self, subject: Subject) -> Result<Option<Entry>, LedgerError> {
        Ok(self.get_many(&[subject])?.pop().flatten())
    }

    /// Returns the entries of several subjects, in order, from a consistent snapshot.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn get_many(&self, subjects: &[Subject]) -> Result<Vec<Option<Entry>>, LedgerError> {
        self.0.store.get_many(self.0.row, self.0.keys.text_seal(), subjects)
    }

    /// Returns at most `limit` entries, in the order of their subjects. Between pages, entries that don't change are
    /// neither skipped nor repeated, except with [`Paging::Skip`].
    ///
    /// The cost is that of the entries scanned: with a filter that matches few entries, most of the list.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn page(
        &self,
        from: Paging,
        limit: NonZeroUsize,
        filter: impl Into<Filter>,
    ) -> Result<Page, LedgerError> {
        self.0.store.page(self.0.row, self.0.keys.text_seal(), from, limit, filter.into())
    }

    /// Like [`page`](Self::page), but returns only the subjects. Cheaper, because no text is decrypted.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn subjects(
        &self,
        from: Paging,
        limit: NonZeroUsize,
        filter: impl Into<Filter>,
    ) -> Result<Page<Subject>, LedgerError> {
        self.0.store.subjects(self.0.row, from, limit, filter.into())
    }

    /// Returns the list's audit trail, the latest change first: changes with a sequence number below `before`, or all.
    /// Returns about `limit` records, because records with the same sequence number are not split.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn trail(&self, before: Option<Seq>, limit: NonZeroUsize) -> Result<Trail, LedgerError> {
        let before = before.unwrap_or(Seq::new(u64::MAX));
        self.0.store.trail(self.0.row, self.0.keys.text_seal(), before, limit)
    }

    /// Returns the records after this sequence number, the oldest first. Returns about `limit` records, because records
    /// with the same sequence number are not split.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn records_after(&self, after: Seq, limit: NonZeroUsize) -> Result<Vec<Record>, LedgerError> {
        self.0.store.records_after(self.0.row, self.0.keys.text_seal(), after, limit)
    }

    /// Returns those of these positions of the list, each a sequence number and the [mark](crate::Changes::mark) of the commit that led to
    /// it, that are not in its history: the commits were lost, as at a failover. A shared ledger knows the commits of the last 24 hours, and
    /// others, which lose none, return nothing.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn lost_positions(&self, positions: &[(Seq, Mark)]) -> Result<Vec<(Seq, Mark)>, LedgerError> {
        self.0.store.lost_positions(self.0.row, positions)
    }

    /// Returns the event cursor last stored with [`set_event_cursor`](List::set_event_cursor).
    ///
    /// # Errors
    /// An error of the storage.
    pub fn event_cursor(&self) -> Result<Option<Seq>, LedgerError> {
        self.0.store.event_cursor(self.0.row)
    }

    /// Returns the audit trail of a person's entries, including those under linked ids, the latest change first:
    /// changes with a sequence number below `before`, or all. Costs a lookup per change, including the newer ones that
    /// are not returned.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn history(
        &self,
        person: &[Subject],
        before: Option<Seq>,
        limit: NonZeroUsize,
    ) -> Result<Trail, LedgerError> {
        let mut records = Vec::new();
        let mut older = None;
        let ids = self.0.store.ids_of(self.0.row.tenant, &self.0.keys, person)?;
        for subject in person.iter().copied().chain(ids) {
            let of_one = self.0.store.history(self.0.row, self.0.keys.text_seal(), subject, before, limit)?;
            records.extend(of_one.records);
            older = older.max(of_one.older);
        }
        records.sort_by_key(|record| std::cmp::Reverse((record.sequence, record.step)));
        // Records with the same sequence number are not split.
        let ends =
            |at: usize| records.get(at).is_some_and(|record| records[at - 1].sequence != record.sequence);
        if let Some(end) = (limit.get()..records.len()).find(|&at| ends(at)) {
            records.truncate(end);
            older = records.last().map(|record| record.sequence);
        }
        Ok(Trail { records, older })
    }

    /// Returns the person with a user id: all variants of the number that it is [linked](List::link) to, or else the id
    /// itself. `None` if the id was never used in this tenant.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn person_of_user(&self, user: &UserId) -> Result<Option<Person>, LedgerError> {
        self.0.store.person_of_user(self.0.row.tenant, &self.0.keys, user)
    }

    /// Returns the person with a subject, such as that of an entry.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn person_of(&self, subject: Subject) -> Result<Person, LedgerError> {
        self.0.store.person_of(self.0.row.tenant, &self.0.keys, subject)
    }

    /// Returns the person's entries. Usually there is one, but lists written before
    /// [variants](portcullis_msisdn::Msisdn::variants) were supported may have several. Active ones come first.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn find(&self, person: &Person) -> Result<Vec<Entry>, LedgerError> {
        let mut entries: Vec<Entry> = self.get_many(person)?.into_iter().flatten().collect();
        entries.sort_by_key(|entry| entry.directions.is_none());
        Ok(entries)
    }

    /// Returns the user id that a reserved id was assigned to.
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::Damaged`] if the row is invalid.
    pub fn user_of(&self, id: ReservedId) -> Result<Option<UserId>, LedgerError> {
        self.0.store.user_of(self.0.row.tenant, &self.0.keys, id)
    }

    /// Returns at most `limit` blocked subjects after `after` with their directions, in order, to fill a plugin.
    /// Returns fewer than `limit` only at the end.
    ///
    /// Also reads the other entries of the 64th of the subjects that each is in, and compares their sum with the one
    /// that was stored with them. So ask for many at once: for a sixteenth of a long list.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if entries are not as they were written. The list counts as
    /// [damaged](Self::is_damaged) from then on. Otherwise an error of the storage.
    pub fn members(
        &self,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        self.0.store.members(self.0.row, after, limit)
    }

    /// Like [`members`](Self::members), without looking for damage: costs as much as the entries returned.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn sample(
        &self,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        self.0.store.sample(self.0.row, after, limit)
    }

    /// Checks that the entries that changed since the kept state are as they were written. `sequence` is that of the
    /// state. Costs as much as reading these entries.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if they are not, or if the kept state has another sequence number. Otherwise an error of
    /// the storage.
    pub fn check_changes_since_state(&self, sequence: Seq) -> Result<(), LedgerError> {
        self.0.store.check_changes(self.0.row, sequence)
    }

    /// Whether entries of this list were found not to be as they were written, since the ledger was opened.
    /// [`directions`](Self::directions) then fails, so that nobody relies on it.
    pub fn is_damaged(&self) -> bool {
        self.0.store.is_damaged(self.0.row)
    }

    /// Checks that the user ids of the list's tenant, and what ties them to numbers, are as they were written. If not,
    /// [`person_of_user`](Self::person_of_user) fails from then on. Costs as much as reading them.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if they are not. Otherwise an error of the storage.
    pub fn check_user_ids(&self) -> Result<(), LedgerError> {
        self.0.store.check_people(self.0.row.tenant)
    }

    /// Whether the user ids of the list's tenant were found to be damaged, since the ledger was opened.
    pub fn are_user_ids_damaged(&self) -> bool {
        self.0.store.are_people_damaged(self.0.row.tenant)
    }

    /// Returns at most `limit` entries that changed after `since`, in the order of their latest changes, with their
    /// current directions.
    ///
    /// An entry that changed several times appears once, so the feed is never longer than the list and never truncated.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], [`LedgerError::Damaged`] if the latest change is missing, or an error of the
    /// storage.
    pub fn changes_since(&self, since: Seq, limit: NonZeroUsize) -> Result<Changes, LedgerError> {
        self.0.store.changes_since(self.0.row, since, limit)
    }

    /// Returns the directions of each subject, in order, from a consistent snapshot; none for a subject without an
    /// active entry. Cheaper than [`get_many`](Self::get_many), because no text is decrypted.
    ///
    /// The first time that a subject is in a 64th of all subjects from which nothing was read since the ledger was opened,
    /// all entries there are read, to compare their sum: some milliseconds in a list of a million.
    ///
    /// # Errors
    /// Those of [`get`](Self::get); [`LedgerError::Damaged`] if the list [is damaged](Self::is_damaged).
    pub fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError> {
        self.0.store.directions(self.0.row, subjects)
    }

    /// Like [`directions`](Self::directions), without looking for damage.
    ///
    /// # Errors
    /// Those of [`get`](Self::get).
    pub fn sample_directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError> {
        self.0.store.sample_directions(self.0.row, subjects)
    }

    /// Returns the list's latest sequence number and number of entries. Costs one lookup.
    ///
    /// # Errors
    /// Those of [`changes_since`](Self::changes_since).
    pub fn census(&self) -> Result<Census, LedgerError> {
        self.0.store.census(self.0.row)
    }

    /// Returns which of these lists the tenant does not have: the ledger has lost them, as at a failover to a standby that lacked them.
    /// Costs one query, with a lookup per list.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn missing_lists(&self, lists: &[ListId]) -> Result<Vec<ListId>, LedgerError> {
        self.0.store.missing_lists(self.0.row.tenant, lists)
    }

    /// Returns the tenant's lists, and the latest sequence number of each; nothing if no other process writes to the ledger. Costs one query.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn sequences_of_tenant(&self) -> Result<Vec<(Scope, ListId, Seq)>, LedgerError> {
        self.0.store.sequences_of(self.0.row.tenant)
    }

    /// Returns the list's latest sequence number.
    ///
    /// # Errors
    /// Those of [`changes_since`](Self::changes_since).
    pub fn sequence(&self) -> Result<Seq, LedgerError> {
        Ok(self.census()?.sequence)
    }

    /// Returns the number of active entries. Costs one lookup, regardless of the list's length.
    ///
    /// # Errors
    /// Those of [`changes_since`](Self::changes_since).
    pub fn count(&self) -> Result<u64, LedgerError> {
        Ok(self.census()?.active)
    }

    /// What is wrong with the files of the ledger that the list is in. See [`Ledger::trouble`](crate::Ledger::trouble).
    pub fn trouble(&self) -> Option<LedgerError> {
        self.0.store.trouble()
    }

    /// Returns who wrote to the list's owner since `since`, and when last, as stored with
    /// [`keep_visits`](List::keep_visits).
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::Damaged`] if a row is invalid.
    pub fn visits(&self, since: Timestamp) -> Result<Vec<(Subject, Timestamp)>, LedgerError> {
        self.0.store.visits(self.0.row, since)
    }

    /// Returns when somebody last wrote to the list's owner, as stored with [`keep_visits`](List::keep_visits). Costs one lookup.
    ///
    /// # Errors
    /// Those of [`visits`](Self::visits).
    pub fn visit(&self, subject: Subject) -> Result<Option<Timestamp>, LedgerError> {
        self.0.store.visit(self.0.row, subject)
    }

    /// Returns the id of the list's current saved state, as stored with [`keep_state`](List::keep_state).
    ///
    /// # Errors
    /// Those of [`changes_since`](Self::changes_since).
    pub fn kept_state(&self) -> Result<Option<[u8; 16]>, LedgerError> {
        self.0.store.kept_state(self.0.row)
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Debug for ListReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("tenant", &self.0.tenant)
            .field("scope", &self.0.scope)
            .finish_non_exhaustive()
    }
}
