//! Whether a ledger and the log beside it belong together.
//!
//! SQLite applies any log that is whole in itself. If a backup was put in place of a ledger whose process was killed, and the log
//! is still there, the two would be merged into something that never existed.

use portcullis_keys::MasterSeal;
use rusqlite::Connection;

use super::connect_alone;
use super::examine::{Description, Files, check_catalogue, length};
use super::schema;
use super::sums::Sums;
use crate::error::LedgerError;
use crate::witness::Found;

impl Files<'_> {
    /// Checks that the log, if there is one, belongs to the file, as far as that can be known. Changes nothing.
    pub(super) fn check_log(&self, master: &MasterSeal) -> Result<(), LedgerError> {
        let failed = |source| LedgerError::Open { path: self.log.clone(), source };
        if length(&self.log).map_err(failed)? == 0 {
            return Ok(());
        }
        let foreign = || Err(LedgerError::ForeignLog { path: self.path.into() });
        // A process that was killed may leave a file that is whole only together with its log.
        let Ok(alone) = connect_alone(self.path) else { return Ok(()) };
        let Ok(Some(file)) = describe(&alone) else { return Ok(()) };
        // The file may say that the master key was rotated, and which key the sums have.
        let _ = schema::opens(&alone, master);
        let sums = Sums::of(master);
        let is_whole = || check_catalogue(&alone, sums).is_ok();
        let together = self.connect()?;
        let merged = match describe(&together) {
            Err(LedgerError::Damaged { .. }) if is_whole() => return foreign(),
            // Whatever it is will be found again.
            Err(_) | Ok(None) => return Ok(()),
            Ok(Some(merged)) => merged,
        };
        if merged.id != file.id || merged.commit < file.commit {
            return foreign();
        }
        let is_foreign = match self.read_witness()? {
            Found::Witness(said) => {
                said.ledger != file.id || said.base.is_some_and(|base| file.commit < base)
            }
            // A ledger that was closed has no log. The next opening may have begun one.
            Found::Nothing | Found::Damaged => !file.is_open && merged.commit > file.commit + 1,
        };
        if is_foreign || (check_catalogue(&together, sums).is_err() && is_whole()) {
            return foreign();
        }
        Ok(())
    }
}

/// What a file says about itself; `None` if it is of a version that says nothing.
fn describe(connection: &Connection) -> Result<Option<Description>, LedgerError> {
    match schema::version(connection)? {
        version if version < schema::WITH_SUMS => Ok(None),
        _ => Description::read(connection).map(Some),
    }
}
