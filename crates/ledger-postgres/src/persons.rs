//! The `identities` table: who a user id is.

use std::time::Instant;

use portcullis_keys::{TenantKeys, UserId};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::people::People;
use portcullis_ledger::store::{self, TenantRow, sealed};
use portcullis_ledger_model::{Link, Linked};
use portcullis_msisdn::{Person, ReservedId, Subject};

use crate::Postgres;
use crate::columns::{Columns, row_id};
use crate::failure::Failure;
use crate::pool::DEADLINE;
use crate::rows::Rows;

impl Postgres {
    /// Asks who somebody is.
    fn ask<T>(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        ask: impl FnOnce(People<'_, Rows<'_, '_>>) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut session = self.pool.reader(DEADLINE).map_err(Failure::into_ledger_error)?;
        let rows = Rows::unlocked(&mut session, tenant, keys, &self.actors);
        ask(People::new(&rows, keys)).map_err(|error| rows.explain(error).into_ledger_error())
    }
}

impl store::Persons for Postgres {
    /// The database's own checksums find damage.
    fn check_people(&self, _tenant: TenantRow) -> Result<(), LedgerError> {
        Ok(())
    }

    fn are_people_damaged(&self, _tenant: TenantRow) -> bool {
        false
    }

    fn person_of_user(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<Option<Person>, LedgerError> {
        self.ask(tenant, keys, |people| people.of_user(user))
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
        self.in_transaction(tenant, keys, Instant::now() + DEADLINE, |rows| {
            People::new(rows, keys).ensure_user(user)
        })
    }

    fn person_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        subject: Subject,
    ) -> Result<Person, LedgerError> {
        self.ask(tenant, keys, |people| people.known_as(subject))
    }

    fn link(&self, tenant: TenantRow, keys: &TenantKeys, link: Link) -> Result<Linked, LedgerError> {
        if self.ask(tenant, keys, |people| people.is_linked(&link))? {
            return Ok(Linked::default());
        }
        self.in_transaction(tenant, keys, Instant::now() + DEADLINE, |rows| {
            People::new(rows, keys).link(&link)
        })
    }

    fn ids_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        person: &[Subject],
    ) -> Result<Vec<Subject>, LedgerError> {
        self.ask(tenant, keys, |people| people.ids_of(person))
    }

    fn user_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        id: ReservedId,
    ) -> Result<Option<UserId>, LedgerError> {
        const SQL: &str = "
            SELECT sealed FROM identities
            WHERE tenant = $1 AND id = $2 AND EXISTS (SELECT FROM secrets WHERE tenant = $1)";
        let (tenant, id) = (row_id(tenant.0)?, id.index().cast_signed());
        self.read(async |session| {
            let Some(row) = session.query_opt(SQL, &[&tenant, &id]).await? else { return Ok(None) };
            let sealed: &[u8] = Columns::of(&row).get()?;
            Ok(Some(sealed::open_user(keys, id, sealed)?))
        })
    }
}
