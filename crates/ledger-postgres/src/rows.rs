//! The rows of one tenant, for the rules of a write.

use std::cell::{Cell, RefCell};

use jiff::Timestamp;
use portcullis_keys::{Scope, TenantKeys, UserId};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::batch::Batch;
use portcullis_ledger::store::tables::{Identity, Loaded, Tables};
use portcullis_ledger::store::{ListRow, TenantRow, sealed};
use portcullis_ledger_model::{Entry, Record, Seq};
use portcullis_msisdn::{ReservedId, Subject};
use tokio_postgres::Row;

use crate::actors::Actors;
use crate::columns::{Columns, bits, row_id, unsigned};
use crate::entries;
use crate::failure::Failure;
use crate::head::{Head, locked_head};
use crate::ids;
use crate::pool::Lent;
use crate::records;
use crate::session::Session;
use crate::write::{self, Guard, ToStore};

/// The rows of one tenant, read and written on one connection.
///
/// In a transaction, the tenant's row is locked, so nobody else changes its people. Without one, nothing can be registered or stored:
/// what is read is compared when it is used.
pub(crate) struct Rows<'a, 'p> {
    session: RefCell<&'a mut Lent<'p>>,
    tenant: TenantRow,
    keys: &'a TenantKeys,
    actors: &'a Actors,
    is_locked: bool,
    /// What went wrong at the database. The rules only see that something did.
    failure: RefCell<Option<Failure>>,
    /// Whether something was to be registered outside a transaction.
    needs_lock: Cell<bool>,
    /// Whether identities or moves were read.
    knows_people: Cell<bool>,
    /// Whether identities or moves changed.
    changed_people: Cell<bool>,
    /// Whether the tenant has moves. Most have none.
    has_moves: Cell<Option<bool>>,
}

impl<'a, 'p> Rows<'a, 'p> {
    /// Rows outside a transaction.
    pub(crate) fn unlocked(
        session: &'a mut Lent<'p>,
        tenant: TenantRow,
        keys: &'a TenantKeys,
        actors: &'a Actors,
    ) -> Self {
        Rows {
            session: RefCell::new(session),
            tenant,
            keys,
            actors,
            is_locked: false,
            failure: RefCell::default(),
            needs_lock: Cell::default(),
            knows_people: Cell::default(),
            changed_people: Cell::default(),
            has_moves: Cell::default(),
        }
    }

    /// Rows in a transaction, which has to be open and to hold the lock of the tenant.
    pub(crate) fn locked(
        session: &'a mut Lent<'p>,
        tenant: TenantRow,
        keys: &'a TenantKeys,
        actors: &'a Actors,
    ) -> Self {
        Rows { is_locked: true, ..Rows::unlocked(session, tenant, keys, actors) }
    }

    /// Whether something was to be registered, which takes a transaction.
    pub(crate) fn needs_lock(&self) -> bool {
        self.needs_lock.get()
    }

    /// Whether what was read depends on who is who.
    pub(crate) fn knows_people(&self) -> bool {
        self.knows_people.get()
    }

    /// Whether identities or moves changed.
    pub(crate) fn changed_people(&self) -> bool {
        self.changed_people.get()
    }

    /// What went wrong: at the database if anything did there, otherwise by the rules.
    pub(crate) fn explain(&self, error: LedgerError) -> Failure {
        self.failure.take().unwrap_or(Failure::Ledger(error))
    }

    /// Runs a call on the calling thread.
    fn run<T>(&self, call: impl AsyncFnOnce(&Session) -> Result<T, Failure>) -> Result<T, LedgerError> {
        self.session.borrow_mut().run(call).map_err(|failure| match failure {
            Failure::Ledger(error) => error,
            failure => {
                *self.failure.borrow_mut() = Some(failure);
                LedgerError::Defect
            }
        })
    }

    fn tenant(&self) -> Result<i32, LedgerError> {
        row_id(self.tenant.0)
    }

    /// Call it before something is registered or stored.
    fn require_lock(&self) -> Result<(), LedgerError> {
        if self.is_locked {
            return Ok(());
        }
        self.needs_lock.set(true);
        Err(LedgerError::Defect)
    }

    /// Registers or changes people.
    fn change_people(
        &self,
        sql: &'static str,
        parameters: crate::session::Parameters<'_>,
    ) -> Result<(), LedgerError> {
        self.require_lock()?;
        self.changed_people.set(true);
        self.run(async |session| session.execute(sql, parameters).await).map(drop)
    }
}

fn identity(row: &Row) -> Result<Identity, Failure> {
    let mut columns = Columns::of(row);
    let id = ReservedId::new(unsigned(columns.get()?)?);
    Ok(Identity {
        id: id.ok_or(LedgerError::damaged("row of an identity"))?,
        home: columns.get::<Option<i64>>()?.map(crate::columns::subject).transpose()?,
        tied: columns.maybe_time()?,
    })
}

impl Tables for Rows<'_, '_> {
    type Error = LedgerError;
    type Position = Head;
    type Before = ();

    fn now(&self) -> Timestamp {
        self.session.borrow().now()
    }

    fn identity_of(&self, user: &UserId) -> Result<Option<Identity>, LedgerError> {
        const SQL: &str = "SELECT id, person, tied FROM identities
            WHERE tenant = $1 AND digest = $2 AND EXISTS (SELECT FROM secrets WHERE tenant = $1)";
        self.knows_people.set(true);
        let (tenant, digest) = (self.tenant()?, self.keys.digest_of(user));
        self.run(async |session| {
            let row = session.query_opt(SQL, &[&tenant, &digest.as_slice()]).await?;
            row.as_ref().map(identity).transpose()
        })
    }

    fn identity(&self, id: ReservedId) -> Result<Option<Identity>, LedgerError> {
        const SQL: &str = "SELECT id, person, tied FROM identities
            WHERE tenant = $1 AND id = $2 AND EXISTS (SELECT FROM secrets WHERE tenant = $1)";
        self.knows_people.set(true);
        let (tenant, id) = (self.tenant()?, id.index().cast_signed());
        self.run(async |session| {
            let row = session.query_opt(SQL, &[&tenant, &id]).await?;
            row.as_ref().map(identity).transpose()
        })
    }

    fn identities_at(&self, home: Subject) -> Result<Vec<Identity>, LedgerError> {
        const SQL: &str = "SELECT id, person, tied FROM identities
            WHERE tenant = $1 AND person = $2 AND EXISTS (SELECT FROM secrets WHERE tenant = $1) ORDER BY id";
        self.knows_people.set(true);
        let tenant = self.tenant()?;
        self.run(async |session| {
            let rows = session.query(SQL, &[&tenant, &bits(home)]).await?;
            rows.iter().map(identity).collect()
        })
    }

    fn add_identity(&self, user: &UserId) -> Result<ReservedId, LedgerError> {
        const IS_TAKEN: &str = "SELECT 1 FROM identities WHERE tenant = $1 AND id = $2";
        const ADD: &str = "INSERT INTO identities (tenant, digest, id, sealed) VALUES ($1, $2, $3, $4)";
        let tenant = self.tenant()?;
        self.require_lock()?;
        // Nobody else adds one: the tenant is locked.
        let id = self.run(async |session| {
            loop {
                let id = ids::draw_identity()?;
                if session.query_opt(IS_TAKEN, &[&tenant, &id]).await?.is_none() {
                    return Ok(id);
                }
            }
        })?;
        let sealed = sealed::seal_user(self.keys, id, user)?;
        let digest = self.keys.digest_of(user);
        self.change_people(ADD, &[&tenant, &digest.as_slice(), &id, &sealed])?;
        u64::try_from(id).ok().and_then(ReservedId::new).ok_or(LedgerError::damaged("row of an identity"))
    }

    fn move_identity(
        &self,
        id: ReservedId,
        home: Option<Subject>,
        tied: Option<Timestamp>,
    ) -> Result<(), LedgerError> {
        const SQL: &str = "UPDATE identities SET person = $3, tied = $4 WHERE tenant = $1 AND id = $2";
        self.change_people(SQL, &[&self.tenant()?, &id.index().cast_signed(), &home.map(bits), &tied])
    }

    fn moves_from(&self, left: Subject) -> Result<Vec<(Subject, Timestamp)>, LedgerError> {
        const ANY: &str = "SELECT EXISTS (SELECT FROM moves WHERE tenant = $1)";
        const SQL: &str =
            "SELECT to_subject, at FROM moves WHERE tenant = $1 AND from_subject = $2 ORDER BY at";
        self.knows_people.set(true);
        let tenant = self.tenant()?;
        self.run(async |session| {
            if self.has_moves.get().is_none() {
                let row = session.query_opt(ANY, &[&tenant]).await?.ok_or(LedgerError::Defect)?;
                self.has_moves.set(Some(Columns::of(&row).get()?));
            }
            if self.has_moves.get() == Some(false) {
                return Ok(Vec::new());
            }
            let rows = session.query(SQL, &[&tenant, &bits(left)]).await?;
            let moves = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                Ok((columns.subject()?, columns.time()?))
            });
            moves.collect()
        })
    }

    fn put_move(&self, left: Subject, reached: Subject, at: Timestamp) -> Result<(), LedgerError> {
        const SQL: &str = "
            INSERT INTO moves (tenant, from_subject, to_subject, at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (tenant, from_subject, to_subject) DO UPDATE SET at = greatest(moves.at, excluded.at)";
        self.has_moves.set(Some(true));
        self.change_people(SQL, &[&self.tenant()?, &bits(left), &bits(reached), &at])
    }

    fn lists(&self) -> Result<Vec<(ListRow, Scope)>, LedgerError> {
        // In the order in which everybody locks them.
        const SQL: &str = "SELECT id, scope FROM lists WHERE tenant = $1 ORDER BY id";
        let tenant = self.tenant()?;
        self.run(async |session| {
            let rows = session.query(SQL, &[&tenant]).await?;
            let lists = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                let (id, scope): (i32, &str) = (columns.get()?, columns.get()?);
                let scope = Scope::from_stored(scope).map_err(|_| LedgerError::damaged("list of lists"))?;
                Ok((ListRow { id: id.into(), tenant: self.tenant }, scope))
            });
            lists.collect()
        })
    }

    fn entry(&self, list: ListRow, subject: Subject) -> Result<Option<Entry>, LedgerError> {
        let seal = self.keys.text_seal();
        self.run(async |session| {
            Ok(entries::read_here(session, list, seal, &[subject]).await?.remove(&subject))
        })
    }

    fn records(&self, list: ListRow, sequence: Seq) -> Result<Vec<Record>, LedgerError> {
        let seal = self.keys.text_seal();
        self.run(async |session| records::steps(session, list, seal, sequence).await)
    }

    fn load(&self, list: ListRow, subjects: &[Subject]) -> Result<Loaded<Head, ()>, LedgerError> {
        let seal = self.keys.text_seal();
        let (head, mut found) = self.run(async |session| {
            // First the head: what changes afterwards changes its mark.
            if self.is_locked {
                let head = locked_head(session, list).await?;
                Ok((head, entries::read_here(session, list, seal, subjects).await?))
            } else {
                entries::read_with_head(session, list, seal, subjects).await
            }
        })?;
        let entries = subjects.iter().map(|subject| (found.remove(subject), ())).collect();
        Ok(Loaded { position: head, census: head.census, entries })
    }

    fn store(&self, list: ListRow, position: Head, batch: &Batch<()>) -> Result<(), LedgerError> {
        self.require_lock()?;
        let guard = Guard::of(position, None)?;
        let to_store = ToStore { list, keys: self.keys, guard, batch };
        self.run(async |session| write::store_one(session, self.actors, to_store).await)
    }
}
