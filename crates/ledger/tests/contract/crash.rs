use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::thread;

use portcullis_ledger::{List, Outcome, Scope, Seq};
use portcullis_msisdn::Directions;

use super::fixture::{block, limit, list, one, sender, subject, tenant, until};
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

/// Not a test by itself, like the one before. Forgets a tenant, says so, and then writes for another one forever.
#[test]
#[ignore = "run by a_forgotten_tenant_stays_forgotten_after_a_kill in a process of its own"]
fn forgets_and_writes_until_killed() {
    let Ok(address) = std::env::var(LEDGER) else { return };
    let first: u64 = std::env::var(FIRST).unwrap().parse().unwrap();
    let ledger = LedgerDir::open(&address);
    let say = |word: &str, value: u64| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{word} {value}").and_then(|()| out.flush()).unwrap();
    };
    assert!(ledger.forget_tenant(&tenant("acme")).unwrap());
    say("acknowledged", 0);
    let other = ledger.list(&tenant("other"), sender("bot")).unwrap();
    for value in first.. {
        other.write(vec![block(value, Directions::BOTH)]).unwrap();
        say("acknowledged", value);
    }
}

/// A child process that is killed when the test ends, however it ends.
struct Killed(Child);

impl Killed {
    /// Starts a test of this file. What it writes begins with `first`.
    fn start(test: &str, address: &str, first: u64) -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &format!("contract::crash::{test}"), "--include-ignored", "--nocapture"])
            .env(LEDGER, address)
            .env(FIRST, first.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        Killed(child)
    }

    /// What it says was acknowledged, one after the other.
    fn acknowledged(&mut self) -> impl FnMut() -> Option<u64> + use<> {
        let mut lines = BufReader::new(self.0.stdout.take().unwrap()).lines();
        move || {
            loop {
                let line = lines.next()?.unwrap();
                if let Some(value) = line.strip_prefix("acknowledged ") {
                    return value.parse().ok();
                }
            }
        }
    }
}

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
        let mut child = Killed::start("writes_until_killed", &address, round << 32);
        let mut next = child.acknowledged();
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

#[test]
fn a_forgotten_tenant_stays_forgotten_after_a_kill() {
    const ENTRIES: u64 = 5000;
    let dir = LedgerDir::new();
    let mut acknowledged = BTreeSet::new();
    for round in 1..5_u64 {
        let ledger = dir.ledger();
        list(&ledger).write((0..ENTRIES).map(|value| block(value, Directions::BOTH)).collect()).unwrap();
        drop(ledger);
        let mut child = Killed::start("forgets_and_writes_until_killed", &dir.address(), round << 32);
        let mut next = child.acknowledged();
        assert_eq!(next(), Some(0), "the tenant is forgotten");
        // At a random point of the deletion, and of what is written meanwhile.
        let patience = getrandom::u32().unwrap() % 12;
        for _ in 0..patience {
            acknowledged.insert(next().expect("the child writes until it is killed"));
        }
        drop(child);
        acknowledged.extend(std::iter::from_fn(next));

        let ledger = dir.ledger();
        assert!(!ledger.tenants().unwrap().contains(&tenant("acme")));
        assert_eq!(ledger.lists(&tenant("acme")).unwrap(), [] as [Scope; 0]);
        // One of the same name begins empty, and stays what it is while the rows of the other are deleted.
        let again = list(&ledger);
        assert_eq!((again.count().unwrap(), again.get_many(&[subject(1)]).unwrap()), (0, vec![None]));
        assert_eq!(one(&again, block(1, Directions::BOTH)), Outcome::Added);
        let other = ledger.list(&tenant("other"), sender("bot")).unwrap();
        assert!(members(&other).is_superset(&acknowledged));
        let left = 1 + other.count().unwrap();
        until("deleted", || dir.rows("entries") as u64 == left);
        assert_eq!(members(&again), BTreeSet::from([1]));
        assert_eq!(ledger.tenants().unwrap(), [tenant("acme"), tenant("other")]);
        drop((again, other));
        ledger.forget_tenant(&tenant("acme")).unwrap();
    }
}
