//! Alternative in-process data structures for a list of blocked numbers. Each is opened once and kept open.

use std::path::Path;

use portcullis_host::Subject;
use redb::{Database, ReadOnlyTable, ReadableDatabase as _, TableDefinition};
use roaring::RoaringTreemap;
use rusqlite::Connection;

const TABLE: TableDefinition<'_, u64, ()> = TableDefinition::new("blocked");

/// A standard roaring treemap of the same 64-bit values.
pub(crate) fn treemap(members: &[Subject]) -> RoaringTreemap {
    members.iter().map(|subject| subject.get()).collect()
}

/// A redb table with an open read transaction. The database must outlive the table: reads from a closed database fail.
pub(crate) fn redb(folder: &Path, members: &[Subject]) -> (Database, ReadOnlyTable<u64, ()>) {
    let database = Database::create(folder.join("peer.redb")).expect("can create a redb database");
    let write = database.begin_write().expect("can begin a redb transaction");
    {
        let mut table = write.open_table(TABLE).expect("can create a redb table");
        let mut sorted: Vec<u64> = members.iter().map(|subject| subject.get()).collect();
        sorted.sort_unstable();
        for value in sorted {
            table.insert(value, ()).expect("can insert into redb");
        }
    }
    write.commit().expect("can commit to redb");
    let read = database.begin_read().expect("can begin a redb transaction");
    let table = read.open_table(TABLE).expect("the redb table exists");
    (database, table)
}

/// Whether redb contains the subject.
pub(crate) fn redb_has(table: &ReadOnlyTable<u64, ()>, subject: Subject) -> bool {
    table.get(subject.get()).expect("can read from redb").is_some()
}

/// SQLite configured for reading: WAL, memory-mapped, with an open read transaction.
pub(crate) fn sqlite(folder: &Path, members: &[Subject]) -> Connection {
    let mut connection = Connection::open(folder.join("peer.db")).expect("can create an SQLite database");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA mmap_size = 4000000000; PRAGMA cache_size = -262144;
             CREATE TABLE blocked (subject INTEGER PRIMARY KEY) STRICT, WITHOUT ROWID;",
        )
        .expect("can create an SQLite table");
    let transaction = connection.transaction().expect("can begin an SQLite transaction");
    {
        let mut insert = transaction
            .prepare("INSERT OR IGNORE INTO blocked VALUES (?1)")
            .expect("can prepare a statement");
        let mut sorted: Vec<u64> = members.iter().map(|subject| subject.get()).collect();
        sorted.sort_unstable();
        for value in sorted {
            insert.execute([value.cast_signed()]).expect("can insert into SQLite");
        }
    }
    transaction.commit().expect("can commit to SQLite");
    connection.execute_batch("BEGIN; SELECT count(*) FROM blocked").expect("can read from SQLite");
    connection
}

/// Whether SQLite contains the subject.
pub(crate) fn sqlite_has(connection: &Connection, subject: Subject) -> bool {
    let mut statement = connection
        .prepare_cached("SELECT 1 FROM blocked WHERE subject = ?1")
        .expect("can prepare a statement");
    statement.exists([subject.get().cast_signed()]).expect("can read from SQLite")
}
