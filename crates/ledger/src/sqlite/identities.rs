//! Rows of identities: who a user id is.

use portcullis_msisdn::{Directions, Permutation, Person, ReservedId, Revealed, Subject};
use rusqlite::{Connection, OptionalExtension as _};

use super::Sqlite;
use super::entries::{Lookup, subject};
use super::lists::unsigned;
use super::write::write_entries;
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::identity::UserId;
use crate::keys::TenantKeys;
use crate::scope::Scope;
use crate::store::{self, ListRow, TenantRow};
use crate::tie::{Tie, Tied};
use crate::write::{Block, Unblock, Whom, Write};

const WHAT: &str = "row of an identity";

/// An identity's row.
struct Row {
    id: ReservedId,
    /// Under which subject the person's entries stand, where it is not the id's own.
    person: Option<Subject>,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> Result<Self, LedgerError> {
        let id = ReservedId::new(unsigned(row.get(0)?)?).ok_or(LedgerError::damaged(WHAT))?;
        Ok(Row { id, person: row.get::<_, Option<i64>>(1)?.map(subject).transpose()? })
    }

    fn home(&self, permutation: &Permutation) -> Subject {
        self.person.unwrap_or_else(|| permutation.reserved(self.id))
    }
}

fn context(id: i64) -> Vec<u8> {
    [b"user id".as_slice(), &id.to_be_bytes()].concat()
}

/// The people of one tenant.
pub(super) struct People<'a> {
    connection: &'a Connection,
    tenant: i64,
    keys: &'a TenantKeys,
}

impl<'a> People<'a> {
    pub(super) fn new(connection: &'a Connection, tenant: TenantRow, keys: &'a TenantKeys) -> Self {
        People { connection, tenant: tenant.0, keys }
    }

    fn find(&self, user: &UserId) -> Result<Option<Row>, LedgerError> {
        self.connection
            .prepare_cached("SELECT id, person FROM identities WHERE tenant = ?1 AND digest = ?2")?
            .query_and_then((self.tenant, self.keys.digest_of(user).as_slice()), Row::read)?
            .next()
            .transpose()
    }

    fn by_id(&self, id: ReservedId) -> Result<Option<Row>, LedgerError> {
        self.connection
            .prepare_cached("SELECT id, person FROM identities WHERE tenant = ?1 AND id = ?2")?
            .query_and_then((self.tenant, id.index().cast_signed()), Row::read)?
            .next()
            .transpose()
    }

    fn ensure(&self, user: &UserId) -> Result<Row, LedgerError> {
        if let Some(row) = self.find(user)? {
            return Ok(row);
        }
        let id: i64 = self
            .connection
            .prepare_cached("SELECT coalesce(max(id) + 1, 0) FROM identities WHERE tenant = ?1")?
            .query_row([self.tenant], |row| row.get(0))?;
        let sealed =
            self.keys.text_seal().seal(&context(id), user.as_str().as_bytes()).map_err(LedgerError::Seal)?;
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
        let id = ReservedId::new(unsigned(id)?).ok_or(LedgerError::damaged(WHAT))?;
        Ok(Row { id, person: None })
    }

    /// Somebody who is known as `subject`: a number, an id, or nothing that is known.
    fn known_as(&self, subject: Subject) -> Result<Person, LedgerError> {
        let permutation = self.keys.permutation();
        let home = match permutation.reveal(subject) {
            Revealed::Number(number) => return Ok(permutation.person(number)),
            Revealed::Reserved(id) => self.by_id(id)?.and_then(|row| row.person),
            Revealed::Neither => None,
        };
        Ok(permutation.person_of(home.unwrap_or(subject)))
    }

    /// Whom a write means; `None` where that is somebody whom nobody ever named, and nothing is to be made of them.
    pub(super) fn meant_by(&self, write: &Write) -> Result<Option<Person>, LedgerError> {
        let user = match write.whom() {
            Whom::Subject(subject) => return Ok(Some(self.known_as(*subject)?)),
            Whom::User(user) => user,
        };
        let is_remembered = matches!(write, Write::Block(_)) || write.requested().is_some();
        let row = if is_remembered { Some(self.ensure(user)?) } else { self.find(user)? };
        let permutation = self.keys.permutation();
        Ok(row.map(|row| permutation.person_of(row.home(permutation))))
    }

    /// Where the entries of all of these stand from now on.
    fn home_of(&self, tie: &Tie, rows: &[Row]) -> Option<Subject> {
        let permutation = self.keys.permutation();
        let homes = || rows.iter().map(|row| row.home(permutation));
        let is_number = |home: &Subject| matches!(permutation.reveal(*home), Revealed::Number(_));
        match tie.number {
            // Under the spelling that is known already.
            Some(number) => {
                let person = permutation.person_of(number);
                Some(homes().find(|home| person.contains(home)).unwrap_or(number))
            }
            None => homes().find(is_number).or_else(|| homes().next()),
        }
    }

    /// Has what is blocked of one hold for the other, on all of the tenant's lists. Those whose entries changed.
    fn carry(&self, from: Subject, to: Subject, tie: &Tie) -> Result<Vec<Scope>, LedgerError> {
        let lists = self.lists()?;
        let seal = self.keys.text_seal();
        let mut changed = Vec::new();
        for (list, scope) in lists {
            let mut lookup = Lookup::new(self.connection, list, seal)?;
            let mut writes = Vec::new();
            for &subject in self.keys.permutation().person_of(from).iter() {
                let Some(entry) = lookup.get(subject)? else { continue };
                writes.extend(carried(&entry, to, tie));
                // A number stays blocked: it may be somebody's still. An id is looked up under its new home.
                if matches!(self.keys.permutation().reveal(subject), Revealed::Reserved(_)) {
                    let lift = Unblock::new(subject, Directions::BOTH, tie.actor.clone());
                    writes.push(lift.into());
                }
            }
            if writes.is_empty() {
                continue;
            }
            let writes = writes.iter().map(|write| (write, u64::MAX));
            let written = write_entries(self.connection, list, self.keys, writes)?;
            if written.iter().any(|written| written.outcome.changed()) {
                changed.push(scope);
            }
        }
        Ok(changed)
    }

    fn lists(&self) -> Result<Vec<(ListRow, Scope)>, LedgerError> {
        self.connection
            .prepare_cached("SELECT id, scope FROM lists WHERE tenant = ?1")?
            .query_and_then([self.tenant], |row| {
                let scope: String = row.get(1)?;
                let scope = Scope::from_stored(&scope).map_err(|_| LedgerError::damaged("list of lists"))?;
                Ok((ListRow { id: row.get(0)?, tenant: TenantRow(self.tenant) }, scope))
            })?
            .collect()
    }

    fn settle(&self, row: &Row, home: Subject) -> Result<(), LedgerError> {
        let own = self.keys.permutation().reserved(row.id) == home;
        self.connection
            .prepare_cached("UPDATE identities SET person = ?3 WHERE tenant = ?1 AND id = ?2")?
            .execute((self.tenant, row.id.index().cast_signed(), (!own).then(|| home.get().cast_signed())))?;
        Ok(())
    }

    fn move_all(&self, from: Subject, home: Subject) -> Result<(), LedgerError> {
        self.connection
            .prepare_cached("UPDATE identities SET person = ?3 WHERE tenant = ?1 AND person = ?2")?
            .execute((self.tenant, from.get().cast_signed(), home.get().cast_signed()))?;
        Ok(())
    }

    fn tie(&self, tie: &Tie) -> Result<Tied, LedgerError> {
        let rows = tie.users.iter().map(|user| self.ensure(user)).collect::<Result<Vec<Row>, _>>()?;
        let permutation = self.keys.permutation();
        let Some(home) = self.home_of(tie, &rows) else { return Ok(Tied::default()) };
        let person = permutation.person_of(home);
        let mut tied = Tied::default();
        if let Some(left) = tie.left.filter(|left| !person.contains(left)) {
            tied.changed.extend(self.carry(left, home, tie)?);
            for &left in permutation.person_of(left).iter() {
                self.move_all(left, home)?;
            }
        }
        for row in &rows {
            // As it is now: an earlier one may have moved it.
            let before = self.by_id(row.id)?.ok_or(LedgerError::damaged(WHAT))?.home(permutation);
            if person.contains(&before) {
                continue;
            }
            tied.changed.extend(self.carry(before, home, tie)?);
            self.settle(row, home)?;
            // Others who stood under an id are the same person. Others who stood under a number may be whoever has it now.
            if let Revealed::Reserved(id) = permutation.reveal(before) {
                self.move_all(before, home)?;
                if let Some(before) = self.by_id(id)? {
                    self.settle(&before, home)?;
                }
            }
        }
        tied.changed.sort_unstable();
        tied.changed.dedup();
        Ok(tied)
    }

    /// Whether nothing is to be done for all of these to be one person.
    fn is_tied(&self, tie: &Tie) -> Result<bool, LedgerError> {
        let permutation = self.keys.permutation();
        let mut home = tie.number.map(|number| permutation.person_of(number));
        if tie.left.is_some() {
            return Ok(false);
        }
        for user in &tie.users {
            let Some(row) = self.find(user)? else { return Ok(false) };
            let own = row.home(permutation);
            match &home {
                Some(home) if !home.contains(&own) => return Ok(false),
                Some(_) => {}
                None => home = Some(permutation.person_of(own)),
            }
        }
        Ok(true)
    }
}

/// What makes the holds of `entry` hold for somebody else, each with the time of the wish that it comes from.
fn carried(entry: &Entry, to: Subject, tie: &Tie) -> impl Iterator<Item = Write> {
    entry.holds.iter().filter_map(move |hold| match hold.directions.is_none() {
        false => Some(Write::Block(Block {
            whom: to.into(),
            hold: hold.kind,
            directions: hold.directions,
            source: hold.source,
            label: hold.label.clone(),
            actor: tie.actor.clone(),
            reason: hold.reason.clone(),
            display: None,
            expires: hold.expires,
            requested: Some(hold.requested),
        })),
        // That the person asked for it to be lifted counts, too.
        true if hold.kind.is_wish() => Some(Write::Unblock(Unblock {
            hold: Some(hold.kind),
            requested: Some(hold.requested),
            ..Unblock::new(to, Directions::BOTH, tie.actor.clone())
        })),
        true => None,
    })
}

impl store::Persons for Sqlite {
    /// Everybody who is meant by a user id, the first of whose subjects is where entries stand; `None` where nobody ever named
    /// it.
    fn person_of_user(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        user: &UserId,
    ) -> Result<Option<Person>, LedgerError> {
        self.read(|connection| {
            let row = People::new(connection, tenant, keys).find(user)?;
            let permutation = keys.permutation();
            Ok(row.map(|row| permutation.person_of(row.home(permutation))))
        })
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
        let (keys, user) = (keys.clone(), user.clone());
        self.write(1, move |connection| {
            let row = People::new(connection, tenant, &keys).ensure(&user)?;
            let permutation = keys.permutation();
            Ok(permutation.person_of(row.home(permutation)))
        })
    }

    /// Somebody who is known as `subject`.
    fn person_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        subject: Subject,
    ) -> Result<Person, LedgerError> {
        self.read(|connection| People::new(connection, tenant, keys).known_as(subject))
    }

    fn tie(&self, tenant: TenantRow, keys: &TenantKeys, tie: Tie) -> Result<Tied, LedgerError> {
        if self.read(|connection| People::new(connection, tenant, keys).is_tied(&tie))? {
            return Ok(Tied::default());
        }
        let keys = keys.clone();
        self.write(tie.users.len() + 1, move |connection| People::new(connection, tenant, &keys).tie(&tie))
    }

    fn user_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        id: ReservedId,
    ) -> Result<Option<UserId>, LedgerError> {
        let id = id.index().cast_signed();
        let sealed: Option<Vec<u8>> = self.read(|connection| {
            Ok(connection
                .prepare_cached("SELECT sealed FROM identities WHERE tenant = ?1 AND id = ?2")?
                .query_row((tenant.0, id), |row| row.get(0))
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
