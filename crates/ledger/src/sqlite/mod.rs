//! Storage of the ledger in an SQLite file.
//!
//! One thread writes (`writer`) and several read (`readers`), each on its own connection. In WAL mode readers and the
//! writer don't block each other. `schema` documents the tables, `sums` how damage is noticed, and `examine` how loss is.

mod actors;
mod confirmations;
mod copy;
mod damage;
mod deliveries;
mod entries;
mod examine;
mod expiry;
mod failure;
mod feed;
mod forgotten;
mod guard;
mod identities;
mod job;
mod lists;
mod lock;
mod log;
mod log_file;
mod moves;
mod readers;
mod rotation;
mod rows;
mod schema;
mod sums;
mod tenants;
mod trail;
mod verify;
mod visits;
mod write;
mod writer;

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis_keys::{MasterKey, MasterSeal};
use portcullis_ledger_model::{Accepted, Opening, ServerRun};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::LedgerError;
use crate::files::beside;
use crate::store::{self, Stats};
use crate::witness::{Found, Witness};

use damage::Damage;
use deliveries::Deliveries;
use examine::{Description, Files, length};
use guard::{Guard, Patrol};
use readers::Readers;
use schema::Contents;
use sums::Sums;
use writer::Writer;

pub(crate) use copy::{FileSource, FileTarget, take_back};
pub(crate) use verify::{accept, survey, verify, verify_copy};

/// How long a connection waits for another one's lock. Only recovery after a crash and truncating the log hold locks
/// that block others.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// An open ledger file. Dropping it checkpoints the log and releases the lock.
pub(crate) struct Sqlite {
    // Fields are dropped in order: the patrol, which writes if it must, the readers, then the writer, whose connection is then the last one and checkpoints
    // the log, then the locks.
    _patrol: Patrol,
    readers: Readers,
    writer: Writer,
    guard: Arc<Guard>,
    locks: [File; 2],
    /// Encrypts tenants' secrets.
    master: MasterSeal,
    sums: Sums,
    damage: Damage,
    deliveries: Deliveries,
    accepted: Accepted,
}

impl Sqlite {
    pub(crate) fn open(path: &Path, master: &MasterKey, opening: &Opening) -> Result<Sqlite, LedgerError> {
        let failed = |source| LedgerError::Open { path: path.into(), source };
        // SQLite opens files later, too, and the working directory may change until then.
        let path = &lock::resolve(path).map_err(failed)?;
        // Before the connections, so that they are dropped after these.
        let name_lock = lock::of_name(path)?;
        let file_lock = path.exists().then(|| lock::of_file(path)).transpose()?;
        let (seal, files) = (master.seal(), Files::of(path));
        let (contents, accepted) = files.admit(&seal, opening)?;
        let sums = Sums::of(&seal);
        let is_new = matches!(contents, Contents::Empty);
        if is_new {
            files.create(&seal, sums)?;
        } else {
            // SQLite gives its other files the mode of this one. Without the right to change it, it stays.
            let _ = keep_to_owner(&[path, &files.log, &beside(path, "-shm")]);
        }
        // A new file is another one than an empty one that was there.
        let file_lock = file_lock.filter(|_| !is_new).map_or_else(|| lock::of_file(path), Ok)?;
        let begun = begin(&files, &seal, sums);
        if begun.is_err() && is_new {
            files.remove();
        }
        let (connection, opened, guard) = begun?;
        let writer = Writer::start(connection, Arc::clone(&guard), opened.commit, sums)?;
        Ok(Sqlite {
            _patrol: Patrol::start(Arc::clone(&guard), writer.probe())?,
            readers: Readers::new(path.clone(), Arc::clone(&guard)),
            writer,
            guard,
            locks: [name_lock, file_lock],
            master: seal,
            sums,
            damage: Damage::default(),
            deliveries: Deliveries::default(),
            accepted,
        })
    }

    /// What was accepted of the ledger's files.
    pub(crate) fn accepted(&self) -> &Accepted {
        &self.accepted
    }
}

/// One process at a time has the file open.
impl store::Shared for Sqlite {
    fn server(&self) -> ServerRun {
        self.guard.line()
    }
}

impl store::Nodes for Sqlite {}

impl store::Store for Sqlite {
    fn stats(&self) -> Stats {
        self.writer.stats()
    }

    fn trouble(&self) -> Option<LedgerError> {
        self.guard.trouble()
    }

    fn rescue(&self) -> Vec<(PathBuf, PathBuf)> {
        self.guard.rescue()
    }

    fn give_up(&self) -> Result<(), LedgerError> {
        self.guard.give_up();
        // Waits for what is being committed. This itself is refused, as all that follows.
        let _ = self.write(0, |_| Ok(()));
        // The files stay open: closing one would end the locks of SQLite, too.
        self.locks.iter().try_for_each(|lock| lock.unlock().map_err(|error| LedgerError::Io(error.into())))
    }
}

/// Opens the file for writing, and marks the ledger as open. If this fails, the ledger and its witness say what they said before.
fn begin(
    files: &Files<'_>,
    master: &MasterSeal,
    sums: Sums,
) -> Result<(Connection, Description, Arc<Guard>), LedgerError> {
    let failed = |source| LedgerError::Open { path: files.path.into(), source };
    let witnessed = |source| LedgerError::Witness { path: files.witness.clone(), source };
    let has_log = length(&files.log).map_err(failed)? > 0;
    let said = files.read_witness()?;
    let before = std::fs::read(&files.witness).ok();
    let connection = connect(files.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // What fails leaves the log as it is: moved into the file, it would look as if it had been lost.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    schema::prepare(&connection, &Contents::Ledger, master, sums)?;
    let found = Description::read(&connection)?;
    let base = match said {
        _ if !has_log => Some(found.commit),
        Found::Witness(said) if said.ledger == found.id => said.base,
        _ => None,
    };
    let mark = || -> Result<_, LedgerError> {
        // Before the mark: a ledger that is marked, and has no witness, looks like a copy that was made while it was open.
        let witness = Witness::create(&files.witness, found.statement(base)).map_err(witnessed)?;
        let (opened, in_file) = mark_open(&connection, found)?;
        witness.write(opened.commit, base).map_err(witnessed)?;
        let guard = Guard::new(files.path, opened.id, in_file, witness, base).map_err(failed)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false)?;
        Ok((opened, Arc::new(guard)))
    };
    let (opened, guard) = mark().inspect_err(|_| Witness::put_back(&files.witness, before.as_deref()))?;
    Ok((connection, opened, guard))
}

/// Marks the ledger as open, in the file itself: a copy of the file alone, without its log, can be told by that. Returns the
/// latest commit that is in the file itself for certain, too.
fn mark_open(connection: &Connection, before: Description) -> Result<(Description, u64), LedgerError> {
    let commit = before.commit + 1;
    connection.execute("UPDATE ledger SET is_open = 1, stamp = ?1", [commit.cast_signed()])?;
    let is_in_file = writer::log_state(connection, "PASSIVE")?.is_in_file();
    Ok((Description { commit, is_open: true, ..before }, if is_in_file { commit } else { 0 }))
}

/// Takes access to these files from the group and others. A restored copy may have any mode.
fn keep_to_owner(paths: &[&Path]) -> io::Result<()> {
    for path in paths {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 != 0 => {
                std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Creates the file with access for its owner only; SQLite uses the same mode for its other files.
fn create(path: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map(drop)
}

/// Opens a connection. It is used by one thread at a time, so it needs no mutex of its own.
fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Opens a connection to what is in the file itself, without its log. It takes no locks, changes nothing, and creates no
/// files. What it reads is wrong if somebody writes to the file meanwhile.
fn connect_alone(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(byte)),
            _ => uri.push_str(&format!("%{byte:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    connect(Path::new(&uri), OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)
}
