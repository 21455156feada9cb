use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use portcullis_ledger::{List, Seq};
use portcullis_msisdn::Directions;

use crate::fixture::{Folder, block, limit, list, open};

const LEDGER: &str = "PORTCULLIS_TEST_LEDGER";
const FIRST: &str = "PORTCULLIS_TEST_FIRST";

fn members(list: &List) -> BTreeSet<u64> {
    list.members(None, limit(1_000_000)).unwrap().iter().map(|(subject, _)| subject.get()).collect()
}

/// Not a test: what the next one starts and kills. Writes for ever, and tells which writes were
/// acknowledged.
#[test]
#[ignore = "run by acknowledged_writes_survive_being_killed in a process of its own"]
fn writes_until_killed() {
    let Some(path) = std::env::var_os(LEDGER) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let list = list(&open(Path::new(&path)).unwrap());
    thread::scope(|scope| {
        for client in 0..4 {
            let list = &list;
            scope.spawn(move || {
                for n in 0.. {
                    let value = first + n * 4 + client;
                    list.write(vec![block(value, Directions::BOTH)]).unwrap();
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "acknowledged {value}").and_then(|()| out.flush()).unwrap();
                }
            });
        }
    });
}

/// A process that does not outlive the test, whatever becomes of that.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn acknowledged_writes_survive_being_killed() {
    let folder = Folder::new();
    let path = folder.file("ledger.db");
    let mut acknowledged = BTreeSet::new();
    for round in 0..5_u64 {
        let mut child = Killed(
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "crash::writes_until_killed", "--include-ignored", "--nocapture"])
                .env(LEDGER, &path)
                .env(FIRST, (round << 32).to_string())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap(),
        );
        let mut lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
        let mut next = || -> Option<u64> {
            loop {
                let line = lines.next()?.unwrap();
                if let Some(value) = line.strip_prefix("acknowledged ") {
                    return value.parse().ok();
                }
            }
        };
        // It goes on writing while these are read, so it dies wherever it is by then.
        let patience = getrandom::u32().unwrap() % 300 + 1;
        for _ in 0..patience {
            acknowledged.insert(next().expect("it writes until it is killed"));
        }
        drop(child);
        // What it still said before it died counts.
        acknowledged.extend(std::iter::from_fn(next));

        let list = list(&open(&path).unwrap());
        let members = members(&list);
        assert!(members.is_superset(&acknowledged), "lost {:?}", acknowledged.difference(&members));
        assert_eq!(list.count().unwrap(), members.len() as u64);
        assert_eq!(list.sequence().unwrap(), Seq::new(members.len() as u64));
    }
}

/// A ledger as a crash leaves it: the file and its log, of 30 writes.
struct Crashed {
    file: Vec<u8>,
    log: Vec<u8>,
    writes: u64,
}

impl Crashed {
    fn new() -> Self {
        let folder = Folder::new();
        let ledger = folder.ledger();
        let list = list(&ledger);
        let writes = 30;
        for value in 1..=writes {
            list.write(vec![block(value, Directions::BOTH)]).unwrap();
        }
        let read = |name| std::fs::read(folder.file(name)).unwrap();
        Crashed { file: read("ledger.db"), log: read("ledger.db-wal"), writes }
    }

    /// How many of the writes are there when it is opened with this log. They must be the first ones,
    /// whole.
    fn survivors(&self, log: &[u8]) -> u64 {
        let folder = Folder::new();
        std::fs::write(folder.file("ledger.db"), &self.file).unwrap();
        std::fs::write(folder.file("ledger.db-wal"), log).unwrap();
        let ledger = folder.ledger();
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
fn a_torn_log_gives_a_prefix_of_the_writes() {
    let crashed = Crashed::new();
    assert_eq!(crashed.survivors(&crashed.log), crashed.writes);
    let mut fewest = crashed.writes;
    // The first pages make the tables.
    let made = crashed.log.len() / 2;
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
