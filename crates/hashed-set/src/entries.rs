//! A packed array of integers in pages of the same size.

use alloc::vec::Vec;
use core::iter::Copied;
use core::slice;

use crate::page::{Page, WINDOW, pack, per_page, unpack};

/// The number of pages by which the list of pages grows.
const PAGES_GROWTH: usize = 8;

/// An array of `WIDTH`-byte integers, in pages that are full except the last. The caller must use the same width in
/// every call.
///
/// Pages avoid fragmentation. All shards grow at the same pace, so if each were one array, the holes that arrays leave
/// behind when they move to grow would be just too small for the others, and take a fifth of a WebAssembly memory. A
/// freed page fits any shard. Also, an insert moves the entries of one page only; each page behind it takes over one
/// entry from the page before.
#[derive(Default)]
pub(crate) struct Entries {
    pages: Vec<Page>,
    len: usize,
}

/// The page of the entry with index `place`, and its index in the page.
#[inline]
const fn locate<const WIDTH: usize>(place: usize) -> (usize, usize) {
    (place / per_page::<WIDTH>(), place % per_page::<WIDTH>())
}

impl Entries {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether `value` is among the `count` entries from index `start`. `count` must be at least 1.
    #[inline]
    pub(crate) fn contains<const WIDTH: usize>(&self, start: usize, count: usize, value: u64) -> bool {
        let (page, at) = locate::<WIDTH>(start);
        let [entries, _] = self.pages[page].parts::<WIDTH>(at);
        // Usually there are few and they are contiguous. Then a fixed number is compared, because the end is
        // unpredictable.
        match entries.first_chunk::<WINDOW>() {
            Some(window) if count <= WINDOW => {
                // Only the lower bytes are compared at first: they rule out all but one in 2^16 or more non-members,
                // and a power of two bytes takes a single load.
                let low = value.to_le_bytes();
                let equal = |lower: fn(&[u8; WIDTH], [u8; 8]) -> bool| {
                    window
                        .iter()
                        .enumerate()
                        .fold(0_u32, |equal, (n, entry)| equal | u32::from(lower(entry, low)) << n)
                };
                let equal = if WIDTH < 4 {
                    equal(|entry, low| entry[..2] == low[..2])
                } else {
                    equal(|entry, low| entry[..4] == low[..4])
                };
                let mut equal = equal & ((1 << count) - 1);
                while equal != 0 {
                    if unpack(window[equal.trailing_zeros() as usize]) == value {
                        return true;
                    }
                    equal &= equal - 1;
                }
                false
            }
            _ => self.iter_from::<WIDTH>(start).take(count).any(|entry| entry == value),
        }
    }

    pub(crate) fn push<const WIDTH: usize>(&mut self, value: u64) {
        let (page, at) = locate::<WIDTH>(self.len);
        if at == 0 {
            self.add_page();
        }
        self.pages[page].set::<WIDTH>(at, pack(value));
        self.len += 1;
    }

    /// Inserts an entry before index `place`.
    pub(crate) fn insert<const WIDTH: usize>(&mut self, place: usize, value: u64) {
        let (page, at) = locate::<WIDTH>(place);
        let (last, len) = locate::<WIDTH>(self.len);
        if len == 0 {
            self.add_page();
        }
        self.len += 1;
        let value = pack::<WIDTH>(value);
        if page == last {
            self.pages[page].insert(at, len, value);
            return;
        }
        let mut beyond = self.pages[page].insert_full(at, value);
        for full in &mut self.pages[page + 1..last] {
            beyond = full.push_front(beyond);
        }
        self.pages[last].insert(0, len, beyond);
    }

    /// Removes the entry at index `place`.
    pub(crate) fn remove<const WIDTH: usize>(&mut self, place: usize) {
        self.len -= 1;
        let (page, at) = locate::<WIDTH>(place);
        let (last, len) = locate::<WIDTH>(self.len);
        if page == last {
            self.pages[page].remove::<WIDTH>(at, len + 1);
        } else {
            let mut next = self.pages[last].get::<WIDTH>(0);
            self.pages[last].remove::<WIDTH>(0, len + 1);
            for full in self.pages[page + 1..last].iter_mut().rev() {
                next = full.push_back(next);
            }
            self.pages[page].remove_full(at, next);
        }
        if len == 0 {
            self.pages.truncate(last);
        }
    }

    /// Iterates over the entries from index `start`. After the last one, yields unused entries of its page.
    #[inline]
    pub(crate) fn iter_from<const WIDTH: usize>(&self, start: usize) -> EntriesIter<'_, WIDTH> {
        let (page, at) = locate::<WIDTH>(start);
        let mut pages = self.pages.get(page..).unwrap_or_default().iter();
        let [part, next] = pages.next().map_or([&[] as &[_]; 2], |page| page.parts(at));
        EntriesIter { part: part.iter().copied(), next, pages }
    }

    /// Appends the `count` entries from index `start` to `values`.
    pub(crate) fn decode<const WIDTH: usize>(&self, start: usize, count: usize, values: &mut Vec<u64>) {
        let (page, mut at) = locate::<WIDTH>(start);
        let mut left = count;
        for page in self.pages.get(page..).unwrap_or_default() {
            for part in page.parts::<WIDTH>(at) {
                let count = left.min(part.len());
                values.extend(part[..count].iter().map(|&entry| unpack(entry)));
                left -= count;
            }
            if left == 0 {
                return;
            }
            at = 0;
        }
    }

    /// Calls `each` with all entries in order, and frees each page after its last entry.
    pub(crate) fn drain<const WIDTH: usize>(self, mut each: impl FnMut(u64)) {
        let mut left = self.len;
        for page in self.pages {
            for part in page.parts::<WIDTH>(0) {
                let count = left.min(part.len());
                part[..count].iter().for_each(|&entry| each(unpack(entry)));
                left -= count;
            }
        }
    }

    #[cold]
    fn add_page(&mut self) {
        if self.pages.len() == self.pages.capacity() {
            self.pages.reserve_exact(PAGES_GROWTH);
        }
        self.pages.push(Page::new());
    }
}

/// The entries of an [`Entries`].
pub(crate) struct EntriesIter<'a, const WIDTH: usize> {
    part: Copied<slice::Iter<'a, [u8; WIDTH]>>,
    /// The other part of the page.
    next: &'a [[u8; WIDTH]],
    pages: slice::Iter<'a, Page>,
}

impl<const WIDTH: usize> Iterator for EntriesIter<'_, WIDTH> {
    type Item = u64;

    #[inline]
    fn next(&mut self) -> Option<u64> {
        loop {
            if let Some(entry) = self.part.next() {
                return Some(unpack(entry));
            }
            self.part = core::mem::take(&mut self.next).iter().copied();
            if self.part.len() == 0 {
                let [part, next] = self.pages.next()?.parts(0);
                (self.part, self.next) = (part.iter().copied(), next);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Indices are taken modulo the number of entries.
    #[derive(Clone, Debug)]
    enum Change {
        Push(u64),
        Insert(usize, u64),
        Remove(usize),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            any::<u64>().prop_map(Change::Push),
            any::<(usize, u64)>().prop_map(|(place, value)| Change::Insert(place, value)),
            any::<usize>().prop_map(Change::Remove),
        ]
    }

    fn behaves_as_a_vec<const WIDTH: usize>(len: usize, changes: &[Change]) {
        let mask = (1 << (8 * WIDTH)) - 1;
        let mut model: Vec<u64> = (1..=len as u64).map(|n| ((n << 40) / 7) & mask).collect();
        let mut entries = Entries::default();
        model.iter().for_each(|&value| entries.push::<WIDTH>(value));
        for change in changes {
            match *change {
                Change::Push(value) => {
                    entries.push::<WIDTH>(value & mask);
                    model.push(value & mask);
                }
                Change::Insert(place, value) => {
                    let place = place % (model.len() + 1);
                    entries.insert::<WIDTH>(place, value & mask);
                    model.insert(place, value & mask);
                }
                Change::Remove(place) if !model.is_empty() => {
                    let place = place % model.len();
                    entries.remove::<WIDTH>(place);
                    model.remove(place);
                }
                Change::Remove(_) => {}
            }
            assert_eq!(entries.len(), model.len());
            assert_eq!(entries.pages.len(), model.len().div_ceil(per_page::<WIDTH>()));
        }
        let walked: Vec<u64> = entries.iter_from::<WIDTH>(0).take(model.len()).collect();
        assert_eq!(walked, model);
        let (start, end) = (model.len() / 3, model.len() - model.len() / 4);
        let mut decoded = Vec::new();
        entries.decode::<WIDTH>(start, end - start, &mut decoded);
        assert_eq!(decoded, model[start..end]);
        for (place, &value) in model.iter().enumerate() {
            assert_eq!(entries.iter_from::<WIDTH>(place).next(), Some(value));
            for count in [1, 2, WINDOW, WINDOW + 1, 300] {
                let window = &model[place..model.len().min(place + count)];
                assert!(entries.contains::<WIDTH>(place, window.len(), window[window.len() - 1]));
                if let Some(&beyond) = model.get(place + count) {
                    let expected = window.contains(&beyond);
                    assert_eq!(entries.contains::<WIDTH>(place, count, beyond), expected);
                }
            }
        }
        let mut drained = Vec::new();
        entries.drain::<WIDTH>(|value| drained.push(value));
        assert_eq!(drained, model);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn entries_behave_like_a_vec(
            len in 0..1_000_usize,
            changes in prop::collection::vec(change(), 0..100),
        ) {
            behaves_as_a_vec::<3>(len, &changes);
            behaves_as_a_vec::<4>(len, &changes);
            behaves_as_a_vec::<5>(len, &changes);
        }
    }

    #[test]
    fn pages_are_added_and_removed_at_their_borders() {
        let border = per_page::<4>();
        for len in [0, 1, border - 1, border, border + 1, 2 * border - 1, 2 * border] {
            for place in [0, len / 2, len] {
                let insert = Change::Insert(place, 7);
                behaves_as_a_vec::<4>(len, &[insert.clone(), Change::Remove(place)]);
                behaves_as_a_vec::<4>(len, &[Change::Remove(place), insert, Change::Push(8)]);
            }
        }
    }
}
