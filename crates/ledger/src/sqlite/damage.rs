//! What was found to be damaged since the ledger was opened. It is not read to answer checks from then on.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use super::sums::PARTS;
use crate::error::{Altered, LedgerError};
use crate::store::{ListRow, TenantRow};

/// What was found to be damaged since the ledger was opened.
#[derive(Default)]
pub(super) struct Damage {
    /// Whether there is any, so that a look costs next to nothing if not.
    any: AtomicBool,
    found: Mutex<BTreeSet<Damaged>>,
    /// The parts of lists that were as they were written when they were read.
    checked: Mutex<HashMap<i64, Parts>>,
}

/// A bit for each part of a list.
type Parts = u64;
const _: () = assert!(PARTS == 64, "a bit for each");

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Damaged {
    /// A list, by its row.
    List(i64),
    /// The identities of a tenant, by its row.
    People(i64),
    /// What keeps a list's holds from ending, by its row.
    Holds(i64),
}

impl Damage {
    /// Remembers the list if this is an error of damage.
    pub(super) fn note_list<T>(&self, list: ListRow, read: Result<T, LedgerError>) -> Result<T, LedgerError> {
        if let Err(LedgerError::Damaged { .. }) = read {
            self.add(Damaged::List(list.id));
        }
        read
    }

    pub(super) fn note_people(&self, tenant: TenantRow) {
        self.add(Damaged::People(tenant.0));
    }

    /// Remembers that holds of this list can't end.
    pub(super) fn note_holds(&self, list: i64) {
        self.add(Damaged::List(list));
        self.add(Damaged::Holds(list));
    }

    /// The lists whose holds can't end, by their rows.
    pub(super) fn with_endless_holds(&self) -> BTreeSet<i64> {
        if !self.any.load(Ordering::Acquire) {
            return BTreeSet::new();
        }
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = found.iter().filter_map(|damaged| match damaged {
            Damaged::Holds(list) => Some(*list),
            Damaged::List(_) | Damaged::People(_) => None,
        });
        lists.collect()
    }

    fn add(&self, damaged: Damaged) {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).insert(damaged);
        self.any.store(true, Ordering::Release);
    }

    fn has(&self, damaged: Damaged) -> bool {
        self.any.load(Ordering::Acquire)
            && self.found.lock().unwrap_or_else(PoisonError::into_inner).contains(&damaged)
    }

    /// Whether a part was as it was written when it was read: it need not be compared again.
    pub(super) fn is_checked(&self, list: ListRow, part: i64) -> bool {
        let checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        checked.get(&list.id).is_some_and(|parts| parts >> part & 1 == 1)
    }

    /// Remembers that these parts were as they were written.
    pub(super) fn note_checked(&self, list: ListRow, first: i64, last: i64) {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = checked.entry(list.id).or_default();
        for part in first..=last.min(PARTS - 1) {
            *parts |= 1 << part;
        }
    }

    pub(super) fn is_list(&self, list: ListRow) -> bool {
        self.has(Damaged::List(list.id))
    }

    /// An error if the list was found to be damaged.
    pub(super) fn refuse_list(&self, list: ListRow) -> Result<(), LedgerError> {
        match self.is_list(list) {
            true => Err(LedgerError::altered("list", Altered::Rows)),
            false => Ok(()),
        }
    }

    pub(super) fn are_people(&self, tenant: TenantRow) -> bool {
        self.has(Damaged::People(tenant.0))
    }

    /// An error if the tenant's identities were found to be damaged.
    pub(super) fn refuse_people(&self, tenant: TenantRow) -> Result<(), LedgerError> {
        match self.are_people(tenant) {
            true => Err(LedgerError::altered("list of user ids", Altered::Rows)),
            false => Ok(()),
        }
    }
}
