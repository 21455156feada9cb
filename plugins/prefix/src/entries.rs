//! The numbers that are blocked by themselves.

use std::collections::BTreeMap;

use portcullis_plugin_sdk::{Directions, Entry, Subject};

/// The most entries of a block. One that would have more is cut into two halves.
const BLOCK: usize = 256;

/// How many entries more a block gets room for at once. Doubling would leave a third of the memory unused.
const GROWTH: usize = 16;

/// Subjects with the directions that each is blocked in, in ascending order: eight to ten bytes each.
///
/// Numbers in clear crowd where a list is of one country, and are far apart where it is of all. So they are packed in
/// blocks of so many entries, which take the same memory wherever the numbers are. A million in a roaring bitmap were
/// measured at 2.5 bytes each in the one case and at 42 in the other; and the set of the default plugin needs numbers that
/// a permutation has spread.
#[derive(Default)]
pub(crate) struct Entries {
    /// By the first subject that may stand in it, each up to where the next begins. None is empty.
    blocks: BTreeMap<u64, Vec<Packed>>,
    len: usize,
}

/// A subject, and below its 50 bits those of its directions.
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
    /// How many subjects are blocked.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The directions that the subject is blocked in.
    #[inline]
    pub(crate) fn directions(&self, subject: Subject) -> Directions {
        let Some((_, block)) = self.blocks.range(..=subject.get()).next_back() else {
            return Directions::NONE;
        };
        place(block, subject).map_or(Directions::NONE, |place| block[place].directions())
    }

    /// Adds directions to a subject. Returns those that it had before.
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

    /// Takes directions from a subject. Returns those that it had before.
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

    /// The entries from a subject on, in ascending order.
    pub(crate) fn from(&self, first: u64) -> impl Iterator<Item = Entry> {
        let start = self.blocks.range(..=first).next_back().map_or(first, |(&start, _)| start);
        let blocks = self.blocks.range(start..).flat_map(|(_, block)| block.iter());
        blocks.skip_while(move |entry| entry.subject() < first).filter_map(|entry| entry.entry())
    }

    /// Puts the block that begins at `first` together with a neighbour, where the two are half a block, so that a list
    /// that shrinks does not keep its many blocks.
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

/// Where the subject stands in the block, or would stand.
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
        /// That the blocks are in order, neither empty nor overfull, and hold as many entries as are counted.
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

    /// Each number below `count` once, in an order of its own.
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
    fn the_least_and_the_largest_subject_are_entries_like_others() {
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
        fn it_is_a_map_of_directions(
            // Few numbers and many operations: blocks are split and put together.
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
