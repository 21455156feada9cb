//! The database schema, its creation and its migrations.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use portcullis_keys::{MasterSeal, SealError};
use rusqlite::{Connection, ErrorCode};

use super::sums::{Sums, store_all};
use crate::error::LedgerError;
use crate::store::sealed::seal_check;
use crate::witness::LedgerId;

/// "PCLG" in the file's header, which identifies a ledger among SQLite databases, also to `file`.
pub(super) const APPLICATION_ID: i64 = 0x5043_4c47;
/// "PCLM": a ledger that was moved to another place. Its table `departure` says where to.
pub(super) const LEFT: i64 = 0x5043_4c4d;
/// "PCLU": an unfinished ledger, which another one is being moved to.
pub(super) const UNFINISHED: i64 = 0x5043_4c55;
/// Where the header of the file has that number.
const APPLICATION_ID_AT: u64 = 68;
/// The current schema version.
const VERSION: i64 = 7;
/// The first version with sums, and with the ledger's id.
pub(super) const WITH_SUMS: i64 = 6;

/// `address` and `interface` are empty if unknown.
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

/// `holds`: the holds of an entry except the first, which is in the entry's own row. `records`: the audit trail. Its
/// rows are appended, and `previous` leads to the entry's earlier rows, so no index is needed. `visits`: when people
/// last wrote. `identities`: user ids; `person` is the subject that the person's entries are under, if it is not the
/// id's own, and `tied` is when that was so. `moves`: changes of number.
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

/// `ledger`: the random id of the ledger, whether it is open (or was, when its process ended), the number of the latest
/// commit that changed nothing in `lists`, and the sum of all tenants and lists. `sums`: see [`super::sums`].
macro_rules! sums {
    () => {
        "CREATE TABLE ledger (
            id INTEGER PRIMARY KEY CHECK (id = 1),
            identity BLOB NOT NULL,
            is_open INTEGER NOT NULL,
            stamp INTEGER NOT NULL,
            catalogue INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE sums (
            list INTEGER NOT NULL REFERENCES lists (id),
            part INTEGER NOT NULL,
            sum INTEGER NOT NULL,
            PRIMARY KEY (list, part)
        ) STRICT, WITHOUT ROWID;"
    };
}

/// `deliveries`: what was delivered, by keyed hashes, and until when that is remembered. `confirmations`: the message that may
/// still be sent to somebody who has opted out, and until when.
macro_rules! once {
    () => {
        "CREATE TABLE deliveries (
            key BLOB PRIMARY KEY,
            until INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX deliveries_by_until ON deliveries (until);
        CREATE TABLE confirmations (
            list INTEGER NOT NULL REFERENCES lists (id),
            subject INTEGER NOT NULL,
            until INTEGER NOT NULL,
            PRIMARY KEY (list, subject)
        ) STRICT, WITHOUT ROWID;"
    };
}

/// The migrations from each version to the next, starting with version 1. What they can't do in SQL is done afterwards.
const STEPS: [&str; 6] = [
    "ALTER TABLE lists ADD COLUMN state BLOB",
    // Until this version, opt-outs differed from operators' blocks only in `source` = 3.
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
    concat!(
        "ALTER TABLE tenants ADD COLUMN people INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE lists ADD COLUMN stamp INTEGER NOT NULL DEFAULT 0;
         ALTER TABLE lists ADD COLUMN saved INTEGER;
         ALTER TABLE lists ADD COLUMN changed INTEGER NOT NULL DEFAULT 0;",
        sums!(),
    ),
    once!(),
];

/// Ids are never reused (AUTOINCREMENT), so a handle to a forgotten tenant or list can't reach a later one.
///
/// A tenant's secret is stored only in `secrets`, encrypted under the master key. The tenant's numbers and encrypted
/// data can be read only with it, so deleting the secret deletes them. Rows of `secrets` all have the same size and are
/// only appended and deleted: SQLite then leaves no copies in unused space, as it does when it moves rows to insert
/// between others or to grow one.
///
/// Rows of `entries` are small, because there is one per number: a number that was blocked once, without text, takes
/// about 39 bytes here and 20 in `entries_by_sequence`. `updated` is NULL if it equals `created`. `actor` and
/// `lifted_by` are ids in `actors`, without foreign keys, for which SQLite would need an index each. `sealed` contains
/// the reason, display form and label, encrypted for this row. `source`, `actor`, `lifted_by`, `expires`, `kind` and
/// the texts except the display form are those of the first hold, as is `own`, the directions it covers: NULL if it is
/// the only hold, and they equal `directions`. `ever` is the directions that were ever blocked, NULL if they equal
/// `directions` (or, for an inactive entry of an older schema, if they are unknown). `since` is NULL if it equals
/// `created`. `requested` is NULL if it equals `since`, and in `records` if it equals `at`.
///
/// In `lists`, `scope` is the sender's name or empty, `sequence` the latest sequence number, `active` the number of
/// entries with directions, `state` the id of the saved state that may be loaded, `saved` the sequence number of that
/// state, `changed` the sum of the entries that changed since, `stamp` the number of the latest commit that changed the
/// list, and `told` the event cursor: the last record whose event was delivered. `people` in `tenants` is the sum of the
/// tenant's identities and moves. A tenant of the name `forgotten` and its id, which has no secret, is gone: see
/// [`super::forgotten`].
const SCHEMA: &str = concat!(
    "
    CREATE TABLE master (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        sealed BLOB NOT NULL
    ) STRICT;
    CREATE TABLE tenants (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        people INTEGER NOT NULL DEFAULT 0
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
        stamp INTEGER NOT NULL DEFAULT 0,
        saved INTEGER,
        changed INTEGER NOT NULL DEFAULT 0,
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
    identities_by_person!(),
    sums!(),
    once!()
);

/// What is in a file.
pub(super) enum Contents {
    /// Nothing: a crash may have left a file with only a header.
    Empty,
    /// A ledger of this master key.
    Ledger,
}

/// Checks that the file is a ledger of this master key, or empty. Changes nothing.
pub(super) fn check(
    connection: &Connection,
    path: &Path,
    master: &MasterSeal,
) -> Result<Contents, LedgerError> {
    let foreign = || LedgerError::NotALedger { path: path.into() };
    let application = match pragma(connection, "application_id") {
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => {
            return Err(foreign());
        }
        found => found?,
    };
    let is_empty = application == 0
        && connection.query_row("SELECT count(*) = 0 FROM sqlite_schema", (), |row| row.get(0))?;
    if is_empty {
        return Ok(Contents::Empty);
    }
    match application {
        APPLICATION_ID => {}
        LEFT => return Err(left(connection, path)?),
        UNFINISHED => return Err(LedgerError::Unfinished { path: path.into() }),
        _ => return Err(foreign()),
    }
    let found = version(connection)?;
    if found > VERSION {
        return Err(LedgerError::NewerSchema { path: path.into(), found, known: VERSION });
    }
    match opens(connection, master)? {
        true => Ok(Contents::Ledger),
        false => Err(LedgerError::WrongMasterKey { path: path.into() }),
    }
}

/// The error that says where a ledger was moved.
fn left(connection: &Connection, path: &Path) -> Result<LedgerError, LedgerError> {
    let (to, ledger) =
        connection.query_row("SELECT target, ledger FROM departure", (), |row| row.try_into())?;
    Ok(LedgerError::Left { path: path.into(), to, ledger })
}

/// Checks by the header of the file itself, without its log, that it is not an unfinished ledger, of which nothing else can be relied on.
pub(super) fn check_finished(path: &Path) -> Result<(), LedgerError> {
    let mut header = [0; 4];
    let read = File::open(path).and_then(|file| file.read_exact_at(&mut header, APPLICATION_ID_AT));
    match read {
        Ok(()) if i64::from(u32::from_be_bytes(header)) == UNFINISHED => {
            Err(LedgerError::Unfinished { path: path.into() })
        }
        // That it can't be read, or is too short, shows later.
        _ => Ok(()),
    }
}

/// Configures the writing connection to a file with these contents, and creates or migrates the tables.
pub(super) fn prepare(
    connection: &Connection,
    contents: &Contents,
    master: &MasterSeal,
    sums: Sums,
) -> Result<(), LedgerError> {
    set_up(connection)?;
    match contents {
        Contents::Empty => create_schema(connection, master, sums, APPLICATION_ID),
        Contents::Ledger => migrate(connection, sums),
    }
}

/// Migrates in one transaction, so that a crash leaves a valid version.
fn migrate(connection: &Connection, sums: Sums) -> Result<(), LedgerError> {
    let found = version(connection)?;
    let taken = usize::try_from(found - 1).unwrap_or_default();
    if taken < STEPS.len() {
        let transaction = connection.unchecked_transaction()?;
        for step in &STEPS[taken..] {
            transaction.execute_batch(step)?;
        }
        if found < WITH_SUMS {
            begin(&transaction, sums)?;
        }
        transaction.pragma_update(None, "user_version", VERSION)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Gives the ledger an id, and stores all sums.
fn begin(connection: &Connection, sums: Sums) -> Result<(), LedgerError> {
    let mut id: LedgerId = [0; _];
    getrandom::fill(&mut id).map_err(|error| LedgerError::Seal(SealError::NoRandomness(error)))?;
    let sql = "INSERT INTO ledger (id, identity, is_open, stamp, catalogue) VALUES (1, ?1, 0, 0, 0)";
    connection.execute(sql, [id])?;
    store_all(connection, sums)
}

/// Whether the schema is that of this program.
pub(super) fn is_current(connection: &Connection) -> rusqlite::Result<bool> {
    Ok(version(connection)? == VERSION)
}

/// The version of the schema.
pub(super) fn version(connection: &Connection) -> rusqlite::Result<i64> {
    pragma(connection, "user_version")
}

pub(super) fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Whether the ledger is sealed under this master key, or another one that belongs to it, which is used from then on.
pub(super) fn opens(connection: &Connection, master: &MasterSeal) -> Result<bool, LedgerError> {
    let sealed: Vec<u8> = connection.query_row("SELECT sealed FROM master", (), |row| row.get(0))?;
    Ok(master.adopt(&sealed))
}

pub(super) fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // Overwrites deleted content, so that forgotten data can't be read from free pages.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A commit returns when the log is on disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // Statement journals stay in memory.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    // In KiB. Subjects are uniformly distributed, so a large import touches every page of its list.
    connection.pragma_update(None, "cache_size", -64 * 1024)?;
    // The writer checkpoints after it has replied.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.pragma_update(None, "journal_size_limit", 64 * 1024 * 1024)?;
    Ok(())
}

/// Creates the tables of an empty ledger, in a file with this number in its header.
pub(super) fn create_schema(
    connection: &Connection,
    master: &MasterSeal,
    sums: Sums,
    application: i64,
) -> Result<(), LedgerError> {
    let sealed = seal_check(master)?;
    // In one transaction, so that a crash leaves no partly created ledger.
    let transaction = connection.unchecked_transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute("INSERT INTO master (id, sealed) VALUES (1, ?1)", [sealed])?;
    begin(&transaction, sums)?;
    transaction.pragma_update(None, "application_id", application)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    Ok(transaction.commit()?)
}
