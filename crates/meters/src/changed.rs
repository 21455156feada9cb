//! Which counters changed lately.

use std::collections::VecDeque;

use crate::counters::Id;

/// The most ticks that are remembered.
const TICKS: usize = 64;

/// The counters that changed in each of the latest ticks, each once a tick.
#[derive(Clone, Debug)]
pub(crate) struct Changed {
    /// The number of the last tick, which is under way.
    tick: u64,
    /// The latest is the last.
    ticks: VecDeque<Vec<Id>>,
    /// How many ids there are in all.
    ids: usize,
    /// The most of them.
    most: usize,
    /// What changed in earlier ticks is not known.
    known_from: u64,
}

impl Changed {
    /// From this tick on, with at most so many ids.
    pub(crate) fn new(tick: u64, most: usize) -> Self {
        Changed { tick, ticks: VecDeque::from([Vec::new()]), ids: 0, most, known_from: tick }
    }

    pub(crate) fn tick(&self) -> u64 {
        self.tick
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ids * size_of::<Id>()
    }

    /// The most that they may take, with the room that lists keep to grow into.
    pub(crate) fn most_bytes(&self) -> usize {
        2 * self.most * size_of::<Id>()
    }

    /// The lower bits of the tick: what a counter remembers of it.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the lower bits tell ticks apart that are near each other"
    )]
    #[inline]
    pub(crate) fn mark(&self) -> u32 {
        self.tick as u32
    }

    /// A counter changed that did not in this tick.
    #[inline]
    pub(crate) fn note(&mut self, id: Id) {
        if self.known_from > self.tick {
            return;
        }
        if let Some(last) = self.ticks.back_mut() {
            last.push(id);
            self.ids += 1;
        }
        if self.ids > self.most {
            self.forget();
        }
    }

    /// Forgets the older half of the ticks: those that ask for them are told all.
    fn forget(&mut self) {
        if self.ticks.len() == 1 {
            self.known_from = self.tick + 1;
            self.ticks[0] = Vec::new();
            self.ids = 0;
            return;
        }
        for _ in 0..self.ticks.len().div_ceil(2) {
            if let Some(forgotten) = self.ticks.pop_front() {
                self.ids -= forgotten.len();
                self.known_from += 1;
            }
        }
        if self.ticks.is_empty() {
            self.ticks.push_back(Vec::new());
        }
    }

    /// Begins the next tick. Returns its number.
    pub(crate) fn next(&mut self) -> u64 {
        self.tick += 1;
        if self.known_from == self.tick {
            // Nothing is known of the tick that has ended: its list is empty, and becomes this one's.
            return self.tick;
        }
        if let Some(last) = self.ticks.back_mut() {
            last.shrink_to_fit();
        }
        self.ticks.push_back(Vec::new());
        if self.ticks.len() > TICKS
            && let Some(forgotten) = self.ticks.pop_front()
        {
            self.ids -= forgotten.len();
            self.known_from += 1;
        }
        self.tick
    }

    /// What changed since this tick began, sorted, each once. `None` if that is not known.
    pub(crate) fn since(&self, tick: u64) -> Option<Vec<Id>> {
        if tick < self.known_from {
            return None;
        }
        let back = usize::try_from(self.tick.checked_sub(tick)?).ok()?;
        let from = self.ticks.len().checked_sub(back + 1)?;
        let mut ids: Vec<Id> = self.ticks.iter().skip(from).flatten().copied().collect();
        ids.sort_unstable();
        ids.dedup();
        Some(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Key;

    fn id(value: u64) -> Id {
        Id::new(0, Key::Value(value))
    }

    #[test]
    fn what_changed_since_a_tick_is_told_once() {
        let mut changed = Changed::new(7, 100);
        changed.note(id(1));
        assert_eq!(changed.next(), 8);
        changed.note(id(2));
        changed.note(id(1));
        assert_eq!(changed.since(7), Some(vec![id(1), id(2)]));
        assert_eq!(changed.since(8), Some(vec![id(1), id(2)]));
        assert_eq!(changed.next(), 9);
        assert_eq!(changed.since(9), Some(vec![]));
        assert_eq!(changed.since(6), None, "before the first");
        assert_eq!(changed.since(10), None, "not begun");
    }

    #[test]
    fn what_is_too_much_is_forgotten_and_said_to_be() {
        let mut changed = Changed::new(1, 10);
        for value in 0..11 {
            changed.note(id(value));
        }
        assert_eq!(changed.since(1), None);
        assert_eq!(changed.next(), 2);
        changed.note(id(1));
        assert_eq!(changed.since(2), Some(vec![id(1)]));
        assert_eq!(changed.since(1), None);
        assert_eq!(changed.next(), 3);
        for value in 0..10 {
            changed.note(id(value));
        }
        assert_eq!(changed.since(2), None);
        assert_eq!(changed.since(3).map(|ids| ids.len()), Some(10));
    }

    #[test]
    fn old_ticks_are_forgotten() {
        let mut changed = Changed::new(1, 1000);
        for _ in 0..TICKS {
            changed.next();
        }
        assert_eq!(changed.since(1), None);
        assert_eq!(changed.since(2), Some(vec![]));
    }
}
