//! The rows of one tenant in an SQLite transaction, for the rules of a write.

use jiff::Timestamp;
use portcullis_keys::{Scope, TenantKeys, UserId};
use portcullis_ledger_model::{Entry, Record, Seq};
use portcullis_msisdn::{ReservedId, Subject};
use rusqlite::Connection;

use super::entries::Lookup;
use super::identities::Identities;
use super::lists::{Position, lists_of, position};
use super::moves::Moves;
use super::sums::Sums;
use super::trail::steps;
use super::write::store;
use crate::error::LedgerError;
use crate::store::batch::Batch;
use crate::store::tables::{Identity, Loaded, Tables};
use crate::store::{ListRow, TenantRow};

/// The rows of one tenant.
pub(super) struct Rows<'a> {
    connection: &'a Connection,
    tenant: TenantRow,
    keys: &'a TenantKeys,
    sums: Sums,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        tenant: TenantRow,
        keys: &'a TenantKeys,
        sums: Sums,
    ) -> Self {
        Rows { connection, tenant, keys, sums }
    }

    fn identities(&self) -> Identities<'_> {
        Identities { connection: self.connection, tenant: self.tenant.0, keys: self.keys, sums: self.sums }
    }

    fn moves(&self) -> Moves<'_> {
        Moves { connection: self.connection, tenant: self.tenant.0, sums: self.sums }
    }
}

impl Tables for Rows<'_> {
    type Error = LedgerError;
    type Position = Position;
    /// The sum of the entry's rows.
    type Before = u64;

    fn identity_of(&self, user: &UserId) -> Result<Option<Identity>, LedgerError> {
        self.identities().of_user(user)
    }

    fn identity(&self, id: ReservedId) -> Result<Option<Identity>, LedgerError> {
        self.identities().get(id)
    }

    fn identities_at(&self, home: Subject) -> Result<Vec<Identity>, LedgerError> {
        self.identities().at(home)
    }

    fn add_identity(&self, user: &UserId) -> Result<ReservedId, LedgerError> {
        self.identities().add(user)
    }

    fn move_identity(
        &self,
        id: ReservedId,
        home: Option<Subject>,
        tied: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        self.identities().move_to(id, home, tied)
    }

    fn moves_from(&self, left: Subject) -> Result<Vec<(Subject, Timestamp)>, LedgerError> {
        self.moves().from(left)
    }

    fn put_move(&self, left: Subject, reached: Subject, at: Timestamp) -> Result<(), LedgerError> {
        self.moves().put(left, reached, at)
    }

    fn lists(&self) -> Result<Vec<(ListRow, Scope)>, LedgerError> {
        lists_of(self.connection, self.tenant)
    }

    fn entry(&self, list: ListRow, subject: Subject) -> Result<Option<Entry>, LedgerError> {
        Lookup::new(self.connection, list, self.keys.text_seal())?.get(subject)
    }

    fn records(&self, list: ListRow, sequence: Seq) -> Result<Vec<Record>, LedgerError> {
        steps(self.connection, list, self.keys.text_seal(), sequence)
    }

    fn load(&self, list: ListRow, subjects: &[Subject]) -> Result<Loaded<Position, u64>, LedgerError> {
        let position = position(self.connection, list.id)?;
        let mut lookup = Lookup::new(self.connection, list, self.keys.text_seal())?;
        let entries = subjects.iter().map(|&subject| {
            let (entry, sum) = lookup.get_with_sum(subject, self.sums)?.unzip();
            Ok((entry, sum.unwrap_or_default()))
        });
        let entries = entries.collect::<Result<_, LedgerError>>()?;
        Ok(Loaded { position, census: position.census, entries })
    }

    fn store(&self, list: ListRow, position: Position, batch: &Batch<u64>) -> Result<(), LedgerError> {
        store(self.connection, list, self.keys.text_seal(), self.sums, position, batch)
    }
}
