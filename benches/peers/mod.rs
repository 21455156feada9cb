//! What else a list of blocked numbers could be held in, in the same process: each opened once and held open.

use std::path::Path;

use portcullis_host::Subject;
use redb::{Database, ReadOnlyTable, ReadableDatabase as _, TableDefinition};
use roaring::RoaringTreemap;
use rusqlite::Connection;

const TABLE: TableDefinition<'_, u64, ()> = TableDefinition::new("blocked");

/// A stock roaring treemap of the same 64-bit values.
pub(crate) fn treemap(members: &[Subject]) -> RoaringTreemap {
    members.iter().map(|subject| subject.get()).collect()
}

/// A redb table, with its read transaction held open. The database must outlive it: a table of a closed one answers with errors.
pub(crate) fn redb(folder: &Path, members: &[Subject]) -> (Database, ReadOnlyTable<u64, ()>) {
    let database = Database::create(folder.join("peer.redb")).expect("a database can be made");
    let write = database.begin_write().expect("it can be written");
    {
        let mut table = write.open_table(TABLE).expect("a table can be made");
        let mut sorted: Vec<u64> = members.iter().map(|subject| subject.get()).collect();
        sorted.sort_unstable();
        for value in sorted {
            table.insert(value, ()).expect("a row can be written");
        }
    }
    write.commit().expect("it is on disk");
    let read = database.begin_read().expect("it can be read");
    let table = read.open_table(TABLE).expect("the table is there");
    (database, table)
}

/// Whether redb has it.
pub(crate) fn redb_has(table: &ReadOnlyTable<u64, ()>, subject: Subject) -> bool {
    table.get(subject.get()).expect("an answer").is_some()
}

/// SQLite as it is set up for reading: WAL, mapped into memory, in a read transaction that is held.
pub(crate) fn sqlite(folder: &Path, members: &[Subject]) -> Connection {
    let mut connection = Connection::open(folder.join("peer.db")).expect("a database can be made");
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA mmap_size = 4000000000; PRAGMA cache_size = -262144;
             CREATE TABLE blocked (subject INTEGER PRIMARY KEY) STRICT, WITHOUT ROWID;",
        )
        .expect("it can be set up");
    let transaction = connection.transaction().expect("it can be written");
    {
        let mut insert =
            transaction.prepare("INSERT OR IGNORE INTO blocked VALUES (?1)").expect("a statement");
        let mut sorted: Vec<u64> = members.iter().map(|subject| subject.get()).collect();
        sorted.sort_unstable();
        for value in sorted {
            insert.execute([value.cast_signed()]).expect("a row can be written");
        }
    }
    transaction.commit().expect("it is on disk");
    connection.execute_batch("BEGIN; SELECT count(*) FROM blocked").expect("it can be read");
    connection
}

/// Whether SQLite has it.
pub(crate) fn sqlite_has(connection: &Connection, subject: Subject) -> bool {
    let mut statement =
        connection.prepare_cached("SELECT 1 FROM blocked WHERE subject = ?1").expect("a statement");
    statement.exists([subject.get().cast_signed()]).expect("an answer")
}
