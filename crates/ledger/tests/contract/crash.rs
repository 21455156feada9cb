use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

use portcullis_ledger::{List, Seq};
use portcullis_msisdn::Directions;

use super::fixture::{block, limit, list};
use crate::ledger_dir::LedgerDir;

const LEDGER: &str = "PORTCULLIS_TEST_LEDGER";
const FIRST: &str = "PORTCULLIS_TEST_FIRST";

pub(crate) fn members(list: &List) -> BTreeSet<u64> {
    list.members(None, limit(1_000_000)).unwrap().iter().map(|(subject, _)| subject.get()).collect()
}

/// Not a test by itself: the next test starts and kills it. Writes forever, and prints which writes were acknowledged.
#[test]
#[ignore = "run by acknowledged_writes_survive_being_killed in a process of its own"]
fn writes_until_killed() {
    let Ok(address) = std::env::var(LEDGER) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let list = list(&LedgerDir::open(&address));
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

/// A child process that is killed when the test ends, however it ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn acknowledged_writes_survive_being_killed() {
    let dir = LedgerDir::new();
    let address = dir.address();
    let mut acknowledged = BTreeSet::new();
    for round in 0..5_u64 {
        let mut child = Killed(
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "contract::crash::writes_until_killed", "--include-ignored", "--nocapture"])
                .env(LEDGER, &address)
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
        // The child keeps writing meanwhile, so it is killed at a random point.
        let patience = getrandom::u32().unwrap() % 300 + 1;
        for _ in 0..patience {
            acknowledged.insert(next().expect("the child writes until it is killed"));
        }
        drop(child);
        // Output that was written before the kill also counts.
        acknowledged.extend(std::iter::from_fn(next));

        let list = list(&LedgerDir::open(&address));
        let members = members(&list);
        assert!(members.is_superset(&acknowledged), "lost {:?}", acknowledged.difference(&members));
        assert_eq!(list.count().unwrap(), members.len() as u64);
        assert_eq!(list.sequence().unwrap(), Seq::new(members.len() as u64));
    }
}
