//! One blacklist.

use std::fmt;
use std::num::NonZeroUsize;
use std::ops::Deref;
use std::sync::Arc;

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Permutation, Person, ReservedId, Subject};

use crate::changes::{Census, Changes, Seq};
use crate::entry::{Entry, Filter, Page, Paging};
use crate::error::LedgerError;
use crate::identity::UserId;
use crate::keys::TenantKeys;
use crate::name::TenantId;
use crate::public_id::PublicId;
use crate::record::{Record, Trail};
use crate::scope::Scope;
use crate::store::{ListRow, Store};
use crate::tie::{Tie, Tied};
use crate::write::{Write, Written};

/// One blacklist of a tenant, to be written to. Cheap to clone; keeps the ledger open.
///
/// Reads are those of [`ListReader`], which this dereferences to.
///
/// After the tenant was [forgotten](crate::Ledger::forget_tenant), look-ups and pages find nothing,
/// and everything else is [`LedgerError::TenantForgotten`].
#[derive(Clone)]
pub struct List(ListReader);

/// One blacklist of a tenant, to be read. Cheap to clone; keeps the ledger open.
///
/// Reads see every write that was acknowledged before they began. Each sees one state of the list,
/// but two reads may see two: to take a whole list over, ask for its [`sequence`](Self::sequence)
/// first, then walk its [`members`](Self::members), then apply the
/// [`changes_since`](Self::changes_since) that sequence number.
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

    /// The same list, to be read only.
    pub fn reader(&self) -> &ListReader {
        &self.0
    }

    /// Makes the changes, in their order and all of them or none. Returns what became of each when
    /// all are on the disk.
    ///
    /// One call costs one flush of the disk, as do many calls from different threads at the same
    /// time. Each number costs microseconds, so an import is best written in batches of thousands;
    /// while a batch is being written, other calls wait. Sort a long import by subject before cutting
    /// it into batches: each then touches pages of its own, which is several times faster.
    ///
    /// # Errors
    /// [`LedgerError::NoDirections`] for a block without directions, [`LedgerError::Full`],
    /// [`LedgerError::TenantForgotten`], and what else the disk may report.
    pub fn write(&self, writes: Vec<Write>) -> Result<Vec<Written>, LedgerError> {
        self.write_up_to(u64::MAX, writes)
    }

    /// As [`write`](Self::write), but a block that would make the list have more than `most` active entries does nothing, and
    /// is [`Outcome::Full`](crate::Outcome::Full).
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    pub fn write_up_to(&self, most: u64, writes: Vec<Write>) -> Result<Vec<Written>, LedgerError> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let blocks_nothing =
            |write: &Write| matches!(write, Write::Block(block) if block.directions.is_none());
        if writes.iter().any(blocks_nothing) {
            return Err(LedgerError::NoDirections);
        }
        self.inner().store.write(self.inner().row, &self.inner().keys, writes, most)
    }

    /// Remembers, durably, up to which record somebody has been told.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn set_told(&self, told: Seq) -> Result<(), LedgerError> {
        self.inner().store.set_told(self.inner().row, told)
    }

    /// The same, but a user id that nobody ever named is remembered, durably: the same for all of the tenant's lists, and for
    /// ever.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], and what the disk may report.
    pub fn ensure_person_of_user(&self, user: &UserId) -> Result<Person, LedgerError> {
        self.inner().store.ensure_person_of_user(self.inner().row.tenant, &self.inner().keys, user)
    }

    /// Remembers, durably, that all of these are one person, in all of the tenant's lists: from then on what is blocked of one
    /// is blocked of the others. Costs a look-up where that is known already.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], and what the disk may report.
    pub fn tie(&self, tie: Tie) -> Result<Tied, LedgerError> {
        self.inner().store.tie(self.inner().row.tenant, &self.inner().keys, tie)
    }

    /// Remembers who wrote when, and forgets who did not write since `forget_before`. Costs as much as it is given, and a look
    /// at all that is remembered.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn keep_visits(
        &self,
        visits: &[(Subject, Timestamp)],
        forget_before: Timestamp,
    ) -> Result<(), LedgerError> {
        self.inner().store.keep_visits(self.inner().row, visits, forget_before)
    }

    /// Remembers, durably, which saved state of this list is the one to be loaded.
    ///
    /// States lie in files beside the ledger, which can be put back to an earlier copy of itself
    /// without them. From then on its history may be another than the one that a state was saved
    /// in, though the sequence numbers look right. The copy names an earlier state, so the newer one
    /// is not loaded: an opt-out since then can't be lost by it.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], and what the disk may report.
    pub fn keep_state(&self, id: [u8; 16]) -> Result<(), LedgerError> {
        self.inner().store.keep_state(self.inner().row, id)
    }

    fn inner(&self) -> &Inner {
        &self.0.0
    }
}

impl ListReader {
    /// Whose list this is.
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

    /// The id under which clients know the subject's entry on this list, whether or not there is
    /// one.
    pub fn public_id(&self, subject: Subject) -> PublicId {
        PublicId::from_name(self.0.public_ids.rename(subject))
    }

    /// The subject that an id of this list stands for. Every id stands for one; whether there is an
    /// entry, [`get`](Self::get) tells.
    pub fn subject_of(&self, id: &PublicId) -> Subject {
        self.0.public_ids.rename_back(id.name())
    }

    /// The subject's entry, active or not.
    ///
    /// # Errors
    /// What the disk may report; [`LedgerError::Damaged`] where the row is not as it was written.
    pub fn get(&self, subject: Subject) -> Result<Option<Entry>, LedgerError> {
        Ok(self.get_many(&[subject])?.pop().flatten())
    }

    /// The subjects' entries, in the order of the subjects, of one state of the list.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn get_many(&self, subjects: &[Subject]) -> Result<Vec<Option<Entry>>, LedgerError> {
        self.0.store.get_many(self.0.row, self.0.keys.text_seal(), subjects)
    }

    /// Up to `limit` entries in the order of their subjects. An entry that does not change meanwhile is neither skipped
    /// nor repeated from page to page, but where pages are counted by [`Paging::Skip`].
    ///
    /// Costs what it has to look at: with a filter that few entries pass, that is most of the list.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn page(
        &self,
        from: Paging,
        limit: NonZeroUsize,
        filter: impl Into<Filter>,
    ) -> Result<Page, LedgerError> {
        self.0.store.page(self.0.row, self.0.keys.text_seal(), from, limit, filter.into())
    }

    /// As [`page`](Self::page), but the subjects only: cheaper, as no text is read.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn subjects(
        &self,
        from: Paging,
        limit: NonZeroUsize,
        filter: impl Into<Filter>,
    ) -> Result<Page<Subject>, LedgerError> {
        self.0.store.subjects(self.0.row, from, limit, filter.into())
    }

    /// What was done to the list, the newest change first: those with a number below `before`, or all. About `limit` of
    /// them, as changes that share a number are never parted.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn trail(&self, before: Option<Seq>, limit: NonZeroUsize) -> Result<Trail, LedgerError> {
        let before = before.unwrap_or(Seq::new(u64::MAX));
        self.0.store.trail(self.0.row, self.0.keys.text_seal(), before, limit)
    }

    /// What was done after the change of this number, the oldest first. About `limit` records, as those that share a number
    /// are never parted.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn records_after(&self, after: Seq, limit: NonZeroUsize) -> Result<Vec<Record>, LedgerError> {
        self.0.store.records_after(self.0.row, self.0.keys.text_seal(), after, limit)
    }

    /// Up to which record somebody has been told, as [`set_told`](List::set_told) was told last.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn told(&self) -> Result<Option<Seq>, LedgerError> {
        self.0.store.told(self.0.row)
    }

    /// What was done to a person's entries, also while they stood under an id, the newest change first: those with a number
    /// below `before`, or all. Costs a look-up for each change, also for those that are not among the answer as they are newer.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
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
        // What shares a number is never parted.
        let ends =
            |at: usize| records.get(at).is_some_and(|record| records[at - 1].sequence != record.sequence);
        if let Some(end) = (limit.get()..records.len()).find(|&at| ends(at)) {
            records.truncate(end);
            older = records.last().map(|record| record.sequence);
        }
        Ok(Trail { records, older })
    }

    /// Everybody who is meant by a user id: the number that it is [tied](List::tie) to, in each of its spellings, or the id
    /// itself. `None` where nobody ever named it in this tenant.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn person_of_user(&self, user: &UserId) -> Result<Option<Person>, LedgerError> {
        self.0.store.person_of_user(self.0.row.tenant, &self.0.keys, user)
    }

    /// Everybody who is meant by a subject, such as that of an entry.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn person_of(&self, subject: Subject) -> Result<Person, LedgerError> {
        self.0.store.person_of(self.0.row.tenant, &self.0.keys, subject)
    }

    /// The entries that a person has: mostly one, but lists from before [spellings](portcullis_msisdn::Msisdn::spellings) were
    /// known may have several. Those that block come first.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn find(&self, person: &Person) -> Result<Vec<Entry>, LedgerError> {
        let mut entries: Vec<Entry> = self.get_many(person)?.into_iter().flatten().collect();
        entries.sort_by_key(|entry| entry.directions.is_none());
        Ok(entries)
    }

    /// The person that an id was given to.
    ///
    /// # Errors
    /// What the disk may report; [`LedgerError::Damaged`] where the row is not as it was written.
    pub fn user_of(&self, id: ReservedId) -> Result<Option<UserId>, LedgerError> {
        self.0.store.user_of(self.0.row.tenant, &self.0.keys, id)
    }

    /// Up to `limit` blocked subjects with their directions, in order, from the first one after
    /// `after`: what a plugin is filled with. Fewer than `limit` only at the end.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn members(
        &self,
        after: Option<Subject>,
        limit: NonZeroUsize,
    ) -> Result<Vec<(Subject, Directions)>, LedgerError> {
        self.0.store.members(self.0.row, after, limit)
    }

    /// Up to `limit` entries that changed after `since`, in the order of their last changes, with
    /// the directions that they have now.
    ///
    /// An entry that changed several times stands there once, so the feed is as long as the list at
    /// most, and is never cut off.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], and what the disk may report.
    pub fn changes_since(&self, since: Seq, limit: NonZeroUsize) -> Result<Changes, LedgerError> {
        self.0.store.changes_since(self.0.row, since, limit)
    }

    /// The directions of each of these subjects, in their order, of one state of the list; none for
    /// one without an active entry. Cheaper than [`get_many`](Self::get_many): no text is read.
    ///
    /// # Errors
    /// As for [`get`](Self::get).
    pub fn directions(&self, subjects: &[Subject]) -> Result<Vec<Directions>, LedgerError> {
        self.0.store.directions(self.0.row, subjects)
    }

    /// How far the list is, and how long. Costs one look-up.
    ///
    /// # Errors
    /// As for [`changes_since`](Self::changes_since).
    pub fn census(&self) -> Result<Census, LedgerError> {
        self.0.store.census(self.0.row)
    }

    /// The number of the list's newest change.
    ///
    /// # Errors
    /// As for [`changes_since`](Self::changes_since).
    pub fn sequence(&self) -> Result<Seq, LedgerError> {
        Ok(self.census()?.sequence)
    }

    /// How many entries are active. Costs one look-up, however long the list is.
    ///
    /// # Errors
    /// As for [`changes_since`](Self::changes_since).
    pub fn count(&self) -> Result<u64, LedgerError> {
        Ok(self.census()?.active)
    }

    /// Who wrote to the list's owner since then, and when last, as far as [`keep_visits`](List::keep_visits) was told.
    ///
    /// # Errors
    /// What the disk may report; [`LedgerError::Damaged`] where a row is not as it was written.
    pub fn visits(&self, since: Timestamp) -> Result<Vec<(Subject, Timestamp)>, LedgerError> {
        self.0.store.visits(self.0.row, since)
    }

    /// The saved state of this list that was kept last, as [`keep_state`](List::keep_state) named it.
    ///
    /// # Errors
    /// As for [`changes_since`](Self::changes_since).
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
