//! Rows of identities.

use portcullis_msisdn::ReservedId;
use rusqlite::{Connection, OptionalExtension as _};

use super::Store;
use super::lists::unsigned;
use crate::error::LedgerError;
use crate::identity::UserId;
use crate::keys::TenantKeys;

const WHAT: &str = "row of an identity";

fn find(connection: &Connection, tenant: i64, digest: &[u8]) -> Result<Option<ReservedId>, LedgerError> {
    let found: Option<i64> = connection
        .prepare_cached("SELECT id FROM identities WHERE tenant = ?1 AND digest = ?2")?
        .query_row((tenant, digest), |row| row.get(0))
        .optional()?;
    found.map(|id| ReservedId::new(unsigned(id)?).ok_or(LedgerError::damaged(WHAT))).transpose()
}

fn context(id: i64) -> Vec<u8> {
    [b"user id".as_slice(), &id.to_be_bytes()].concat()
}

impl Store {
    pub(crate) fn identity(
        &self,
        tenant: i64,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<Option<ReservedId>, LedgerError> {
        let digest = keys.digest_of(user);
        self.read(|connection| find(connection, tenant, &digest))
    }

    pub(crate) fn ensure_identity(
        &self,
        tenant: i64,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<ReservedId, LedgerError> {
        if let Some(id) = self.identity(tenant, keys, user)? {
            return Ok(id);
        }
        let (keys, user) = (keys.clone(), user.clone());
        self.write(1, move |connection| {
            let digest = keys.digest_of(&user);
            if let Some(id) = find(connection, tenant, &digest)? {
                return Ok(id);
            }
            let id: i64 = connection
                .prepare_cached("SELECT coalesce(max(id) + 1, 0) FROM identities WHERE tenant = ?1")?
                .query_row([tenant], |row| row.get(0))?;
            let sealed =
                keys.text_seal().seal(&context(id), user.as_str().as_bytes()).map_err(LedgerError::Seal)?;
            let added = connection
                .prepare_cached(
                    "INSERT INTO identities (tenant, digest, id, sealed)
                     SELECT id, ?2, ?3, ?4 FROM tenants WHERE id = ?1",
                )?
                .execute((tenant, digest.as_slice(), id, sealed))?;
            if added == 0 {
                return Err(LedgerError::TenantForgotten);
            }
            ReservedId::new(unsigned(id)?).ok_or(LedgerError::damaged(WHAT))
        })
    }

    pub(crate) fn user_of(
        &self,
        tenant: i64,
        keys: &TenantKeys,
        id: ReservedId,
    ) -> Result<Option<UserId>, LedgerError> {
        let id = id.index().cast_signed();
        let sealed: Option<Vec<u8>> = self.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT sealed FROM identities WHERE tenant = ?1 AND id = ?2")?
                .query_row((tenant, id), |row| row.get(0))
                .optional()?)
        })?;
        let Some(sealed) = sealed else { return Ok(None) };
        let text = keys
            .text_seal()
            .open(&context(id), &sealed)
            .map_err(|error| LedgerError::unsealed(WHAT, error))?;
        let user = String::from_utf8(text).ok().and_then(|text| text.parse().ok());
        user.map(Some).ok_or(LedgerError::damaged(WHAT))
    }
}
