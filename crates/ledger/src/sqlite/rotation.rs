//! The exchange of the master key for another one.

use portcullis_keys::{Fingerprint, Rewrap, TenantId};
use rusqlite::Connection;

use super::Sqlite;
use super::schema::opens;
use super::sums::{Sums, change_catalogue};
use crate::error::LedgerError;
use crate::store::sealed;

impl Sqlite {
    /// Finds out under which of the known keys the ledger is sealed.
    pub(super) fn find_key(&self) -> Result<(), LedgerError> {
        match self.read(|connection| opens(connection, &self.master))? {
            true => Ok(()),
            false => Err(LedgerError::AnotherMasterKey),
        }
    }

    /// Encrypts the secrets of all tenants under another key, in one transaction.
    pub(super) fn rotate_to(&self, key: Fingerprint) -> Result<(), LedgerError> {
        let (master, sums) = (self.master.clone(), self.sums);
        self.write(1, move |connection| match opens(connection, &master)? {
            true if master.in_use() == key => Ok(()),
            true => {
                rewrap_all(connection, &master.rewrap_to(key).ok_or(LedgerError::AnotherMasterKey)?, sums)
            }
            false => Err(LedgerError::AnotherMasterKey),
        })?;
        self.find_key()?;
        // Until it is emptied, it has the secrets under the key before. A long read may keep it for some seconds.
        let _ = self.empty_log();
        Ok(())
    }
}

/// The secrets of tenants are of one length, so that each is overwritten where it stands.
fn rewrap_all(connection: &Connection, rewrap: &Rewrap, sums: Sums) -> Result<(), LedgerError> {
    let sql = "SELECT tenants.id, name, wrapped FROM secrets JOIN tenants ON tenants.id = secrets.tenant";
    let mut found = connection.prepare(sql)?;
    let secrets = found.query_map((), |row| row.try_into())?;
    let secrets = secrets.collect::<rusqlite::Result<Vec<(i64, String, Vec<u8>)>>>()?;
    let mut update = connection.prepare("UPDATE secrets SET wrapped = ?2 WHERE tenant = ?1")?;
    let mut changed = 0;
    for (id, name, wrapped) in secrets {
        let tenant: TenantId = name.parse().map_err(|_| LedgerError::damaged("list of tenants"))?;
        let fresh = sealed::rewrap_secret(rewrap, &tenant, &wrapped)?;
        update.execute((id, &fresh))?;
        changed ^= sums.secret(id, &wrapped) ^ sums.secret(id, &fresh);
    }
    change_catalogue(connection, changed)?;
    let check = rewrap.check().map_err(LedgerError::Seal)?;
    connection.execute("UPDATE master SET sealed = ?1", [check])?;
    Ok(())
}
