//! Subjects with the directions they cover.

use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use portcullis_msisdn::{Direction, Directions, Subject};

use crate::hashed_set::HashedSet;
use crate::level::Limits;
use crate::members::Members;

/// The directions that the members of each of the three sets cover, in the order in which they are saved.
pub(crate) const KINDS: [Directions; 3] = [Directions::BOTH, Directions::INBOUND, Directions::OUTBOUND];

/// A map from subjects to one or both directions.
///
/// It consists of three disjoint [`HashedSet`]s: of subjects that cover both directions, only inbound, and only
/// outbound. Empty ones are skipped, so a list whose entries all have the same directions pays nothing for the others.
#[derive(Default)]
pub struct DirectedSet {
    /// A subject is in at most one of them.
    kinds: [HashedSet; KINDS.len()],
}

impl DirectedSet {
    /// Creates an empty set. Does not allocate.
    pub const fn new() -> Self {
        Self::with_limits(Limits::DEFAULT)
    }

    /// Creates an empty set that is expected to get this many subjects. The hint only makes filling in ascending order
    /// cheaper. Does not allocate.
    pub fn expecting(subjects: usize) -> Self {
        let mut set = Self::new();
        set.kinds.iter_mut().for_each(|kind| kind.expect(subjects));
        set
    }

    pub(crate) const fn with_limits(limits: Limits) -> Self {
        DirectedSet {
            kinds: [
                HashedSet::with_limits(limits),
                HashedSet::with_limits(limits),
                HashedSet::with_limits(limits),
            ],
        }
    }

    /// Creates a set from disjoint sets in the order of [`KINDS`].
    pub(crate) fn from_kinds(kinds: [HashedSet; KINDS.len()]) -> Self {
        DirectedSet { kinds }
    }

    pub(crate) fn kinds(&self) -> &[HashedSet; KINDS.len()] {
        &self.kinds
    }

    /// Creates a set from entries in any order. The directions of repeated subjects are united; entries without
    /// directions are ignored. Sorts the entries, and makes each allocation once, with the exact size.
    pub fn from_unsorted(entries: Vec<(Subject, Directions)>) -> Self {
        Self::from_unsorted_limited(entries, Limits::DEFAULT)
    }

    pub(crate) fn from_unsorted_limited(entries: Vec<(Subject, Directions)>, limits: Limits) -> Self {
        // Packs the two bits of the directions below the subject's 50, which halves the bytes to sort.
        let mut packed: Vec<u64> = entries
            .into_iter()
            .filter(|(_, directions)| !directions.is_none())
            .map(|(subject, directions)| subject.get() << 2 | u64::from(directions.bits()))
            .collect();
        packed.sort_unstable();
        packed.dedup_by(|next, kept| {
            let same = *next >> 2 == *kept >> 2;
            if same {
                *kept |= *next;
            }
            same
        });
        Self::from_kinds(KINDS.map(|kind| {
            let bits = u64::from(kind.bits());
            let members = packed.iter().filter(|&&entry| entry & 3 == bits).map(|&entry| entry >> 2);
            HashedSet::from_ascending(members.clone().count(), members, limits)
        }))
    }

    /// The number of subjects.
    pub fn len(&self) -> usize {
        self.kinds.iter().map(HashedSet::len).sum()
    }

    /// The number of subjects that cover exactly these directions. 0 for no directions, because such subjects are not
    /// in the set.
    pub fn len_of(&self, directions: Directions) -> usize {
        self.kind(directions).map_or(0, |kind| self.kinds[kind].len())
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.kinds.iter().all(HashedSet::is_empty)
    }

    /// Whether the subject covers the direction.
    #[inline]
    pub fn contains(&self, subject: Subject, direction: Direction) -> bool {
        let [both, one] = self.covering(direction);
        !both.is_empty() && both.contains(subject) || !one.is_empty() && one.contains(subject)
    }

    /// Checks many subjects. Bit n % 8 of byte n / 8 of the result says whether the n-th subject covers the direction.
    /// Unused bits are zero.
    ///
    /// Cheaper than calls of [`contains`](Self::contains), because memory accesses overlap.
    pub fn contains_many(&self, subjects: &[Subject], direction: Direction) -> Vec<u8> {
        let mut bitmap = vec![0; subjects.len().div_ceil(8)];
        self.contains_many_into(subjects, direction, &mut bitmap);
        bitmap
    }

    /// Like [`contains_many`](Self::contains_many), but writes to all bytes of the caller's buffer.
    ///
    /// # Panics
    ///
    /// If the buffer has less than one bit per subject.
    pub fn contains_many_into(&self, subjects: &[Subject], direction: Direction, bitmap: &mut [u8]) {
        assert!(bitmap.len() >= subjects.len().div_ceil(8), "the bitmap has less than one bit per subject");
        bitmap.fill(0);
        for kind in self.covering(direction).into_iter().filter(|kind| !kind.is_empty()) {
            for (subjects, bitmap) in subjects.chunks(64).zip(bitmap.chunks_mut(8)) {
                let contained = kind.contained(subjects).to_le_bytes();
                bitmap.iter_mut().zip(contained).for_each(|(byte, contained)| *byte |= contained);
            }
        }
    }

    /// Returns the directions that the subject covers: none if it is not in the set.
    pub fn directions(&self, subject: Subject) -> Directions {
        KINDS
            .into_iter()
            .zip(&self.kinds)
            .find(|(_, kind)| !kind.is_empty() && kind.contains(subject))
            .map_or(Directions::NONE, |(directions, _)| directions)
    }

    /// Adds directions to a subject. Returns the directions it covered before.
    pub fn insert(&mut self, subject: Subject, directions: Directions) -> Directions {
        let before = self.directions(subject);
        self.change(subject, before, before | directions);
        before
    }

    /// Removes directions from a subject. Returns the directions it covered before.
    pub fn remove(&mut self, subject: Subject, directions: Directions) -> Directions {
        let before = self.directions(subject);
        self.change(subject, before, before & !directions);
        before
    }

    /// Removes all subjects and frees their memory.
    pub fn clear(&mut self) {
        self.kinds.iter_mut().for_each(HashedSet::clear);
    }

    /// Returns at most `limit` subjects after `after`, in ascending order.
    ///
    /// To iterate over the set, pass the last subject of each page to get the next; a page with fewer than `limit`
    /// subjects is the last. If the set changes between pages, subjects that stay are neither skipped nor repeated. The
    /// cost of a page is proportional to its length, plus a few microseconds.
    pub fn page(&self, after: Option<Subject>, limit: usize) -> Vec<(Subject, Directions)> {
        let mut page = Vec::with_capacity(limit.min(self.len()));
        let first = after.map_or(Some(Subject::MIN), Subject::next);
        let Some(first) = first else { return page };
        let mut walks = self.kinds.each_ref().map(|kind| Members::new(kind, first.get()));
        // `u64::MAX` is not a subject and marks the end.
        let mut next = |kind: usize| walks[kind].next_value().unwrap_or(u64::MAX);
        let mut heads = [next(0), next(1), next(2)];
        while page.len() < limit {
            let smallest = heads.into_iter().zip(0..).min().and_then(|(head, kind)| {
                heads[kind] = next(kind);
                Some((Subject::new(head)?, KINDS[kind]))
            });
            let Some(entry) = smallest else { break };
            page.push(entry);
        }
        page
    }

    /// The two sets whose members cover the direction.
    #[inline]
    fn covering(&self, direction: Direction) -> [&HashedSet; 2] {
        let one = match direction {
            Direction::Inbound => &self.kinds[1],
            Direction::Outbound => &self.kinds[2],
        };
        [&self.kinds[0], one]
    }

    fn kind(&self, directions: Directions) -> Option<usize> {
        KINDS.iter().position(|&kind| kind == directions)
    }

    fn change(&mut self, subject: Subject, before: Directions, after: Directions) {
        if before == after {
            return;
        }
        if let Some(kind) = self.kind(before) {
            self.kinds[kind].remove(subject);
        }
        if let Some(kind) = self.kind(after) {
            self.kinds[kind].insert(subject);
        }
    }
}

impl FromIterator<(Subject, Directions)> for DirectedSet {
    /// Like [`DirectedSet::from_unsorted`].
    fn from_iter<I: IntoIterator<Item = (Subject, Directions)>>(entries: I) -> Self {
        Self::from_unsorted(entries.into_iter().collect())
    }
}

/// Shows only the numbers of subjects.
impl fmt::Debug for DirectedSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(KINDS.into_iter().map(|kind| (kind, self.len_of(kind)))).finish()
    }
}

#[cfg(test)]
mod tests;
