//! The slots of one counter.

/// The slots of a ring: eight that make up a window, and the one that is being filled.
pub(crate) const SLOTS: usize = 9;

/// Counts of the latest nine slots of time.
///
/// A slot lasts an eighth of the window. What was counted in a slot counts until the ninth after it begins: for the window, and at most
/// an eighth longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ring {
    /// The number of the latest slot, counted from 1970.
    head: u64,
    /// Slot `n` stands at `n` modulo nine.
    counts: [u32; SLOTS],
}

impl Ring {
    /// Nothing was counted.
    pub(crate) const fn new(head: u64) -> Self {
        Ring { head, counts: [0; SLOTS] }
    }

    /// A ring of these counts, the latest first.
    pub(crate) fn from_latest(head: u64, latest: [u32; SLOTS]) -> Self {
        let mut ring = Ring::new(head);
        for (back, count) in (0..).zip(latest) {
            if back <= head {
                ring.counts[place(head - back)] = count;
            }
        }
        ring
    }

    /// The counts, the latest first.
    pub(crate) fn latest(&self) -> [u32; SLOTS] {
        std::array::from_fn(|back| {
            self.head.checked_sub(back as u64).map_or(0, |slot| self.counts[place(slot)])
        })
    }

    pub(crate) const fn head(&self) -> u64 {
        self.head
    }

    /// Counts so many in this slot, or in the oldest of the ring if it is older: threads may be late. Returns the slot.
    #[inline]
    pub(crate) fn add(&mut self, slot: u64, count: u32) -> u64 {
        if slot > self.head {
            self.advance(slot);
        }
        let slot = slot.max(self.oldest());
        let counted = &mut self.counts[place(slot)];
        *counted = counted.saturating_add(count);
        slot
    }

    /// Takes so many off this slot. Returns whether there were any.
    pub(crate) fn take(&mut self, slot: u64, count: u32) -> bool {
        if slot > self.head || slot < self.oldest() {
            return false;
        }
        let counted = &mut self.counts[place(slot)];
        let had = *counted > 0;
        *counted = counted.saturating_sub(count);
        had
    }

    /// What counts at this slot. What is in later ones does, too.
    #[inline]
    pub(crate) fn sum(&self, slot: u64) -> u32 {
        let expired = slot.saturating_sub(self.head);
        if expired == 0 {
            return self.counts.iter().fold(0, |sum: u32, &count| sum.saturating_add(count));
        }
        if expired >= SLOTS as u64 {
            return 0;
        }
        let from = slot.saturating_sub(SLOTS as u64 - 1);
        (from..=self.head).fold(0, |sum: u32, slot| sum.saturating_add(self.counts[place(slot)]))
    }

    /// Whether all of it has expired at this slot. One that is empty as all was taken off is not: others have to be told.
    pub(crate) fn is_idle(&self, slot: u64) -> bool {
        slot >= self.head + SLOTS as u64
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.counts == [0; SLOTS]
    }

    fn oldest(&self) -> u64 {
        self.head.saturating_sub(SLOTS as u64 - 1)
    }

    fn advance(&mut self, slot: u64) {
        if slot - self.head >= SLOTS as u64 {
            self.counts = [0; SLOTS];
        } else {
            for passed in self.head + 1..=slot {
                self.counts[place(passed)] = 0;
            }
        }
        self.head = slot;
    }
}

#[allow(clippy::cast_possible_truncation, reason = "less than nine")]
#[inline]
fn place(slot: u64) -> usize {
    (slot % SLOTS as u64) as usize
}
