//! Examines the files of a ledger before it is opened for writing: whether this is the ledger that was there, and as far
//! as it was written.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use portcullis_keys::MasterSeal;
use portcullis_ledger_model::{Accepted, Opening};
use rusqlite::{Connection, OpenFlags};

use super::lists::unsigned;
use super::schema::{self, Contents};
use super::sums::{Sums, is_catalogue_whole};
use super::writer::log_state;
use super::{connect, create};
use crate::error::{Altered, LedgerError};
use crate::files::{beside, sync_folder_of};
use crate::witness::{Found, LedgerId, Statement, Witness};

/// What a ledger says about itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Description {
    pub(super) id: LedgerId,
    /// The number of its latest commit.
    pub(super) commit: u64,
    /// Whether it is open, or was when its process ended.
    pub(super) is_open: bool,
}

impl Description {
    pub(super) fn read(connection: &Connection) -> Result<Self, LedgerError> {
        let (id, is_open, stamp): (LedgerId, bool, i64) = connection.query_row(
            "SELECT identity, is_open, max(stamp, (SELECT coalesce(max(stamp), 0) FROM lists)) FROM ledger",
            (),
            |row| row.try_into(),
        )?;
        Ok(Description { id, commit: unsigned(stamp)?, is_open })
    }

    /// What the witness says of it, if its file had the commit `base` before its log began.
    pub(super) fn statement(self, base: Option<u64>) -> Statement {
        Statement { ledger: self.id, commit: self.commit, base }
    }
}

/// The files of a ledger that is not open.
pub(super) struct Files<'a> {
    pub(super) path: &'a Path,
    pub(super) log: PathBuf,
    pub(super) witness: PathBuf,
}

impl<'a> Files<'a> {
    pub(super) fn of(path: &'a Path) -> Self {
        Files { path, log: beside(path, "-wal"), witness: Witness::path_of(path) }
    }

    /// Opens a connection that changes nothing, not even by closing it: it would move the log into the file.
    pub(super) fn connect(&self) -> rusqlite::Result<Connection> {
        connect(self.path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Creates the ledger durably. It is made under another name, and gets its own when it is complete: a process that is
    /// killed leaves no ledger that is missing or empty although something says that there was one.
    pub(super) fn create(&self, master: &MasterSeal, sums: Sums) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::Open { path: self.path.into(), source };
        if fs::symlink_metadata(self.path).is_ok_and(|found| !found.is_file()) {
            // A link that leads nowhere may lead to a disk that is not there now.
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let unfinished = beside(self.path, ".creating");
        // SQLite would apply what was left to the new file.
        let left = ["", "-journal", "-wal", "-shm"].map(|suffix| beside(&unfinished, suffix));
        for file in left.iter().chain(&[beside(self.path, "-journal"), beside(self.path, "-shm")]) {
            match fs::remove_file(file) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(failed)?,
            }
        }
        create(&unfinished).map_err(failed)?;
        let connection = connect(&unfinished, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::prepare(&connection, &Contents::Empty, master, sums)?;
        if !log_state(&connection, "TRUNCATE")?.is_in_file() {
            return Err(LedgerError::LogInUse);
        }
        connection.close().map_err(|(_, error)| error)?;
        let is_durable = fs::File::open(&unfinished).and_then(|file| file.sync_all());
        is_durable.and_then(|()| fs::rename(&unfinished, self.path)).map_err(failed)?;
        sync_folder_of(self.path).map_err(failed)
    }

    /// Takes back that a ledger was created, which was then not opened: under a key that is not kept, nobody could open it. Best
    /// effort, after an error.
    pub(super) fn remove(&self) {
        for file in [self.path, &self.log, &beside(self.path, "-shm")] {
            let _ = fs::remove_file(file);
        }
    }

    /// Checks whether the ledger may be opened, and what is in its file.
    pub(super) fn admit(
        &self,
        master: &MasterSeal,
        opening: &Opening,
    ) -> Result<(Contents, Accepted), LedgerError> {
        let failed = |source| LedgerError::Open { path: self.path.into(), source };
        let contents = match length(self.path).map_err(failed)? {
            0 => Contents::Empty,
            _ => {
                schema::check_finished(self.path)?;
                self.check_log(master)?;
                schema::check(&self.connect()?, self.path, master)?
            }
        };
        let accepted = match contents {
            Contents::Empty => Accepted::New { despite: self.admit_new(opening)? },
            Contents::Ledger if opening.new => return Err(LedgerError::NotNew { path: self.path.into() }),
            Contents::Ledger => {
                let accepted = match (self.doubt()?, opening.restored) {
                    (None, false) => Accepted::Nothing,
                    (Some(doubt), true) => restored(&doubt),
                    (None, true) if opening.is_behind => {
                        Accepted::Restored { because: "saved states are newer", missing: None }
                    }
                    (Some(doubt), false) => return Err(doubt),
                    (None, true) => return Err(LedgerError::NotRestored { path: self.path.into() }),
                };
                check_catalogue(&self.connect()?, Sums::of(master))?;
                accepted
            }
        };
        Ok((contents, accepted))
    }

    /// Returns what says that there was a ledger, if the opening says that it does not matter.
    fn admit_new(&self, opening: &Opening) -> Result<Option<String>, LedgerError> {
        let failed = |source| LedgerError::Open { path: self.log.clone(), source };
        let has_log = length(&self.log).map_err(failed)? > 0;
        let witness = (self.read_witness()? != Found::Nothing).then_some(&self.witness);
        let log = has_log.then_some(&self.log);
        let evidence = witness.or(log).map(|path| path.display().to_string());
        let evidence = evidence.or_else(|| opening.evidence_of_one());
        if let Some(evidence) = evidence.clone().filter(|_| !opening.new) {
            return Err(LedgerError::Lost { path: self.path.into(), evidence });
        }
        if has_log {
            // SQLite would remove it. It may be all that is left of the ledger.
            fs::rename(&self.log, beside(&self.log, ".lost")).map_err(failed)?;
        }
        Ok(evidence)
    }

    pub(super) fn read_witness(&self) -> Result<Found, LedgerError> {
        Witness::read(&self.witness)
            .map_err(|source| LedgerError::Witness { path: self.witness.clone(), source })
    }

    /// Why the ledger may not be the one that was there, or not as far as it was written.
    pub(super) fn doubt(&self) -> Result<Option<LedgerError>, LedgerError> {
        let path = || self.path.to_owned();
        let connection = self.connect()?;
        let found = match schema::version(&connection)? {
            version if version < schema::WITH_SUMS => None,
            _ => Some(Description::read(&connection)?),
        };
        let another = LedgerError::Another { path: path(), witness: self.witness.clone() };
        let (found, said) = match (found, self.read_witness()?) {
            (_, Found::Damaged) => {
                return Ok(Some(LedgerError::WitnessDamaged { witness: self.witness.clone() }));
            }
            // A ledger of an older version has neither id nor witness.
            (None, Found::Nothing) => return Ok(None),
            (None, Found::Witness(_)) => return Ok(Some(another)),
            (Some(found), Found::Nothing) => (found, None),
            (Some(found), Found::Witness(said)) => (found, Some(said)),
        };
        if let Some(said) = said {
            if said.ledger != found.id {
                return Ok(Some(another));
            }
            if said.commit > found.commit {
                return Ok(Some(LedgerError::Stale { path: path(), missing: said.commit - found.commit }));
            }
        }
        // If the two agree, somebody opened and closed the file with another program, which moved the log into it.
        let is_exact = said.is_some_and(|said| said.commit == found.commit);
        let failed = |source| LedgerError::Open { path: self.log.clone(), source };
        if found.is_open && !is_exact && length(&self.log).map_err(failed)? == 0 {
            return Ok(Some(LedgerError::WithoutLog { path: path() }));
        }
        // The witness is created before the first commit: before the mark that a new or migrated ledger is open.
        if said.is_none() && found.commit > 0 {
            return Ok(Some(LedgerError::WitnessLost { path: path(), witness: self.witness.clone() }));
        }
        Ok(None)
    }
}

/// Checks the small tables on which everything else depends: a tenant or a list that is not found would be created, and
/// would be empty.
pub(super) fn check_catalogue(connection: &Connection, sums: Sums) -> Result<(), LedgerError> {
    const WHAT: &str = "list of tenants and lists";
    if schema::version(connection)? < schema::WITH_SUMS {
        return Ok(());
    }
    for table in ["master", "ledger", "tenants", "secrets", "settings", "lists"] {
        // Compares the indexes with the table, too.
        let found: String =
            connection.query_row(&format!("PRAGMA integrity_check({table})"), (), |row| row.get(0))?;
        if found != "ok" {
            return Err(LedgerError::Damaged { what: WHAT, source: Some(found.into()) });
        }
    }
    match is_catalogue_whole(connection, sums)? {
        true => Ok(()),
        false => Err(LedgerError::altered(WHAT, Altered::Rows)),
    }
}

/// What is accepted by accepting a ledger in spite of this doubt.
fn restored(doubt: &LedgerError) -> Accepted {
    let (because, missing) = match doubt {
        LedgerError::Stale { missing, .. } => ("its witness knows of more commits", Some(*missing)),
        LedgerError::WithoutLog { .. } => ("it was copied while it was open, without its log", None),
        LedgerError::Another { .. } => ("its witness is of another ledger", None),
        LedgerError::WitnessLost { .. } => ("it has no witness", None),
        _ => ("its witness is damaged", None),
    };
    Accepted::Restored { because, missing }
}

/// The length of a file; 0 if there is none.
pub(super) fn length(path: &Path) -> io::Result<u64> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        found => Ok(found?.len()),
    }
}
