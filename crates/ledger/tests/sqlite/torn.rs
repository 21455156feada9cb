//! Crashes of the machine that truncate or corrupt the log at any point.

use portcullis_ledger::{LedgerError, Opening, Seq};
use portcullis_msisdn::Directions;

use crate::contract::crash::members;
use crate::contract::fixture::{block, limit, list};
use crate::ledger_dir::{LedgerDir, open};

/// A ledger after a crash: the file and its log, with 30 writes.
struct Crashed {
    file: Vec<u8>,
    log: Vec<u8>,
    witness: Vec<u8>,
    writes: u64,
}

impl Crashed {
    fn new() -> Self {
        let dir = LedgerDir::new();
        let ledger = dir.ledger();
        let list = list(&ledger);
        let writes = 30;
        for value in 1..=writes {
            list.write(vec![block(value, Directions::BOTH)]).unwrap();
        }
        let read = |name| std::fs::read(dir.file(name)).unwrap();
        let witness = read("ledger.db.witness");
        Crashed { file: read("ledger.db"), log: read("ledger.db-wal"), witness, writes }
    }

    /// The number of writes that survive if the ledger is opened with this log. They must be a prefix of all writes. With
    /// the witness, a ledger with fewer than all is refused.
    fn survivors(&self, log: &[u8]) -> u64 {
        let dir = LedgerDir::new();
        std::fs::write(dir.file("ledger.db"), &self.file).unwrap();
        std::fs::write(dir.file("ledger.db-wal"), log).unwrap();
        std::fs::write(dir.file("ledger.db.witness"), &self.witness).unwrap();
        let opened = open(&dir.file("ledger.db"));
        let is_refused = matches!(opened, Err(LedgerError::Stale { .. } | LedgerError::WithoutLog { .. }));
        assert!(is_refused || opened.is_ok(), "{opened:?}");
        drop(opened);
        let count = Self::left(&dir, is_refused);
        assert_eq!(is_refused, count < self.writes);
        count
    }

    fn left(dir: &LedgerDir, restored: bool) -> u64 {
        let ledger = dir.open_as(&Opening::default().restored(restored)).unwrap();
        let list = list(&ledger);
        let members = members(&list);
        let count = members.len() as u64;
        assert!(members.into_iter().eq(1..=count), "a prefix");
        assert_eq!((list.count().unwrap(), list.sequence().unwrap()), (count, Seq::new(count)));
        let feed = list.changes_since(Seq::START, limit(100)).unwrap();
        assert_eq!(feed.changes.len() as u64, count);
        count
    }
}

#[test]
fn a_damaged_log_yields_a_prefix_of_the_writes() {
    let crashed = Crashed::new();
    assert_eq!(crashed.survivors(&crashed.log), crashed.writes);
    let mut fewest = crashed.writes;
    // Far enough that writes precede it.
    let made = crashed.log.len() / 4;
    for step in 0..40 {
        let at = made + (crashed.log.len() - made) * step / 40 + step;
        let cut = crashed.survivors(&crashed.log[..at]);
        fewest = fewest.min(cut);
        let mut flipped = crashed.log.clone();
        flipped[at] ^= 0x10;
        assert!(crashed.survivors(&flipped) < crashed.writes);
        let mut zeroed = crashed.log.clone();
        zeroed[at..].fill(0);
        assert!(crashed.survivors(&zeroed) <= cut + 1);
    }
    assert!(fewest < crashed.writes / 2, "the test reaches far into the log");
}
