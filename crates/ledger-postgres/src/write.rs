//! Writing the `entries`, `holds` and `records` tables: all that one commit changes of lists, in one statement.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use portcullis_keys::{SealError, TenantKeys};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::ListRow;
use portcullis_ledger::store::batch::Batch;
use portcullis_ledger_model::text::{self, Row, RowContext};
use portcullis_ledger_model::{Actor, Entry, Hold, Record, Seq};

use crate::actors::Actors;
use crate::columns::{Columns, bits, code, number, row_id};
use crate::failure::Failure;
use crate::head::Head;
use crate::session::Session;
use crate::upgrade::FORMAT;

/// What must not have changed since it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    /// The list's mark.
    pub(crate) mark: i64,
    /// The list's sequence number, which changes only with its mark.
    pub(crate) sequence: Seq,
    /// The number of changes of the tenant's people, if the write depends on who is who.
    pub(crate) people: Option<i64>,
    /// The list's mark after the commit.
    pub(crate) new_mark: i64,
}

impl Guard {
    /// What must be as it was read.
    pub(crate) fn of(read: Head, people: Option<i64>) -> Result<Self, LedgerError> {
        Ok(Guard { mark: read.mark, sequence: read.census.sequence, people, new_mark: random()? })
    }
}

/// A random number, such as the mark of a commit.
pub(crate) fn random() -> Result<i64, LedgerError> {
    let number = getrandom::u64().map_err(|error| LedgerError::Seal(SealError::NoRandomness(error)))?;
    Ok(number.cast_signed())
}

/// Compares lists and writes to them. Returns those that were written to: the others changed since they were read, or somebody is
/// changing them.
///
/// Arrays are unnested in lists of columns: as tables, each column would be a table of its own to the server. Next to longer ones, an
/// array goes on with NULLs. Hence a column that has the [same](same()) value in all rows is an array of one value, and one without
/// [any](any()) is empty.
macro_rules! compare_and_store {
    ($entries_there:literal) => {
        concat!(
            "
    WITH g AS (
        SELECT unnest($1::integer[]) AS list, unnest($2::integer[]) AS tenant, unnest($3::bigint[]) AS people,
            unnest($4::bigint[]) AS sequence, unnest($5::bigint[]) AS active, unnest($6::bigint[]) AS mark,
            unnest($7::bigint[]) AS previous_sequence, unnest($8::bigint[]) AS previous_mark
    ), t AS (
        SELECT t.id FROM g JOIN tenants t ON t.id = g.tenant AND t.people = g.people FOR SHARE OF t
    ), k AS MATERIALIZED (
        SELECT g.* FROM g JOIN lists l ON l.id = g.list AND l.tenant = g.tenant AND l.mark = g.previous_mark
        WHERE g.people IS NULL OR g.tenant IN (SELECT id FROM t)
        FOR NO KEY UPDATE OF l SKIP LOCKED
    ), l AS (
        UPDATE lists SET sequence = k.sequence, active = k.active, mark = k.mark FROM k WHERE lists.id = k.list
    ), e AS (
        INSERT INTO entries (list, subject, directions, source, sequence, actor, created, updated, lifted_by, deactivated, expires,
            sealed, kind, own, ever, since, requested)
        SELECT k.list, subject, coalesce(directions, ($11::smallint[])[1]), coalesce(source, ($12::smallint[])[1]), u.sequence,
            coalesce(actor, ($14::integer[])[1]), coalesce(created, ($15::timestamptz[])[1]), updated, lifted_by, deactivated,
            expires, sealed, coalesce(kind, ($21::smallint[])[1]), own, coalesce(ever, ($23::smallint[])[1]), since, requested
        FROM (
            SELECT unnest($9::integer[]) AS list, unnest($10::bigint[]) AS subject, unnest($11::smallint[]) AS directions,
                unnest($12::smallint[]) AS source, unnest($13::bigint[]) AS sequence, unnest($14::integer[]) AS actor,
                unnest($15::timestamptz[]) AS created, unnest($16::timestamptz[]) AS updated,
                unnest($17::integer[]) AS lifted_by, unnest($18::timestamptz[]) AS deactivated,
                unnest($19::timestamptz[]) AS expires, unnest($20::bytea[]) AS sealed, unnest($21::smallint[]) AS kind,
                unnest($22::smallint[]) AS own, unnest($23::smallint[]) AS ever, unnest($24::timestamptz[]) AS since,
                unnest($25::timestamptz[]) AS requested
        ) u JOIN k ON k.list = coalesce(u.list, ($9::integer[])[1])",
            $entries_there,
            "
    ), h AS (
        INSERT INTO holds (list, subject, kind, directions, source, actor, since, lifted_by, expires, sealed, requested)
        SELECT u.* FROM (
            SELECT unnest($26::integer[]) AS list, unnest($27::bigint[]), unnest($28::smallint[]), unnest($29::smallint[]),
                unnest($30::smallint[]), unnest($31::integer[]), unnest($32::timestamptz[]), unnest($33::integer[]),
                unnest($34::timestamptz[]), unnest($35::bytea[]), unnest($36::timestamptz[])
        ) u WHERE u.list IN (SELECT list FROM k)
        ON CONFLICT (list, subject, kind) DO UPDATE SET
            directions = excluded.directions, source = excluded.source, actor = excluded.actor, since = excluded.since,
            lifted_by = excluded.lifted_by, expires = excluded.expires, sealed = excluded.sealed, requested = excluded.requested
    ), r AS (
        INSERT INTO records (list, sequence, step, subject, previous, at, actor, hold, outcome, source, before, after, expires,
            sealed, requested)
        SELECT k.list, u.sequence, coalesce(step, ($39::integer[])[1]), subject, coalesce(previous, ($41::bigint[])[1]),
            coalesce(at, ($42::timestamptz[])[1]), coalesce(actor, ($43::integer[])[1]), hold,
            coalesce(outcome, ($45::smallint[])[1]), source, coalesce(before, ($47::smallint[])[1]),
            coalesce(after, ($48::smallint[])[1]), expires, sealed, requested
        FROM (
            SELECT unnest($37::integer[]) AS list, unnest($38::bigint[]) AS sequence, unnest($39::integer[]) AS step,
                unnest($40::bigint[]) AS subject, unnest($41::bigint[]) AS previous, unnest($42::timestamptz[]) AS at,
                unnest($43::integer[]) AS actor, unnest($44::smallint[]) AS hold, unnest($45::smallint[]) AS outcome,
                unnest($46::smallint[]) AS source, unnest($47::smallint[]) AS before, unnest($48::smallint[]) AS after,
                unnest($49::timestamptz[]) AS expires, unnest($50::bytea[]) AS sealed, unnest($51::timestamptz[]) AS requested
        ) u JOIN k ON k.list = coalesce(u.list, ($37::integer[])[1])
    ), c AS (
        INSERT INTO commits (list, sequence, mark, previous_sequence, previous_mark, format)
        SELECT list, sequence, mark, previous_sequence, previous_mark, $52::integer FROM k
    )
    SELECT list FROM k"
        )
    };
}

const STORE: &str = compare_and_store!(
    "
        ON CONFLICT (list, subject) DO UPDATE SET
            directions = excluded.directions, source = excluded.source, sequence = excluded.sequence, actor = excluded.actor,
            created = excluded.created, updated = excluded.updated, lifted_by = excluded.lifted_by,
            deactivated = excluded.deactivated, expires = excluded.expires, sealed = excluded.sealed, kind = excluded.kind,
            own = excluded.own, ever = excluded.ever, since = excluded.since, requested = excluded.requested"
);

/// Where all entries are new, as in most imports: the server need not look for them first.
const STORE_NEW: &str = compare_and_store!("");

/// What to store of a list.
#[derive(Clone, Copy)]
pub(crate) struct ToStore<'a> {
    pub(crate) list: ListRow,
    pub(crate) keys: &'a TenantKeys,
    pub(crate) guard: Guard,
    pub(crate) batch: &'a Batch<()>,
}

/// Prepares the statement of [`store`], so that another one can be sent with it.
pub(crate) async fn prepare(session: &Session) -> Result<(), Failure> {
    session.prepare(&[STORE, STORE_NEW]).await
}

/// Stores what was changed in lists, in one commit unless a transaction is open.
///
/// Each has its own result: [`Failure::Conflict`] if somebody else wrote to the list, or is writing to it. Nothing of that list is
/// stored then.
///
/// # Errors
/// Those of the database. Nothing is stored of any list.
pub(crate) async fn store(
    session: &Session,
    actors: &Actors,
    lists: &[ToStore<'_>],
) -> Result<Vec<Result<(), Failure>>, Failure> {
    let mut guards = GuardColumns::default();
    let mut e = EntryColumns::default();
    let mut h = HoldColumns::default();
    let mut r = RecordColumns::default();
    for &ToStore { list, keys, guard, batch } in lists {
        let list = Place { row: list, id: row_id(list.id)? };
        let tenant = row_id(list.row.tenant.0)?;
        let ids = actors.ids(session, tenant, &authors(batch)).await?;
        guards.push(list.id, tenant, guard, batch);
        for (_, entry) in batch.to_store() {
            e.push(list, keys, &ids, entry)?;
            for hold in &entry.holds.more {
                h.push(list, keys, &ids, entry, hold)?;
            }
        }
        for record in batch.records() {
            r.push(list, keys, &ids, record)?;
        }
    }
    let mut entries = lists.iter().flat_map(|list| list.batch.to_store());
    let sql = if entries.all(|(slot, _)| !slot.is_stored) { STORE_NEW } else { STORE };
    let g = guards;
    let rows = session
        .query(
            sql,
            &[
                &g.list,
                &g.tenant,
                &g.people,
                &g.sequence,
                &g.active,
                &g.mark,
                &g.previous_sequence,
                &g.previous_mark,
                &same(&e.list),
                &e.subject,
                &same(&e.directions),
                &same(&e.source),
                &e.sequence,
                &same(&e.actor),
                &same(&e.created),
                &any(&e.updated),
                &any(&e.lifted_by),
                &any(&e.deactivated),
                &any(&e.expires),
                &any(&e.sealed),
                &same(&e.kind),
                &any(&e.own),
                &same(&e.ever),
                &any(&e.since),
                &any(&e.requested),
                &h.list,
                &h.subject,
                &h.kind,
                &h.directions,
                &h.source,
                &h.actor,
                &h.since,
                &h.lifted_by,
                &h.expires,
                &h.sealed,
                &h.requested,
                &same(&r.list),
                &r.sequence,
                &same(&r.step),
                &r.subject,
                &same(&r.previous),
                &same(&r.at),
                &same(&r.actor),
                &any(&r.hold),
                &same(&r.outcome),
                &any(&r.source),
                &same(&r.before),
                &same(&r.after),
                &any(&r.expires),
                &any(&r.sealed),
                &any(&r.requested),
                &FORMAT,
            ],
        )
        .await?;
    let stored = rows.iter().map(|row| Columns::of(row).get::<i32>());
    let stored = stored.collect::<Result<HashSet<i32>, Failure>>()?;
    Ok(g.list.iter().map(|list| stored.contains(list).then_some(()).ok_or(Failure::Conflict)).collect())
}

/// Stores what was changed in one list. See [`store`].
///
/// # Errors
/// [`Failure::Conflict`], and those of the database.
pub(crate) async fn store_one(session: &Session, actors: &Actors, list: ToStore<'_>) -> Result<(), Failure> {
    store(session, actors, &[list]).await?.pop().unwrap_or(Err(Failure::Conflict))
}

/// Everybody who is named in what is stored.
fn authors(batch: &Batch<()>) -> Vec<&Actor> {
    let holds = batch.to_store().flat_map(|(_, entry)| entry.holds.iter());
    let of_holds = holds.flat_map(|hold| [Some(&hold.actor), hold.lifted_by.as_ref()]).flatten();
    of_holds.chain(batch.records().iter().map(|record| &record.actor)).collect()
}

fn id_of(ids: &HashMap<Actor, i32>, actor: &Actor) -> Result<i32, LedgerError> {
    ids.get(actor).copied().ok_or(LedgerError::Defect)
}

/// The first value of a column if all others are the same, and otherwise all.
fn same<T: PartialEq>(column: &[T]) -> &[T] {
    match column {
        [first, rest @ ..] if rest.iter().all(|value| value == first) => std::slice::from_ref(first),
        all => all,
    }
}

/// The values of a column, and nothing if there are none.
fn any<T>(column: &[Option<T>]) -> &[Option<T>] {
    if column.iter().all(Option::is_none) { &[] } else { column }
}

/// A list, and its row id as the tables have it.
#[derive(Clone, Copy)]
struct Place {
    row: ListRow,
    id: i32,
}

/// Columns of what is compared and written of `lists`, a value for each list.
#[derive(Default)]
struct GuardColumns {
    list: Vec<i32>,
    tenant: Vec<i32>,
    people: Vec<Option<i64>>,
    sequence: Vec<i64>,
    active: Vec<i64>,
    mark: Vec<i64>,
    previous_sequence: Vec<i64>,
    previous_mark: Vec<i64>,
}

impl GuardColumns {
    fn push(&mut self, list: i32, tenant: i32, guard: Guard, batch: &Batch<()>) {
        let census = batch.census();
        self.list.push(list);
        self.tenant.push(tenant);
        self.people.push(guard.people);
        self.sequence.push(number(census.sequence));
        self.active.push(i64::try_from(census.active).unwrap_or(i64::MAX));
        self.mark.push(guard.new_mark);
        self.previous_sequence.push(number(guard.sequence));
        self.previous_mark.push(guard.mark);
    }
}

/// Columns of `entries`, a value for each row.
#[derive(Default)]
struct EntryColumns {
    list: Vec<i32>,
    subject: Vec<i64>,
    directions: Vec<i16>,
    source: Vec<i16>,
    sequence: Vec<i64>,
    actor: Vec<i32>,
    created: Vec<Timestamp>,
    updated: Vec<Option<Timestamp>>,
    lifted_by: Vec<Option<i32>>,
    deactivated: Vec<Option<Timestamp>>,
    expires: Vec<Option<Timestamp>>,
    sealed: Vec<Option<Vec<u8>>>,
    kind: Vec<i16>,
    own: Vec<Option<i16>>,
    ever: Vec<i16>,
    since: Vec<Option<Timestamp>>,
    requested: Vec<Option<Timestamp>>,
}

impl EntryColumns {
    fn push(
        &mut self,
        list: Place,
        keys: &TenantKeys,
        ids: &HashMap<Actor, i32>,
        entry: &Entry,
    ) -> Result<(), LedgerError> {
        let hold = &entry.holds.first;
        let context = RowContext { list: list.row.id, subject: entry.subject, row: Row::Entry };
        let (reason, label) = (hold.reason.as_ref(), hold.label.as_ref());
        let sealed = text::seal(keys.text_seal(), context, reason, entry.display.as_ref(), label);
        let is_alone = entry.holds.more.is_empty() && hold.directions == entry.directions;
        let unless_created = |time: Timestamp| (time != entry.created).then_some(time);
        self.list.push(list.id);
        self.subject.push(bits(entry.subject));
        self.directions.push(entry.directions.bits().into());
        self.source.push(code(hold.source.code()));
        self.sequence.push(number(entry.sequence));
        self.actor.push(id_of(ids, &hold.actor)?);
        self.created.push(entry.created);
        self.updated.push(unless_created(entry.updated));
        self.lifted_by.push(hold.lifted_by.as_ref().map(|actor| id_of(ids, actor)).transpose()?);
        self.deactivated.push(entry.deactivated);
        self.expires.push(hold.expires);
        self.sealed.push(sealed.map_err(LedgerError::Seal)?);
        self.kind.push(code(hold.kind.code()));
        self.own.push((!is_alone).then(|| hold.directions.bits().into()));
        self.ever.push(entry.ever.bits().into());
        self.since.push(unless_created(hold.since));
        self.requested.push((hold.requested != hold.since).then_some(hold.requested));
        Ok(())
    }
}

/// Columns of `holds`, a value for each row.
#[derive(Default)]
struct HoldColumns {
    list: Vec<i32>,
    subject: Vec<i64>,
    kind: Vec<i16>,
    directions: Vec<i16>,
    source: Vec<i16>,
    actor: Vec<i32>,
    since: Vec<Timestamp>,
    lifted_by: Vec<Option<i32>>,
    expires: Vec<Option<Timestamp>>,
    sealed: Vec<Option<Vec<u8>>>,
    requested: Vec<Option<Timestamp>>,
}

impl HoldColumns {
    fn push(
        &mut self,
        list: Place,
        keys: &TenantKeys,
        ids: &HashMap<Actor, i32>,
        entry: &Entry,
        hold: &Hold,
    ) -> Result<(), LedgerError> {
        let context = RowContext { list: list.row.id, subject: entry.subject, row: Row::Hold(hold.kind) };
        let (reason, label) = (hold.reason.as_ref(), hold.label.as_ref());
        let sealed = text::seal(keys.text_seal(), context, reason, None, label);
        self.list.push(list.id);
        self.subject.push(bits(entry.subject));
        self.kind.push(code(hold.kind.code()));
        self.directions.push(hold.directions.bits().into());
        self.source.push(code(hold.source.code()));
        self.actor.push(id_of(ids, &hold.actor)?);
        self.since.push(hold.since);
        self.lifted_by.push(hold.lifted_by.as_ref().map(|actor| id_of(ids, actor)).transpose()?);
        self.expires.push(hold.expires);
        self.sealed.push(sealed.map_err(LedgerError::Seal)?);
        self.requested.push((hold.requested != hold.since).then_some(hold.requested));
        Ok(())
    }
}

/// Columns of `records`, a value for each row.
#[derive(Default)]
struct RecordColumns {
    list: Vec<i32>,
    sequence: Vec<i64>,
    step: Vec<i32>,
    subject: Vec<i64>,
    previous: Vec<i64>,
    at: Vec<Timestamp>,
    actor: Vec<i32>,
    hold: Vec<Option<i16>>,
    outcome: Vec<i16>,
    source: Vec<Option<i16>>,
    before: Vec<i16>,
    after: Vec<i16>,
    expires: Vec<Option<Timestamp>>,
    sealed: Vec<Option<Vec<u8>>>,
    requested: Vec<Option<Timestamp>>,
}

impl RecordColumns {
    fn push(
        &mut self,
        list: Place,
        keys: &TenantKeys,
        ids: &HashMap<Actor, i32>,
        record: &Record,
    ) -> Result<(), LedgerError> {
        let row = Row::Record { sequence: record.sequence, step: record.step };
        let context = RowContext { list: list.row.id, subject: record.subject, row };
        let (reason, label) = (record.reason.as_ref(), record.label.as_ref());
        let sealed = text::seal(keys.text_seal(), context, reason, record.display.as_ref(), label);
        self.list.push(list.id);
        self.sequence.push(number(record.sequence));
        self.step.push(i32::try_from(record.step).map_err(|_| LedgerError::Defect)?);
        self.subject.push(bits(record.subject));
        self.previous.push(number(record.previous));
        self.at.push(record.at);
        self.actor.push(id_of(ids, &record.actor)?);
        self.hold.push(record.hold.map(|hold| code(hold.code())));
        self.outcome.push(code(record.outcome.code()));
        self.source.push(record.source.map(|source| code(source.code())));
        self.before.push(code(record.before.code()));
        self.after.push(code(record.after.code()));
        self.expires.push(record.expires);
        self.sealed.push(sealed.map_err(LedgerError::Seal)?);
        self.requested.push((record.requested != record.at).then_some(record.requested));
        Ok(())
    }
}
