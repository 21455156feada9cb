use std::thread;

use portcullis_msisdn::Directions;

use super::fixture::{block, limit, list, subject};
use crate::ledger_dir::LedgerDir;

#[test]
fn many_clients_share_commits_and_lose_nothing() {
    const CLIENTS: u64 = 64;
    const EACH: u64 = 20;
    let dir = LedgerDir::new();
    let ledger = dir.ledger();
    let list = list(&ledger);
    let before = ledger.stats();
    thread::scope(|scope| {
        for client in 0..CLIENTS {
            let list = &list;
            scope.spawn(move || {
                for n in 0..EACH {
                    let value = n * CLIENTS + client;
                    let written = list.write(vec![block(value, Directions::OUTBOUND)]).unwrap();
                    let seen = list.get(subject(value)).unwrap().expect("read your write");
                    assert_eq!(seen.sequence, written[0].sequence);
                }
            });
        }
    });
    let all = list.members(None, limit(10_000)).unwrap();
    assert_eq!(all.len() as u64, CLIENTS * EACH);
    assert_eq!(list.count().unwrap(), CLIENTS * EACH);
    assert_eq!(list.sequence().unwrap().get(), CLIENTS * EACH);
    let stats = ledger.stats();
    assert_eq!(stats.jobs - before.jobs, CLIENTS * EACH);
    assert!((stats.commits - before.commits) * 2 < CLIENTS * EACH, "{stats:?}");
}
