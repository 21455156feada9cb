//! Shorthand for tests.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use portcullis_ledger::{Actor, Block, Entry, Ledger, List, Outcome, Scope, TenantId, Unblock, Write};
use portcullis_msisdn::{Directions, Subject};
use proptest::prelude::ProptestConfig;

pub(crate) fn tenant(name: &str) -> TenantId {
    name.parse().unwrap()
}

pub(crate) fn sender(name: &str) -> Scope {
    Scope::Sender(name.parse().unwrap())
}

pub(crate) fn list(ledger: &Ledger) -> List {
    ledger.list(&tenant("acme"), sender("bot")).unwrap()
}

pub(crate) fn subject(value: u64) -> Subject {
    Subject::new(value).unwrap()
}

pub(crate) fn actor(name: &str) -> Actor {
    Actor::new(name).unwrap()
}

pub(crate) fn limit(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap()
}

pub(crate) fn time(millisecond: i64) -> Timestamp {
    Timestamp::from_millisecond(millisecond).unwrap()
}

pub(crate) fn block(value: u64, directions: Directions) -> Write {
    Block::new(subject(value), directions, actor("crm")).into()
}

pub(crate) fn unblock(value: u64, directions: Directions) -> Write {
    Unblock::new(subject(value), directions, actor("help desk")).into()
}

/// Changes a block; returns an unblock unchanged.
pub(crate) fn of_block(write: Write, change: impl FnOnce(&mut Block)) -> Write {
    match write {
        Write::Block(mut block) => {
            change(&mut block);
            block.into()
        }
        unblock => unblock,
    }
}

/// Changes an unblock; returns a block unchanged.
pub(crate) fn of_unblock(write: Write, change: impl FnOnce(&mut Unblock)) -> Write {
    match write {
        Write::Unblock(mut unblock) => {
            change(&mut unblock);
            unblock.into()
        }
        block => block,
    }
}

/// So many cases of a property, unless `PROPTEST_CASES` says how many.
pub(crate) fn cases(usual: u32) -> ProptestConfig {
    let default = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    let is_told = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if is_told { default.cases } else { usual }, ..default }
}

/// Waits until something is so.
pub(crate) fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "never {what}");
        std::thread::yield_now();
    }
}

pub(crate) fn one(list: &List, write: Write) -> Outcome {
    list.write(vec![write]).unwrap()[0].outcome
}

pub(crate) fn entry(list: &List, value: u64) -> Entry {
    list.get(subject(value)).unwrap().expect("an entry")
}
