//! Who a person is, and what follows from it: identities, changes of number, and the holds that are carried over.

use jiff::Timestamp;
use portcullis_keys::{Scope, TenantKeys, UserId};
use portcullis_msisdn::{Directions, Person, ReservedId, Revealed, Subject};

use crate::actor::Actor;
use crate::batch::{Pending, write_entries};
use crate::changes::Seq;
use crate::entry::Entry;
use crate::hold::{Hold, HoldKind};
use crate::inconsistent::Inconsistent;
use crate::link::{Link, Linked};
use crate::moves::Moves;
use crate::record::Record;
use crate::replay::replay;
use crate::rows::ListRow;
use crate::tables::{Identity, Tables};
use crate::time::is_older;
use crate::write::{Block, Unblock, Whom, Write};

const WHAT: &str = "row of an identity";

/// The persons of one tenant.
pub struct People<'a, T> {
    tables: &'a T,
    keys: &'a TenantKeys,
}

impl<'a, T: Tables> People<'a, T> {
    /// The persons in these tables, which are of the tenant of these keys.
    pub fn new(tables: &'a T, keys: &'a TenantKeys) -> Self {
        People { tables, keys }
    }

    /// The person of a user id, whose first subject is the one that their entries are under. `None` if it was never used.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn of_user(&self, user: &UserId) -> Result<Option<Person>, T::Error> {
        Ok(self.tables.identity_of(user)?.map(|identity| self.person(&identity)))
    }

    /// Like [`of_user`](Self::of_user), but registers a new user id.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn ensure_user(&self, user: &UserId) -> Result<Person, T::Error> {
        Ok(self.person(&self.ensure(user)?))
    }

    fn person(&self, identity: &Identity) -> Person {
        let permutation = self.keys.permutation();
        permutation.person_of(identity.subject(permutation))
    }

    fn ensure(&self, user: &UserId) -> Result<Identity, T::Error> {
        match self.tables.identity_of(user)? {
            Some(identity) => Ok(identity),
            None => Ok(Identity { id: self.tables.add_identity(user)?, home: None, tied: None }),
        }
    }

    /// Finds out who the writes are about, in their order.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn resolve<'w>(
        &self,
        writes: impl Iterator<Item = (&'w Write, u64)>,
    ) -> Result<Vec<Pending<'w>>, T::Error> {
        let mut pending = Vec::new();
        for (write, max_active) in writes {
            let person = self.meant_by(write)?;
            let too = person.as_ref().map_or(Ok(Vec::new()), |person| self.meant_too(write, person))?;
            pending.push(Pending { write, max_active, person, is_reported: true });
            pending.extend(too.into_iter().map(|person| Pending {
                write,
                max_active,
                person: Some(person),
                is_reported: false,
            }));
        }
        Ok(pending)
    }

    /// The person known as `subject`: by a number, an id, or an unknown value.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn known_as(&self, subject: Subject) -> Result<Person, T::Error> {
        let permutation = self.keys.permutation();
        let home = match permutation.reveal(subject) {
            Revealed::Number(number) => return Ok(permutation.person(number)),
            Revealed::Reserved(id) => self.tables.identity(id)?.and_then(|identity| identity.home),
            Revealed::Neither => None,
        };
        Ok(permutation.person_of(home.unwrap_or(subject)))
    }

    /// The person that a write is about. `None` if the id is new and the write does not register it.
    fn meant_by(&self, write: &Write) -> Result<Option<Person>, T::Error> {
        match write.whom() {
            Whom::Subject(subject) => self.known_as(*subject).map(Some),
            Whom::User(user) if is_remembered(write) => self.ensure_user(user).map(Some),
            Whom::User(user) => self.of_user(user),
        }
    }

    /// Other persons that a request applies to, because the person may have changed numbers since making it.
    fn meant_too(&self, write: &Write, person: &Person) -> Result<Vec<Person>, T::Error> {
        match write.requested().filter(|_| write.hold().is_some_and(HoldKind::is_wish)) {
            Some(requested) => {
                let mut people = self.moves().since(person, requested)?;
                people.retain(|other| other.key() != person.key());
                Ok(people)
            }
            None => Ok(Vec::new()),
        }
    }

    fn moves(&self) -> Moves<'_, T> {
        Moves::new(self.tables, self.keys.permutation())
    }

    /// Where the entries of the linked identities are from now on, and since when.
    fn home_of(&self, link: &Link, identities: &[Identity]) -> Result<Option<Home>, T::Error> {
        let permutation = self.keys.permutation();
        let Some(number) = link.number else {
            let is_number = |identity: &&Identity| {
                matches!(permutation.reveal(identity.subject(permutation)), Revealed::Number(_))
            };
            // The number of the latest link. The link between the ids says nothing about the number.
            let of_number = identities.iter().filter(is_number).max_by_key(|identity| identity.tied);
            let identity = of_number.or_else(|| identities.first());
            return Ok(identity
                .map(|identity| Home { subject: identity.subject(permutation), since: identity.tied }));
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
        let homes = identities.iter().map(|identity| identity.subject(permutation));
        let known = homes.into_iter().find(|home| person.contains(home));
        Ok(Some(Home { subject: known.unwrap_or(subject), since: link.at }))
    }

    /// Applies the holds of `from` to `to`, on all of the tenant's lists. Returns the lists whose entries changed.
    fn carry(&self, from: Subject, to: Subject, term: Term, link: &Link) -> Result<Vec<Scope>, T::Error> {
        let permutation = self.keys.permutation();
        let mut changed = Vec::new();
        for (list, scope) in self.tables.lists()? {
            let mut there = Vec::new();
            for &subject in permutation.person_of(to).iter() {
                there.extend(self.tables.entry(list, subject)?);
            }
            let mut writes = Vec::new();
            for &subject in permutation.person_of(from).iter() {
                let Some(entry) = self.tables.entry(list, subject)? else { continue };
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
            let written = write_entries(self.tables, self.keys, list, writes)?;
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
    ) -> Result<Option<Hold>, T::Error> {
        // The business means the person it knows by this number, until it learns that they gave it up.
        // An opt-out of a time to come was made while a clock was ahead: it may have been made before `at`.
        let is_undated = is_older(self.tables.now(), hold.requested) && !hold.directions.is_none();
        if !hold.kind.is_wish() || !is_older(at, hold.requested) || is_undated {
            return Ok(Some(hold.clone()));
        }
        let records = self.records_of(list, entry)?;
        let hold = replay(records, hold.kind, at, self.tables.now());
        let has_ended = |hold: &Hold| hold.expires.is_some_and(|end| end <= self.tables.now());
        Ok(hold.filter(|hold| hold.directions.is_none() || !has_ended(hold)))
    }

    /// The trail of an entry, as far back as it goes, the latest first.
    fn records_of(&self, list: ListRow, entry: &Entry) -> Result<Vec<Record>, T::Error> {
        let mut records = Vec::new();
        let mut next = entry.sequence;
        while next != Seq::START {
            let found = self.tables.records(list, next)?;
            let Some(first) = found.first().filter(|record| record.subject == entry.subject) else {
                // The entry is older than the trail.
                break;
            };
            next = first.previous;
            records.extend(found);
        }
        Ok(records)
    }

    fn settle(&self, id: ReservedId, home: Home) -> Result<(), T::Error> {
        let own = self.keys.permutation().reserved(id) == home.subject;
        self.tables.move_identity(id, (!own).then_some(home.subject), home.since.filter(|_| !own))
    }

    /// Moves all persons under `from`, except those known to have been there later.
    fn move_all(&self, from: Subject, home: Home) -> Result<(), T::Error> {
        for identity in self.tables.identities_at(from)? {
            let was_there_later = identity.tied.zip(home.since).is_some_and(|(tied, since)| tied > since);
            if !was_there_later {
                self.tables.move_identity(identity.id, Some(home.subject), home.since)?;
            }
        }
        Ok(())
    }

    /// Whether a user id whose entries are elsewhere must move to `home`.
    fn is_due(&self, identity: &Identity, home: Home, is_move: bool) -> bool {
        let permutation = self.keys.permutation();
        let own = identity.subject(permutation);
        if permutation.person_of(home.subject).contains(&own) {
            return false;
        }
        let is_of_number = matches!(permutation.reveal(own), Revealed::Number(_));
        !is_of_number
            || home.since.is_some_and(|since| {
                // One message says which number the person gave up, and another in the same second says the new one.
                identity.tied.is_none_or(|tied| is_older(tied, since) || is_move && !is_older(since, tied))
            })
    }

    /// Lets the holds on a number follow the person who gave it up.
    fn follow(&self, moved: Move, home: Home, link: &Link) -> Result<Vec<Scope>, T::Error> {
        let Move { left, reached } = moved;
        let permutation = self.keys.permutation();
        let at = home.since.unwrap_or_else(|| self.tables.now());
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

    /// Links identities to each other, and applies the holds of each to the person. Registers new user ids.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn link(&self, link: &Link) -> Result<Linked, T::Error> {
        let identities = link.users.iter().map(|user| self.ensure(user));
        let identities = identities.collect::<Result<Vec<Identity>, T::Error>>()?;
        let permutation = self.keys.permutation();
        let Some(mut home) = self.home_of(link, &identities)? else { return Ok(Linked::default()) };
        let mut linked = Linked::default();
        let moved = self.unknown_move(link)?;
        if let Some(moved) = moved {
            home.since = home.since.or_else(|| Some(self.tables.now()));
            linked.changed.extend(self.follow(moved, home, link)?);
        }
        for Identity { id, .. } in identities {
            // Read again, because an earlier iteration may have moved it.
            let identity = self.tables.identity(id)?.ok_or(Inconsistent::Stored(WHAT))?;
            if !self.is_due(&identity, home, moved.is_some()) {
                continue;
            }
            let before = identity.subject(permutation);
            let term = Term { until: home.since, surely_until: identity.tied };
            linked.changed.extend(self.carry(before, home.subject, term, link)?);
            self.settle(id, home)?;
            // Others under the same id are the same person. Others under the same number may be its new owner.
            if let Revealed::Reserved(id) = permutation.reveal(before) {
                self.move_all(before, home)?;
                if self.tables.identity(id)?.is_some() {
                    self.settle(id, home)?;
                }
            }
        }
        linked.changed.sort_unstable();
        linked.changed.dedup();
        Ok(linked)
    }

    /// The change of number that the link states, unless it is already known.
    fn unknown_move(&self, link: &Link) -> Result<Option<Move>, T::Error> {
        let (Some(left), Some(reached)) = (link.left, link.number) else { return Ok(None) };
        let is_same = self.keys.permutation().person_of(reached).contains(&left);
        let is_known = is_same || self.moves().is_known(left, reached, link.at)?;
        Ok((!is_known).then_some(Move { left, reached }))
    }

    /// Whether the link changes nothing.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn is_linked(&self, link: &Link) -> Result<bool, T::Error> {
        if self.unknown_move(link)?.is_some() {
            return Ok(false);
        }
        let mut identities = Vec::with_capacity(link.users.len());
        for user in &link.users {
            let Some(identity) = self.tables.identity_of(user)? else { return Ok(false) };
            identities.push(identity);
        }
        let home = self.home_of(link, &identities)?;
        Ok(home.is_none_or(|home| !identities.iter().any(|identity| self.is_due(identity, home, false))))
    }

    /// The subjects of the ids of the person whose entries are under one of these subjects.
    ///
    /// # Errors
    /// Those of the tables.
    pub fn ids_of(&self, person: &[Subject]) -> Result<Vec<Subject>, T::Error> {
        let mut ids = Vec::new();
        for &home in person {
            let identities = self.tables.identities_at(home)?.into_iter();
            ids.extend(identities.map(|identity| self.keys.permutation().reserved(identity.id)));
        }
        Ok(ids)
    }
}

/// Whether a write registers a user id that is new.
pub fn is_remembered(write: &Write) -> bool {
    matches!(write, Write::Block(_)) || write.requested().is_some()
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
        after_loss: false,
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
