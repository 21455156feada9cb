//! What durable writes cost, beside plain SQLite doing the same: `cargo bench -p portcullis-ledger`.
//!
//! In the folder `TMPDIR`: the disk decides most of it, so it must be the one that matters.
#![allow(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(missing_docs, reason = "a bench has no API")]

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis_ledger::{Actor, HoldKind, Ledger, List, MasterKey, Scope, Source, StorageUrl, Write};
use portcullis_msisdn::{Directions, Permutation, PermutationKey, Subject};
use rusqlite::Connection;

const NUMBERS: u64 = 1_000_000;
const BATCH: usize = 10_000;

/// The n-th of as many different subjects as there are, in no order.
fn subject(n: u64) -> Subject {
    Permutation::new(PermutationKey::from_bytes([1; 16])).rename(Subject::new(n).expect("50 bits"))
}

/// The first subjects, as they come or sorted.
fn subjects(sorted: bool) -> Vec<Subject> {
    let mut subjects: Vec<Subject> = (0..NUMBERS).map(subject).collect();
    if sorted {
        subjects.sort_unstable();
    }
    subjects
}

fn block(actor: &Actor, subject: Subject) -> Write {
    Write::Block {
        subject,
        hold: HoldKind::Operator,
        directions: Directions::OUTBOUND,
        source: Source::Import,
        label: None,
        actor: actor.clone(),
        reason: None,
        display: None,
        expires: None,
    }
}

fn open(path: &Path) -> (Ledger, List) {
    let ledger = Ledger::open(&StorageUrl::Sqlite(path.into()), MasterKey::from_bytes([1; 32])).unwrap();
    let list = ledger.list(&"acme".parse().unwrap(), Scope::Tenant).unwrap();
    (ledger, list)
}

fn per_second(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| -> PathBuf { dir.path().join(name) };
    single_and_many(&path("clients.db"));
    for sorted in [false, true] {
        println!("{} subjects:", if sorted { "sorted" } else { "unsorted" });
        bulk(&path(&format!("bulk-{sorted}.db")), sorted);
        for batch in [BATCH, subjects(sorted).len()] {
            plain(&path(&format!("plain-{sorted}-{batch}.db")), sorted, batch);
        }
    }
}

/// One client's durable writes, and those of 64 at once.
fn single_and_many(path: &Path) {
    let (ledger, list) = open(path);
    let actor = Actor::new("bench").unwrap();
    let mut rates = Vec::new();
    for clients in [1_u64, 4, 16, 64] {
        let before = ledger.stats();
        let each = (2_000 + 400 * clients) / clients;
        let start = Instant::now();
        std::thread::scope(|scope| {
            for client in 0..clients {
                let (list, actor) = (&list, &actor);
                scope.spawn(move || {
                    for n in 0..each {
                        list.write(vec![block(actor, subject(clients << 40 | client << 20 | n))]).unwrap();
                    }
                });
            }
        });
        let rate = per_second(each * clients, start.elapsed());
        let stats = ledger.stats();
        rates.push(rate);
        println!(
            "{clients:>3} clients: {rate:>8.0} durable writes/s ({:.1} × one), {:.1} a commit",
            rate / rates[0],
            (stats.jobs - before.jobs) as f64 / (stats.commits - before.commits) as f64,
        );
    }
}

fn bulk(path: &Path, sorted: bool) {
    let actor = Actor::new("bench").unwrap();
    let (ledger, list) = open(path);
    let subjects = subjects(sorted);
    let start = Instant::now();
    let mut slowest = Duration::ZERO;
    for batch in subjects.chunks(BATCH) {
        let writes = batch.iter().map(|&subject| block(&actor, subject)).collect();
        let began = Instant::now();
        list.write(writes).unwrap();
        slowest = slowest.max(began.elapsed());
    }
    let took = start.elapsed();
    println!("bulk: {:.0} numbers/s, slowest batch {slowest:?}", per_second(NUMBERS, took));

    let start = Instant::now();
    let (mut after, mut count) = (None, 0);
    let limit = NonZeroUsize::new(10_000).unwrap();
    loop {
        let members = list.members(after, limit).unwrap();
        count += members.len();
        after = members.last().map(|&(subject, _)| subject);
        if members.len() < limit.get() {
            break;
        }
    }
    println!("walk of {count} members: {:?}", start.elapsed());

    // As after a crash: the log is there, and its index is not.
    let copy = path.with_file_name("crashed.db");
    let _ = std::fs::remove_file(path.with_file_name("crashed.db-wal"));
    std::fs::copy(path, &copy).unwrap();
    std::fs::copy(path.with_extension("db-wal"), path.with_file_name("crashed.db-wal")).unwrap();
    let log = std::fs::metadata(path.with_file_name("crashed.db-wal")).unwrap().len();
    let start = Instant::now();
    let crashed = open(&copy);
    println!("reopen with a log of {} MiB: {:?}", log >> 20, start.elapsed());
    drop(crashed);

    let start = Instant::now();
    drop((ledger, list));
    println!("close: {:?}", start.elapsed());
    let start = Instant::now();
    let (ledger, list) = open(path);
    assert_eq!(list.count().unwrap(), NUMBERS);
    println!("reopen after closing: {:?}", start.elapsed());
    drop((ledger, list));

    let connection = Connection::open(path).unwrap();
    let mut statement = connection
        .prepare(
            "SELECT name, sum(pgsize), sum(payload) FROM dbstat WHERE name LIKE 'entries%' GROUP BY name",
        )
        .unwrap();
    let sizes = statement
        .query_map((), |row| Ok((row.get::<_, String>(0)?, row.get::<_, f64>(1)?, row.get::<_, f64>(2)?)))
        .unwrap();
    for size in sizes {
        let (name, pages, payload) = size.unwrap();
        let each = |bytes: f64| bytes / NUMBERS as f64;
        println!("{name}: {:.1} bytes a number in pages, {:.1} of content", each(pages), each(payload));
    }
}

/// The same rows, into the same tables with the same settings, by nothing but SQLite.
fn plain(path: &Path, sorted: bool, batch: usize) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -65536;
             CREATE TABLE entries (
                list INTEGER NOT NULL, subject INTEGER NOT NULL, directions INTEGER NOT NULL,
                source INTEGER NOT NULL, sequence INTEGER NOT NULL, actor INTEGER NOT NULL,
                created INTEGER NOT NULL, updated INTEGER, lifted_by INTEGER, deactivated INTEGER,
                expires INTEGER, sealed BLOB, PRIMARY KEY (list, subject)
             ) STRICT, WITHOUT ROWID;
             CREATE UNIQUE INDEX entries_by_sequence ON entries (list, sequence);",
        )
        .unwrap();
    let subjects = subjects(sorted);
    let start = Instant::now();
    let mut sequence = 0_i64;
    for batch in subjects.chunks(batch) {
        let transaction = connection.unchecked_transaction().unwrap();
        let mut insert = transaction
            .prepare_cached(
                "INSERT INTO entries (list, subject, directions, source, sequence, actor, created)
                 VALUES (1, ?1, 2, 2, ?2, 1, 1760000000000)",
            )
            .unwrap();
        for subject in batch {
            sequence += 1;
            insert.execute((subject.get().cast_signed(), sequence)).unwrap();
        }
        drop(insert);
        transaction.commit().unwrap();
    }
    println!("plain SQLite, batches of {batch}: {:.0} numbers/s", per_second(NUMBERS, start.elapsed()));
}
