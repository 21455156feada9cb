//! What is in the file, and making sure that it is that.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::error::LedgerError;
use crate::keys::Seal;

/// "PCLG", in the file's header, so that `file` and we can tell a ledger from other databases.
const APPLICATION_ID: i64 = 0x5043_4c47;
/// The newest schema version.
const VERSION: i64 = 5;

/// `address` and `interface` are empty where they are not known.
macro_rules! actors {
    () => {
        "CREATE TABLE actors (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            tenant INTEGER NOT NULL REFERENCES tenants (id),
            name TEXT NOT NULL,
            address TEXT NOT NULL DEFAULT '',
            interface TEXT NOT NULL DEFAULT '',
            UNIQUE (tenant, name, address, interface)
        ) STRICT;"
    };
}

macro_rules! entries_by_expiry {
    () => {
        "CREATE INDEX entries_by_expiry ON entries (expires)
            WHERE expires IS NOT NULL AND coalesce(own, directions) <> 0;"
    };
}

/// `holds` has those of an entry's holds that were not its first, which stands in the entry's row. `records` is the trail:
/// its rows are appended, and lead back to the entry's earlier ones by `previous`, so that no index is needed.
/// `visits` says who wrote lately, and when last. `identities` are user ids; `person` is the subject under which the entries of
/// that person stand, where it is not the id's own, and `tied` when that was so. `moves` are numbers that people left for
/// others.
macro_rules! further {
    ($requested:literal, $person:literal) => {
        concat!(
            "CREATE TABLE holds (
            list INTEGER NOT NULL REFERENCES lists (id),
            subject INTEGER NOT NULL,
            kind INTEGER NOT NULL,
            directions INTEGER NOT NULL,
            source INTEGER NOT NULL,
            actor INTEGER NOT NULL,
            since INTEGER NOT NULL,
            lifted_by INTEGER,
            expires INTEGER,
            sealed BLOB,",
            $requested,
            "
            PRIMARY KEY (list, subject, kind)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX holds_by_expiry ON holds (expires)
            WHERE expires IS NOT NULL AND directions <> 0;
        CREATE TABLE records (
            list INTEGER NOT NULL REFERENCES lists (id),
            sequence INTEGER NOT NULL,
            step INTEGER NOT NULL,
            subject INTEGER NOT NULL,
            previous INTEGER NOT NULL,
            at INTEGER NOT NULL,
            actor INTEGER NOT NULL,
            hold INTEGER,
            outcome INTEGER NOT NULL,
            source INTEGER,
            before INTEGER NOT NULL,
            after INTEGER NOT NULL,
            expires INTEGER,
            sealed BLOB,",
            $requested,
            "
            PRIMARY KEY (list, sequence, step)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE visits (
            list INTEGER NOT NULL REFERENCES lists (id),
            subject INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (list, subject)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE identities (
            tenant INTEGER NOT NULL REFERENCES tenants (id),
            digest BLOB NOT NULL,
            id INTEGER NOT NULL,
            sealed BLOB NOT NULL,",
            $person,
            "
            PRIMARY KEY (tenant, digest),
            UNIQUE (tenant, id)
        ) STRICT, WITHOUT ROWID;"
        )
    };
}

macro_rules! moves {
    () => {
        "CREATE TABLE moves (
            tenant INTEGER NOT NULL REFERENCES tenants (id),
            from_subject INTEGER NOT NULL,
            to_subject INTEGER NOT NULL,
            at INTEGER NOT NULL,
            PRIMARY KEY (tenant, from_subject, to_subject)
        ) STRICT, WITHOUT ROWID;"
    };
}

macro_rules! identities_by_person {
    () => {
        "CREATE INDEX identities_by_person ON identities (tenant, person) WHERE person IS NOT NULL;"
    };
}

/// What leads from each version to the next, from 1 on.
const STEPS: [&str; 4] = [
    "ALTER TABLE lists ADD COLUMN state BLOB",
    // `source` 3 is an opt-out, which until then was all that told one from an operator's block.
    concat!(
        "ALTER TABLE lists ADD COLUMN told INTEGER;
         ALTER TABLE entries ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE entries ADD COLUMN own INTEGER;
         ALTER TABLE entries ADD COLUMN ever INTEGER;
         ALTER TABLE entries ADD COLUMN since INTEGER;
         UPDATE entries SET kind = 1 WHERE source = 3;
         DROP INDEX entries_by_expiry;
         ALTER TABLE actors RENAME TO actors_before;",
        actors!(),
        "INSERT INTO actors (id, tenant, name) SELECT id, tenant, name FROM actors_before;
         DROP TABLE actors_before;",
        entries_by_expiry!(),
        further!("", ""),
    ),
    concat!(
        "ALTER TABLE entries ADD COLUMN requested INTEGER;
         ALTER TABLE holds ADD COLUMN requested INTEGER;
         ALTER TABLE records ADD COLUMN requested INTEGER;
         ALTER TABLE identities ADD COLUMN person INTEGER;",
        identities_by_person!(),
    ),
    concat!("ALTER TABLE identities ADD COLUMN tied INTEGER;", moves!()),
];

/// Sealed under the master key when the ledger is made, so that a wrong key is noticed at once.
const CHECK_TEXT: &[u8] = b"This ledger was made under this master key.";
const CHECK_CONTEXT: &[u8] = b"portcullis ledger check";

/// Ids are never used twice (AUTOINCREMENT), so that a handle to something forgotten can't reach
/// what came after it.
///
/// A tenant's secret stands in `secrets` and nowhere else, sealed under the master key: whatever is
/// sealed for a tenant, and its numbers, can be read only with it, so deleting it deletes them. Rows
/// of one size that are only ever appended and deleted: SQLite then leaves no copy of one in unused
/// space, as it does where inserting between others, or growing, makes it move rows about.
///
/// An entry's row is all that there is of a number, so it is small: a number that was blocked once,
/// without text, takes about 39 bytes here and 20 in `entries_by_sequence`. `updated` is NULL where
/// it equals `created`. `actor` and `lifted_by` are ids of `actors`, without foreign keys, for which
/// SQLite would want an index each. `sealed` holds reason, display form and label, encrypted for this row.
/// `source`, `actor`, `lifted_by`, `expires`, `kind` and the texts but the display form are the first hold's, as is `own`, what
/// it covers: NULL where it is the only one, and `directions` is that. `ever` is what was ever blocked, NULL where that
/// is what is blocked now (or for an inactive entry of an older schema, which did not know). `since` is NULL where it is
/// `created`. `requested` is NULL where it is `since`, and in `records` where it is `at`.
/// In `lists`, `scope` is the sender's name or empty, `sequence` the newest change's number, `active`
/// the number of entries with directions, `state` the id of the saved state that may be loaded, `told` up to which record
/// somebody who wants to know has been told.
const SCHEMA: &str = concat!(
    "
    CREATE TABLE master (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE tenants (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE secrets (
        tenant INTEGER PRIMARY KEY REFERENCES tenants (id),
        wrapped BLOB NOT NULL
    ) STRICT;
    CREATE TABLE settings (
        tenant INTEGER PRIMARY KEY REFERENCES tenants (id),
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE lists (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        tenant INTEGER NOT NULL REFERENCES tenants (id),
        scope TEXT NOT NULL,
        sequence INTEGER NOT NULL DEFAULT 0,
        active INTEGER NOT NULL DEFAULT 0,
        state BLOB,
        told INTEGER,
        UNIQUE (tenant, scope)
    ) STRICT;
    CREATE TABLE entries (
        list INTEGER NOT NULL REFERENCES lists (id),
        subject INTEGER NOT NULL,
        directions INTEGER NOT NULL,
        source INTEGER NOT NULL,
        sequence INTEGER NOT NULL,
        actor INTEGER NOT NULL,
        created INTEGER NOT NULL,
        updated INTEGER,
        lifted_by INTEGER,
        deactivated INTEGER,
        expires INTEGER,
        sealed BLOB,
        kind INTEGER NOT NULL DEFAULT 0,
        own INTEGER,
        ever INTEGER,
        since INTEGER,
        requested INTEGER,
        PRIMARY KEY (list, subject)
    ) STRICT, WITHOUT ROWID;
    CREATE UNIQUE INDEX entries_by_sequence ON entries (list, sequence);
",
    actors!(),
    entries_by_expiry!(),
    further!("requested INTEGER,", "person INTEGER, tied INTEGER,"),
    moves!(),
    identities_by_person!()
);

/// Makes sure that the file is a ledger of this master key, makes it one where it is empty, and
/// sets the writing connection up.
pub(super) fn prepare(connection: &Connection, path: &Path, master: &Seal) -> Result<(), LedgerError> {
    let foreign = || LedgerError::NotALedger { path: path.into() };
    let application = match pragma(connection, "application_id") {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(foreign());
        }
        found => found?,
    };
    // A crash may have left a file with a header and nothing else.
    let empty = application == 0
        && connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| row.get(0))?;
    if !empty {
        if application != APPLICATION_ID {
            return Err(foreign());
        }
        let found = pragma(connection, "user_version")?;
        if found > VERSION {
            return Err(LedgerError::NewerSchema { path: path.into(), found, known: VERSION });
        }
        if !opens(connection, master)? {
            return Err(LedgerError::WrongMasterKey { path: path.into() });
        }
    }
    set_up(connection)?;
    if empty { make(connection, master) } else { bring_up_to_date(connection) }
}

/// All or nothing, so that a crash leaves a version that there is.
fn bring_up_to_date(connection: &Connection) -> Result<(), LedgerError> {
    let found = pragma(connection, "user_version")?;
    let taken = usize::try_from(found - 1).unwrap_or_default();
    if taken < STEPS.len() {
        let transaction = connection.unchecked_transaction()?;
        for step in &STEPS[taken..] {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Whether this is the master key that the ledger was made with.
fn opens(connection: &Connection, master: &Seal) -> Result<bool, LedgerError> {
    let sealed: Vec<u8> = connection.query_row("SELECT sealed FROM master", (), |row| row.get(0))?;
    Ok(master.open(CHECK_CONTEXT, &sealed).is_ok_and(|text| text == CHECK_TEXT))
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // Deleted content is overwritten, so that what was forgotten can't be read from free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit returns when the log is on the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // What statements keep aside to undo themselves stays in memory.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // In KiB. Numbers arrive in no order, so a big import touches every page of its list.
    connection.pragma_update(None, "cache_size", -64 * 1024)?;
    // The writer does it, after it has answered.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    Ok(())
}

fn make(connection: &Connection, master: &Seal) -> Result<(), LedgerError> {
    let sealed = master.seal(CHECK_CONTEXT, CHECK_TEXT).map_err(LedgerError::Seal)?;
    // All or nothing, so that a crash leaves no half-made ledger.
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO master (id, sealed) VALUES (1, ?1)", [sealed])?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}
