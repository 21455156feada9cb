//! The `identities` table: who a user id is.

use jiff::Timestamp;
use portcullis_keys::{Scope, TenantKeys, UserId};
use portcullis_msisdn::{Directions, Permutation, Person, ReservedId, Revealed, Subject};
use rusqlite::{Connection, OptionalExtension as _};

use super::Sqlite;
use super::entries::{Lookup, subject, time};
use super::lists::unsigned;
use super::moves::Moves;
use super::sums::{Sums, are_people_whole, change_people};
use super::trail::wish_at;
use super::write::write_entries;
use crate::actor::Actor;
use crate::entry::Entry;
use crate::error::LedgerError;
use crate::hold::{Hold, HoldKind};
use crate::link::{Link, Linked};
use crate::store::{self, ListRow, TenantRow};
use crate::time::{is_older, now};
use crate::write::{Block, Unblock, Whom, Write};

const WHAT: &str = "row of an identity";

/// A row of `identities`.
struct Row {
    id: ReservedId,
    /// The subject that the person's entries are under, if it is not the id's own.
    person: Option<Subject>,
    /// The time of the message that linked the id to `person`, if known.
    tied: Option<Timestamp>,
}

impl Row {
    fn read(row: &rusqlite::Row<'_>) -> Result<Self, LedgerError> {
        Ok(Row {
            id: ReservedId::new(unsigned(row.get(0)?)?).ok_or(LedgerError::damaged(WHAT))?,
            person: row.get::<_, Option<i64>>(1)?.map(subject).transpose()?,
            tied: row.get::<_, Option<i64>>(2)?.map(time).transpose()?,
        })
    }

    fn home(&self, permutation: &Permutation) -> Subject {
        self.person.unwrap_or_else(|| permutation.reserved(self.id))
    }
}

fn context(id: i64) -> Vec<u8> {
    [b"user id".as_slice(), &id.to_be_bytes()].concat()
}

/// Decrypts a user id.
pub(super) fn open(keys: &TenantKeys, id: i64, sealed: &[u8]) -> Result<UserId, LedgerError> {
    let text = keys.text_seal().open(&context(id), sealed);
    let text = text.map_err(|error| LedgerError::unsealed(WHAT, error))?;
    let user = String::from_utf8(text).ok().and_then(|text| text.parse().ok());
    user.ok_or(LedgerError::damaged(WHAT))
}

/// The persons of one tenant.
pub(super) struct People<'a> {
    connection: &'a Connection,
    tenant: i64,
    keys: &'a TenantKeys,
    sums: Sums,
}

impl<'a> People<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        tenant: TenantRow,
        keys: &'a TenantKeys,
        sums: Sums,
    ) -> Self {
        People { connection, tenant: tenant.0, keys, sums }
    }

    fn find(&self, user: &UserId) -> Result<Option<Row>, LedgerError> {
        self.connection
            .prepare_cached("SELECT id, person, tied FROM identities WHERE tenant = ?1 AND digest = ?2")?
            .query_and_then((self.tenant, self.keys.digest_of(user).as_slice()), Row::read)?
            .next()
            .transpose()
    }

    fn by_id(&self, id: ReservedId) -> Result<Option<Row>, LedgerError> {
        self.connection
            .prepare_cached("SELECT id, person, tied FROM identities WHERE tenant = ?1 AND id = ?2")?
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
        change_people(self.connection, self.tenant, self.sum_of([id])?)?;
        let id = ReservedId::new(unsigned(id)?).ok_or(LedgerError::damaged(WHAT))?;
        Ok(Row { id, person: None, tied: None })
    }

    /// The sum of these identities, as they are stored.
    fn sum_of(&self, ids: impl IntoIterator<Item = i64>) -> Result<u64, LedgerError> {
        ids.into_iter()
            .try_fold(0, |sum, id| Ok(sum ^ self.sums.of_identity(self.connection, self.tenant, id)?))
    }

    /// The person known as `subject`: by a number, an id, or an unknown value.
    fn known_as(&self, subject: Subject) -> Result<Person, LedgerError> {
        let permutation = self.keys.permutation();
        let home = match permutation.reveal(subject) {
            Revealed::Number(number) => return Ok(permutation.person(number)),
            Revealed::Reserved(id) => self.by_id(id)?.and_then(|row| row.person),
            Revealed::Neither => None,
        };
        Ok(permutation.person_of(home.unwrap_or(subject)))
    }

    /// The person that a write is about. `None` if the id is new and the write does not register it.
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

    /// Other persons that a request applies to, because the person may have changed numbers since making it.
    pub(super) fn meant_too(&self, write: &Write, person: &Person) -> Result<Vec<Person>, LedgerError> {
        match write.requested().filter(|_| write.hold().is_some_and(HoldKind::is_wish)) {
            Some(requested) => {
                let mut people = self.moves().since(person, requested)?;
                people.retain(|other| other.key() != person.key());
                Ok(people)
            }
            None => Ok(Vec::new()),
        }
    }

    fn moves(&self) -> Moves<'_> {
        Moves::new(self.connection, self.tenant, self.keys.permutation(), self.sums)
    }

    /// Where the entries of the linked identities are from now on, and since when.
    fn home_of(&self, link: &Link, rows: &[Row]) -> Result<Option<Home>, LedgerError> {
        let permutation = self.keys.permutation();
        let Some(number) = link.number else {
            let is_number =
                |row: &&Row| matches!(permutation.reveal(row.home(permutation)), Revealed::Number(_));
            // The number of the latest link. The link between the ids says nothing about the number.
            let of_number = rows.iter().filter(is_number).max_by_key(|row| row.tied);
            let row = of_number.or_else(|| rows.first());
            return Ok(row.map(|row| Home { subject: row.home(permutation), since: row.tied }));
        };
        let mut person = permutation.person_of(number);
        let mut subject = number;
        // The number's owner at that time may have changed numbers since.
        if let Some(at) = link.at
            && let Some(by_now) = self.moves().since(&person, at)?.pop()
        {
            subject = by_now.first();
            person = by_now;
        }
        // Prefer the variant already in use.
        let homes = rows.iter().map(|row| row.home(permutation));
        let known = homes.into_iter().find(|home| person.contains(home));
        Ok(Some(Home { subject: known.unwrap_or(subject), since: link.at }))
    }

    /// Applies the holds of `from` to `to`, on all of the tenant's lists. Returns the lists whose entries changed.
    fn carry(&self, from: Subject, to: Subject, term: Term, link: &Link) -> Result<Vec<Scope>, LedgerError> {
        let permutation = self.keys.permutation();
        let mut changed = Vec::new();
        for (list, scope) in self.lists()? {
            let mut lookup = Lookup::new(self.connection, list, self.keys.text_seal())?;
            let mut there = Vec::new();
            for &subject in permutation.person_of(to).iter() {
                there.extend(lookup.get(subject)?);
            }
            let mut writes = Vec::new();
            for &subject in permutation.person_of(from).iter() {
                let Some(entry) = lookup.get(subject)? else { continue };
                let is_id = matches!(permutation.reveal(subject), Revealed::Reserved(_));
                for hold in entry.holds.iter() {
                    let hold = match term.until.filter(|_| !is_id) {
                        Some(until) => self.as_of(list, &entry, hold, until)?,
                        None => Some(hold.clone()),
                    };
                    let hold = hold.filter(|hold| is_id || term.has(hold));
                    writes.extend(hold.iter().flat_map(|hold| carried(hold, &there, to)));
                }
                // A number stays blocked, because someone may still use it. An id is looked up under its new home.
                if is_id {
                    let lift = Unblock::new(subject, Directions::BOTH, link.actor.clone());
                    writes.push(lift.into());
                }
            }
            if writes.is_empty() {
                continue;
            }
            let writes = writes.iter().map(|write| (write, u64::MAX));
            let written = write_entries(self.connection, list, self.keys, self.sums, writes)?;
            if written.iter().any(|written| written.outcome.changed()) {
                changed.push(scope);
            }
        }
        Ok(changed)
    }

    /// The hold as it was at `at`; `None` if there was none.
    fn as_of(
        &self,
        list: ListRow,
        entry: &Entry,
        hold: &Hold,
        at: Timestamp,
    ) -> Result<Option<Hold>, LedgerError> {
        // The business means the person it knows by this number, until it learns that they gave it up.
        if !hold.kind.is_wish() || !is_older(at, hold.requested) {
            return Ok(Some(hold.clone()));
        }
        let hold = wish_at(self.connection, list, self.keys.text_seal(), entry, hold.kind, at)?;
        Ok(hold.filter(|hold| hold.expires.is_none_or(|end| end > now())))
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

    fn settle(&self, row: &Row, home: Home) -> Result<(), LedgerError> {
        let own = self.keys.permutation().reserved(row.id) == home.subject;
        let id = row.id.index().cast_signed();
        let before = self.sum_of([id])?;
        self.connection
            .prepare_cached("UPDATE identities SET person = ?3, tied = ?4 WHERE tenant = ?1 AND id = ?2")?
            .execute((
                self.tenant,
                id,
                (!own).then(|| home.subject.get().cast_signed()),
                home.since.filter(|_| !own).map(Timestamp::as_millisecond),
            ))?;
        change_people(self.connection, self.tenant, before ^ self.sum_of([id])?)
    }

    /// Moves all persons under `from`, except those known to have been there later.
    fn move_all(&self, from: Subject, home: Home) -> Result<(), LedgerError> {
        let since = home.since.map(Timestamp::as_millisecond);
        let ids: Vec<i64> = self
            .connection
            .prepare_cached(
                "SELECT id FROM identities WHERE tenant = ?1 AND person = ?2 AND coalesce(tied <= ?3, true)",
            )?
            .query_map((self.tenant, from.get().cast_signed(), since), |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let before = self.sum_of(ids.iter().copied())?;
        let mut update = self
            .connection
            .prepare_cached("UPDATE identities SET person = ?3, tied = ?4 WHERE tenant = ?1 AND id = ?2")?;
        for id in &ids {
            update.execute((self.tenant, id, home.subject.get().cast_signed(), since))?;
        }
        change_people(self.connection, self.tenant, before ^ self.sum_of(ids)?)
    }

    /// Whether a user id whose entries are elsewhere must move to `home`.
    fn is_due(&self, row: &Row, home: Home, is_move: bool) -> bool {
        let permutation = self.keys.permutation();
        let own = row.home(permutation);
        if permutation.person_of(home.subject).contains(&own) {
            return false;
        }
        let is_of_number = matches!(permutation.reveal(own), Revealed::Number(_));
        !is_of_number
            || home.since.is_some_and(|since| {
                // One message says which number the person gave up, and another in the same second says the new one.
                row.tied.is_none_or(|tied| is_older(tied, since) || is_move && !is_older(since, tied))
            })
    }

    /// Lets the holds on a number follow the person who gave it up.
    fn follow(&self, moved: Move, home: Home, link: &Link) -> Result<Vec<Scope>, LedgerError> {
        let Move { left, reached } = moved;
        let permutation = self.keys.permutation();
        let at = home.since.unwrap_or_else(now);
        self.moves().remember(left, reached, at)?;
        let term = Term { until: Some(at), surely_until: Some(at) };
        let mut changed = self.carry(left, reached, term, link)?;
        // The person may have given up the new number since.
        for further in self.moves().since(&permutation.person_of(reached), at)? {
            changed.extend(self.carry(left, further.first(), term, link)?);
        }
        for &left in permutation.person_of(left).iter() {
            self.move_all(left, Home { since: Some(at), ..home })?;
        }
        Ok(changed)
    }

    fn link(&self, link: &Link) -> Result<Linked, LedgerError> {
        let rows = link.users.iter().map(|user| self.ensure(user)).collect::<Result<Vec<Row>, _>>()?;
        let permutation = self.keys.permutation();
        let Some(mut home) = self.home_of(link, &rows)? else { return Ok(Linked::default()) };
        let mut linked = Linked::default();
        let moved = self.unknown_move(link)?;
        if let Some(moved) = moved {
            home.since = home.since.or_else(|| Some(now()));
            linked.changed.extend(self.follow(moved, home, link)?);
        }
        for row in &rows {
            // Read again, because an earlier iteration may have moved it.
            let row = self.by_id(row.id)?.ok_or(LedgerError::damaged(WHAT))?;
            if !self.is_due(&row, home, moved.is_some()) {
                continue;
            }
            let before = row.home(permutation);
            let term = Term { until: home.since, surely_until: row.tied };
            linked.changed.extend(self.carry(before, home.subject, term, link)?);
            self.settle(&row, home)?;
            // Others under the same id are the same person. Others under the same number may be its new owner.
            if let Revealed::Reserved(id) = permutation.reveal(before) {
                self.move_all(before, home)?;
                if let Some(before) = self.by_id(id)? {
                    self.settle(&before, home)?;
                }
            }
        }
        linked.changed.sort_unstable();
        linked.changed.dedup();
        Ok(linked)
    }

    /// The change of number that the link states, unless it is already known.
    fn unknown_move(&self, link: &Link) -> Result<Option<Move>, LedgerError> {
        let (Some(left), Some(reached)) = (link.left, link.number) else { return Ok(None) };
        let is_same = self.keys.permutation().person_of(reached).contains(&left);
        let is_known = is_same || self.moves().is_known(left, reached, link.at)?;
        Ok((!is_known).then_some(Move { left, reached }))
    }

    /// Whether the link changes nothing.
    fn is_linked(&self, link: &Link) -> Result<bool, LedgerError> {
        if self.unknown_move(link)?.is_some() {
            return Ok(false);
        }
        let mut rows = Vec::with_capacity(link.users.len());
        for user in &link.users {
            let Some(row) = self.find(user)? else { return Ok(false) };
            rows.push(row);
        }
        let home = self.home_of(link, &rows)?;
        Ok(home.is_none_or(|home| !rows.iter().any(|row| self.is_due(row, home, false))))
    }

    /// The subjects of the ids of the person whose entries are under one of these subjects.
    fn ids_of(&self, person: &[Subject]) -> Result<Vec<Subject>, LedgerError> {
        let mut select = self
            .connection
            .prepare_cached("SELECT id, person, tied FROM identities WHERE tenant = ?1 AND person = ?2")?;
        let mut ids = Vec::new();
        for home in person {
            for row in select.query_and_then((self.tenant, home.get().cast_signed()), Row::read)? {
                ids.push(self.keys.permutation().reserved(row?.id));
            }
        }
        Ok(ids)
    }
}

/// A change of number.
#[derive(Clone, Copy)]
struct Move {
    left: Subject,
    reached: Subject,
}

/// How long a person had a number.
#[derive(Clone, Copy)]
struct Term {
    /// They had it at most until then; `None` if that is unknown.
    until: Option<Timestamp>,
    /// They had it at least until then.
    surely_until: Option<Timestamp>,
}

impl Term {
    /// Whether a hold is the person's. In doubt, holds in force are and lifted ones are not, so that no opt-out is
    /// lost.
    fn has(self, hold: &Hold) -> bool {
        let is_lifted = hold.kind.is_wish() && hold.directions.is_none();
        !is_lifted || self.surely_until.is_some_and(|until| !is_older(until, hold.requested))
    }
}

/// Where a person's entries are.
#[derive(Clone, Copy)]
struct Home {
    subject: Subject,
    /// Since when, if known.
    since: Option<Timestamp>,
}

/// The writes that apply a hold to another identity, whose entries are `there`. They keep the hold's author and request
/// time. If there is a hold of the same kind in force, the later expiry applies.
fn carried(hold: &Hold, there: &[Entry], to: Subject) -> Vec<Write> {
    if hold.directions.is_none() {
        // The person's own request to lift a hold is carried over, but not its expiry.
        let lifted_by = hold.lifted_by.as_ref().filter(|actor| **actor != Actor::expiry());
        let lift = lifted_by.filter(|_| hold.kind.is_wish()).map(|actor| Unblock {
            hold: Some(hold.kind),
            requested: Some(hold.requested),
            ..Unblock::new(to, Directions::BOTH, actor.clone())
        });
        return lift.map(Write::Unblock).into_iter().collect();
    }
    let block = Block {
        whom: to.into(),
        hold: hold.kind,
        directions: hold.directions,
        source: hold.source,
        label: hold.label.clone(),
        actor: hold.actor.clone(),
        reason: hold.reason.clone(),
        display: None,
        expires: hold.expires,
        requested: Some(hold.requested),
    };
    let in_force =
        there.iter().filter_map(|entry| entry.holds.get(hold.kind)).find(|there| !there.directions.is_none());
    let Some(there) = in_force else { return vec![block.into()] };
    let both = Block {
        expires: there.expires.and_then(|end| Some(end.max(hold.expires?))),
        requested: Some(hold.requested.max(there.requested)),
        source: there.source,
        actor: there.actor.clone(),
        label: there.label.clone().or(block.label.clone()),
        reason: there.reason.clone().or(block.reason.clone()),
        ..block.clone()
    };
    // An older request is recorded too: a later change of number may need to know what was requested when.
    let older = Some(block).filter(|_| hold.kind.is_wish() && is_older(hold.requested, there.requested));
    older.into_iter().chain([both]).map(Write::Block).collect()
}

impl store::Persons for Sqlite {
    fn check_people(&self, tenant: TenantRow) -> Result<(), LedgerError> {
        match self.read(|connection| are_people_whole(connection, tenant.0, self.sums)) {
            Ok(true) => self.damage.refuse_people(tenant),
            Ok(false) => {
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
        self.read(|connection| {
            let row = People::new(connection, tenant, keys, self.sums).find(user)?;
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
        let (keys, user, sums) = (keys.clone(), user.clone(), self.sums);
        self.write_for(tenant, 1, move |connection| {
            let row = People::new(connection, tenant, &keys, sums).ensure(&user)?;
            let permutation = keys.permutation();
            Ok(permutation.person_of(row.home(permutation)))
        })
    }

    fn person_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        subject: Subject,
    ) -> Result<Person, LedgerError> {
        self.read(|connection| People::new(connection, tenant, keys, self.sums).known_as(subject))
    }

    fn link(&self, tenant: TenantRow, keys: &TenantKeys, link: Link) -> Result<Linked, LedgerError> {
        if self.read(|connection| People::new(connection, tenant, keys, self.sums).is_linked(&link))? {
            return Ok(Linked::default());
        }
        let (keys, sums) = (keys.clone(), self.sums);
        self.write_for(tenant, link.users.len() + 1, move |connection| {
            People::new(connection, tenant, &keys, sums).link(&link)
        })
    }

    fn ids_of(
        &self,
        tenant: TenantRow,
        keys: &TenantKeys,
        person: &[Subject],
    ) -> Result<Vec<Subject>, LedgerError> {
        self.read(|connection| People::new(connection, tenant, keys, self.sums).ids_of(person))
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
        open(keys, id, &sealed).map(Some)
    }
}
