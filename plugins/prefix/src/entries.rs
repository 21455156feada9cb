//! The entries: numbers that are blocked individually.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{Directions, Entry, Subject};

/// The maximum number of entries in a block. A block that would exceed it is split in half.
const BLOCK: usize = 256;

/// The number of entries by which a block's capacity grows. Doubling would leave a third of the memory unused.
const GROWTH: usize = 16;

/// Subjects with their blocked directions, in ascending order, at eight to ten bytes each.
///
/// Numbers in the clear are dense in a list of one country, and sparse in a list of all. So they are packed in blocks
/// with a limited number of entries, whose memory use does not depend on the distribution. A roaring bitmap of a
/// million took 2.5 bytes per number in the one case, and 42 in the other. The default plugin's set requires the
/// uniform distribution that a permutation produces.
#[derive(Default)]
pub(crate) struct Entries {
    /// Keyed by the smallest subject that belongs in the block; the range ends where the next block's begins. No block
    /// is empty.
    blocks: BTreeMap<u64, Vec<Packed>>,
    len: usize,
}

/// A subject's 50 bits, followed by two bits of directions.
#[derive(Clone, Copy)]
struct Packed([u8; 7]);

impl From<Entry> for Packed {
    fn from(Entry { subject, directions }: Entry) -> Self {
        let [packed @ .., _] = (subject.get() << 2 | u64::from(directions.bits())).to_le_bytes();
        Packed(packed)
    }
}

impl Packed {
    #[inline]
    fn value(self) -> u64 {
        let mut bytes = [0; 8];
        bytes[..7].copy_from_slice(&self.0);
        u64::from_le_bytes(bytes)
    }

    #[inline]
    fn subject(self) -> u64 {
        self.value() >> 2
    }

    fn directions(self) -> Directions {
        Directions::from_bits(self.0[0] & 3).unwrap_or_default()
    }

    fn entry(self) -> Option<Entry> {
        Some(Entry { subject: Subject::new(self.subject())?, directions: self.directions() })
    }
}

impl Entries {
    /// The number of subjects.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The directions in which the subject is blocked.
    #[inline]
    pub(crate) fn directions(&self, subject: Subject) -> Directions {
        let Some((_, block)) = self.blocks.range(..=subject.get()).next_back() else {
            return Directions::NONE;
        };
        place(block, subject).map_or(Directions::NONE, |place| block[place].directions())
    }

    /// Adds directions to a subject. Returns the directions it had before.
    pub(crate) fn insert(&mut self, entry: Entry) -> Directions {
        let Entry { subject, directions } = entry;
        let block = match self.blocks.range_mut(..=subject.get()).next_back() {
            Some((_, block)) => block,
            None => self.blocks.entry(0).or_default(),
        };
        match place(block, subject) {
            Ok(place) => {
                let before = block[place].directions();
                block[place] = Entry { subject, directions: before | directions }.into();
                before
            }
            Err(place) => {
                if block.len() == block.capacity() {
                    block.reserve_exact(GROWTH);
                }
                block.insert(place, entry.into());
                self.len += 1;
                if block.len() > BLOCK {
                    let upper = block.split_off(BLOCK / 2);
                    block.shrink_to(BLOCK / 2 + GROWTH);
                    self.blocks.insert(upper[0].subject(), upper);
                }
                Directions::NONE
            }
        }
    }

    /// Removes directions from a subject. Returns the directions it had before.
    pub(crate) fn remove(&mut self, entry: Entry) -> Directions {
        let Entry { subject, directions } = entry;
        let Some((&first, block)) = self.blocks.range_mut(..=subject.get()).next_back() else {
            return Directions::NONE;
        };
        let Ok(place) = place(block, subject) else { return Directions::NONE };
        let before = block[place].directions();
        let left = before & !directions;
        if left.is_none() {
            block.remove(place);
            self.len -= 1;
            if block.capacity() - block.len() >= 2 * GROWTH {
                block.shrink_to(block.len() + GROWTH);
            }
            self.merge(first);
        } else {
            block[place] = Entry { subject, directions: left }.into();
        }
        before
    }

    /// The entries from `first` on, in ascending order.
    pub(crate) fn from(&self, first: u64) -> impl Iterator<Item = Entry> {
        let start = self.blocks.range(..=first).next_back().map_or(first, |(&start, _)| start);
        let blocks = self.blocks.range(start..).flat_map(|(_, block)| block.iter());
        blocks.skip_while(move |entry| entry.subject() < first).filter_map(|entry| entry.entry())
    }

    /// Removes the block that begins at `first` if it is empty, or merges it with a neighbour if both together are at
    /// most half a block, so that the number of blocks shrinks with the list.
    fn merge(&mut self, first: u64) {
        let lower = self.blocks.range(..first).next_back().map(|(&first, _)| first);
        for first in [Some(first), lower].into_iter().flatten() {
            let mut blocks = self.blocks.range(first..);
            let (Some((_, block)), next) = (blocks.next(), blocks.next()) else { continue };
            match next {
                _ if block.is_empty() => drop(self.blocks.remove(&first)),
                Some((&next, upper)) if block.len() + upper.len() <= BLOCK / 2 => {
                    let upper = self.blocks.remove(&next).unwrap_or_default();
                    self.blocks.entry(first).or_default().extend(upper);
                }
                _ => {}
            }
        }
    }
}

/// The index of the subject in the block, or the index to insert it at.
#[inline]
fn place(block: &[Packed], subject: Subject) -> Result<usize, usize> {
    block.binary_search_by_key(&subject.get(), |entry| entry.subject())
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn entry(subject: u64, directions: Directions) -> Entry {
        Entry { subject: Subject::new(subject).expect("below 2^50"), directions }
    }

    impl Entries {
        /// Asserts that the blocks are in order, not empty and not overfull, and that the count is right.
        fn assert_sound(&self) {
            let ends = self.blocks.keys().skip(1).copied().chain([u64::MAX]);
            for ((&first, block), end) in self.blocks.iter().zip(ends) {
                assert!((1..=BLOCK).contains(&block.len()));
                assert!(block.capacity() <= BLOCK + GROWTH);
                assert!(block.is_sorted_by(|one, next| one.subject() < next.subject()));
                assert!(block.iter().all(|entry| (first..end).contains(&entry.subject())));
            }
            assert_eq!(self.blocks.values().map(Vec::len).sum::<usize>(), self.len);
        }
    }

    /// The numbers below `count`, each once, in a scrambled order.
    fn scrambled(count: u64) -> impl Iterator<Item = u64> {
        (0..count).map(move |n| n * 7919 % count)
    }

    #[test]
    fn a_list_that_grows_and_shrinks_stays_in_order_and_packed() {
        const COUNT: u64 = 20_000;
        let mut entries = Entries::default();
        for number in scrambled(COUNT) {
            assert_eq!(entries.insert(entry(number * 3, Directions::BOTH)), Directions::NONE);
        }
        entries.assert_sound();
        assert_eq!(entries.len() as u64, COUNT);
        let walked: Vec<u64> = entries.from(0).map(|entry| entry.subject.get()).collect();
        assert!(walked.into_iter().eq((0..COUNT).map(|number| number * 3)));

        let gone = scrambled(COUNT).filter(|number| number % 50 != 0);
        for number in gone {
            assert_eq!(entries.remove(entry(number * 3, Directions::BOTH)), Directions::BOTH);
        }
        entries.assert_sound();
        assert_eq!(entries.len() as u64, COUNT / 50);
        assert!(entries.blocks.len() <= 4 * entries.len().div_ceil(BLOCK / 2), "{}", entries.blocks.len());

        for number in scrambled(COUNT) {
            entries.remove(entry(number * 3, Directions::BOTH));
        }
        assert_eq!(entries.len(), 0);
        assert!(entries.blocks.is_empty());
    }

    #[test]
    fn the_smallest_and_largest_subjects_work() {
        let mut entries = Entries::default();
        let ends = [Subject::MIN, Subject::MAX];
        for subject in ends {
            entries.insert(Entry { subject, directions: Directions::INBOUND });
        }
        assert!(entries.from(0).map(|entry| entry.subject).eq(ends));
        assert_eq!(entries.from(1).count(), 1);
        assert_eq!(entries.from(Subject::MAX.get() + 1).count(), 0);
        entries.remove(Entry { subject: Subject::MIN, directions: Directions::BOTH });
        assert_eq!(entries.directions(Subject::MIN), Directions::NONE);
        assert_eq!(entries.directions(Subject::MAX), Directions::INBOUND);
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_map_of_directions(
            // Few numbers and many operations, so that blocks are split and merged.
            operations in vec((0_u64..1200, 1_u8..=3, 0_u8..10), 4000),
            growing in 2_u8..8,
            first in 0_u64..1300,
        ) {
            let (mut entries, mut model) = (Entries::default(), BTreeMap::new());
            for (number, bits, kind) in operations {
                let directions = Directions::from_bits(bits).expect("two bits");
                let before = model.get(&number).copied().unwrap_or_default();
                prop_assert_eq!(entries.directions(entry(number, directions).subject), before);
                let (answer, after) = if kind < growing {
                    (entries.insert(entry(number, directions)), before | directions)
                } else {
                    (entries.remove(entry(number, directions)), before & !directions)
                };
                prop_assert_eq!(answer, before);
                if after.is_none() { model.remove(&number) } else { model.insert(number, after) };
            }
            entries.assert_sound();
            let expected = model.range(first..).map(|(&number, &directions)| entry(number, directions));
            prop_assert!(entries.from(first).eq(expected));
        }
    }
}
