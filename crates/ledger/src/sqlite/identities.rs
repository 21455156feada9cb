//! The `identities` table: who a user id is.

use jiff::Timestamp;
use portcullis_keys::{TenantKeys, UserId};
use portcullis_ledger_model::{Link, Linked};
use portcullis_msisdn::{Person, ReservedId, Subject};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::Sqlite;
use super::entries::{subject, time};
use super::lists::unsigned;
use super::rows::Rows;
use super::sums::{Sums, are_people_whole, change_people};
use crate::error::LedgerError;
use crate::store::people::People;
use crate::store::tables::Identity;
use crate::store::{self, TenantRow, sealed};

const WHAT: &str = "row of an identity";

fn read(row: &Row<'_>) -> Result<Identity, LedgerError> {
    Ok(Identity {
        id: ReservedId::new(unsigned(row.get(0)?)?).ok_or(LedgerError::damaged(WHAT))?,
        home: row.get::<_, Option<i64>>(1)?.map(subject).transpose()?,
        tied: row.get::<_, Option<i64>>(2)?.map(time).transpose()?,
    })
}

/// The identities of one tenant.
pub(super) struct Identities<'a> {
    pub(super) connection: &'a Connection,
    pub(super) tenant: i64,
    pub(super) keys: &'a TenantKeys,
    pub(super) sums: Sums,
}

impl Identities<'_> {
    pub(super) fn of_user(&self, user: &UserId) -> Result<Option<Identity>, LedgerError> {
        self.connection
            .prepare_cached("SELECT id, person, tied FROM identities WHERE tenant = ?1 AND digest = ?2")?
            .query_and_then((self.tenant, self.keys.digest_of(user).as_slice()), read)?
            .next()
            .transpose()
    }

    pub(super) fn get(&self, id: ReservedId) -> Result<Option<Identity>, LedgerError> {
        self.connection
            .prepare_cached("SELECT id, person, tied FROM identities WHERE tenant = ?1 AND id = ?2")?
            .query_and_then((self.tenant, id.index().cast_signed()), read)?
            .next()
            .transpose()
    }

    pub(super) fn at(&self, home: Subject) -> Result<Vec<Identity>, LedgerError> {
        self.connection
            .prepare_cached("SELECT id, person, tied FROM identities WHERE tenant = ?1 AND person = ?2")?
            .query_and_then((self.tenant, home.get().cast_signed()), read)?
            .collect()
    }

    pub(super) fn add(&self, user: &UserId) -> Result<ReservedId, LedgerError> {
        let id: i64 = self
            .connection
            .prepare_cached("SELECT coalesce(max(id) + 1, 0) FROM identities WHERE tenant = ?1")?
            .query_row([self.tenant], |row| row.get(0))?;
        let sealed = sealed::seal_user(self.keys, id, user)?;
        let added = self
            .connection
            .prepare_cached(
                "INSERT INTO identities (tenant, digest, id, sealed)
                 SELECT id, ?2, ?3, ?4 FROM tenants WHERE id = ?1",
            )?
            .execute((self.tenant, self.keys.digest_of(user).as_slice(), id, sealed))?;
        if added == 0 {
            return Err(LedgerError::TenantForgotten);
        }
        change_people(self.connection, self.tenant, self.sum_of(id)?)?;
        ReservedId::new(unsigned(id)?).ok_or(LedgerError::damaged(WHAT))
    }

    pub(super) fn move_to(
        &self,
        id: ReservedId,
        home: Option<Subject>,
        tied: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        let id = id.index().cast_signed();
        let before = self.sum_of(id)?;
        self.connection
            .prepare_cached("UPDATE identities SET person = ?3, tied = ?4 WHERE tenant = ?1 AND id = ?2")?
            .execute((
                self.tenant,
                id,
                home.map(|home| home.get().cast_signed()),
                tied.map(Timestamp::as_millisecond),
            ))?;
        change_people(self.connection, self.tenant, before ^ self.sum_of(id)?)
    }

    /// The sum of an identity, as it is stored.
    fn sum_of(&self, id: i64) -> Result<u64, LedgerError> {
        self.sums.of_identity(self.connection, self.tenant, id)
    }
}

impl store::Persons for Sqlite {
    fn check_people(&self, tenant: TenantRow) -> Result<(), LedgerError> {
        match self.read_of(tenant, |connection| are_people_whole(connection, tenant.0, self.sums)) {
            Ok(Some(true) | None) => self.damage.refuse_people(tenant),
            Ok(Some(false)) => {
                self.damage.note_people(tenant);
                self.damage.refuse_people(tenant)
            }
            Err(error) => {
                if let LedgerError::Damaged { .. } = error {
                    self.damage.note_people(tenant);
                }
                Err(error)
            }
        }
    }

    fn are_people_damaged(&self, tenant: TenantRow) -> bool {
        self.damage.are_people(tenant)
    }

    /// The first of the person's subjects is the one that the entries are under.
    fn person_of_user(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<Option<Person>, LedgerError> {
        self.damage.refuse_people(tenant)?;
        let person = self.read_of(tenant, |connection| {
            let tables = Rows::new(connection, tenant, keys, self.sums);
            People::new(&tables, keys).of_user(user)
        });
        Ok(person?.flatten())
    }

    fn ensure_person_of_user(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<Person, LedgerError> {
        if let Some(person) = self.person_of_user(tenant, keys, user)? {
            return Ok(person);
        }
        let (keys, user, sums) = (keys.clone(), user.clone(), self.sums);
        self.write_for(tenant, 1, move |connection| {
            People::new(&Rows::new(connection, tenant, &keys, sums), &keys).ensure_user(&user)
        })
    }

    fn person_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        subject: Subject,
    ) -> Result<Person, LedgerError> {
        let person = self.read_of(tenant, |connection| {
            let tables = Rows::new(connection, tenant, keys, self.sums);
            People::new(&tables, keys).known_as(subject)
        });
        Ok(person?.unwrap_or_else(|| keys.permutation().person_of(subject)))
    }

    fn link(&self, tenant: TenantRow, keys: &TenantKeys, link: Link) -> Result<Linked, LedgerError> {
        let is_linked = self.read_of(tenant, |connection| {
            let tables = Rows::new(connection, tenant, keys, self.sums);
            People::new(&tables, keys).is_linked(&link)
        });
        if is_linked?.ok_or(LedgerError::TenantForgotten)? {
            return Ok(Linked::default());
        }
        let (keys, sums) = (keys.clone(), self.sums);
        self.write_for(tenant, link.users.len() + 1, move |connection| {
            People::new(&Rows::new(connection, tenant, &keys, sums), &keys).link(&link)
        })
    }

    fn ids_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        person: &[Subject],
    ) -> Result<Vec<Subject>, LedgerError> {
        let ids = self.read_of(tenant, |connection| {
            let tables = Rows::new(connection, tenant, keys, self.sums);
            People::new(&tables, keys).ids_of(person)
        });
        Ok(ids?.unwrap_or_default())
    }

    fn user_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        id: ReservedId,
    ) -> Result<Option<UserId>, LedgerError> {
        let id = id.index().cast_signed();
        let sealed: Option<Option<Vec<u8>>> = self.read_of(tenant, |connection| {
            Ok(connection
                .prepare_cached("SELECT sealed FROM identities WHERE tenant = ?1 AND id = ?2")?
                .query_row((tenant.0, id), |row| row.get(0))
                .optional()?)
        })?;
        let Some(sealed) = sealed.flatten() else { return Ok(None) };
        sealed::open_user(keys, id, &sealed).map(Some)
    }
}
