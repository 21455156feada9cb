//! How far a list of a shared ledger was read.

use portcullis_ledger::{Mark, Seq};

/// How far a list of a shared ledger was read, lately.
#[derive(Debug, Default)]
pub struct Positions {
    /// The positions that were read in the present epoch, and the last one before it.
    read: Vec<(Seq, Mark)>,
    epoch: u64,
    /// Whether there were more than are kept.
    is_cut_off: bool,
}

/// The most positions that are kept. An epoch usually lasts 20 ms, and ends after the longest call of the ledger.
const MOST: usize = 1 << 16;

impl Positions {
    /// Notes a position that was read. `epoch` counts the looks at the ledger that continued an earlier one: what was read before the
    /// last of them is of the ledger's history. What was read since may be of two histories, if another server took over.
    pub fn note(&mut self, epoch: u64, sequence: Seq, mark: Mark) {
        let position = (sequence, mark);
        if self.epoch != epoch {
            self.read.drain(..self.read.len().saturating_sub(1));
            (self.epoch, self.is_cut_off) = (epoch, false);
        }
        if self.read.last() == Some(&position) {
            return;
        }
        if self.read.len() >= MOST {
            self.read.clear();
            self.is_cut_off = true;
        }
        self.read.push(position);
    }

    /// The positions that are of the ledger's history unless it has lost some of it. `None` if there are too many to say.
    pub fn known(&self) -> Option<&[(Seq, Mark)]> {
        (!self.is_cut_off).then_some(&self.read)
    }

    /// Forgets what was read: the plugin is filled again.
    pub fn forget(&mut self) {
        *self = Positions { epoch: self.epoch, ..Positions::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(positions: &mut Positions, epoch: u64, n: u64) {
        positions.note(epoch, Seq::new(n), Mark(n));
    }

    fn read(positions: &Positions) -> Vec<u64> {
        positions.read.iter().map(|(sequence, _)| sequence.get()).collect()
    }

    #[test]
    fn all_that_was_read_in_an_epoch_is_kept_and_where_it_began() {
        let mut positions = Positions::default();
        for n in [10, 11, 11] {
            note(&mut positions, 1, n);
        }
        assert_eq!(read(&positions), [10, 11]);
        // Another server may have taken over after any of these.
        for n in [12, 13, 14] {
            note(&mut positions, 2, n);
        }
        assert_eq!(read(&positions), [11, 12, 13, 14]);
        note(&mut positions, 3, 14);
        assert_eq!(read(&positions), [14]);
        positions.forget();
        assert!(read(&positions).is_empty());
    }

    #[test]
    fn an_epoch_with_too_many_positions_is_known_to_be_cut_off() {
        let mut positions = Positions::default();
        (0..=MOST as u64).for_each(|n| note(&mut positions, 1, n));
        assert!(positions.is_cut_off);
        note(&mut positions, 2, 0);
        assert!(!positions.is_cut_off);
        assert_eq!(read(&positions), [MOST as u64, 0]);
    }
}
