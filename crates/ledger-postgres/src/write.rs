//! Writing the `entries`, `holds` and `records` tables: all that one commit changes of a list, in one statement.

use std::collections::HashMap;

use jiff::Timestamp;
use portcullis_keys::{SealError, TenantKeys};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::ListRow;
use portcullis_ledger::store::batch::Batch;
use portcullis_ledger_model::text::{self, Row, RowContext};
use portcullis_ledger_model::{Actor, Entry, Hold, Record, Seq};

use crate::actors::Actors;
use crate::columns::{bits, code, number, row_id};
use crate::failure::Failure;
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

/// A random number, such as the mark of a commit.
pub(crate) fn random() -> Result<i64, LedgerError> {
    let number = getrandom::u64().map_err(|error| LedgerError::Seal(SealError::NoRandomness(error)))?;
    Ok(number.cast_signed())
}

/// Compares and writes. Without a row of `l` nothing is written.
const STORE: &str = "
    WITH t AS (
        SELECT id FROM tenants WHERE id = $2 AND people = $3 FOR SHARE
    ), l AS (
        UPDATE lists SET sequence = $4, active = $5, mark = $6
        WHERE id = $1 AND tenant = $2 AND mark = $7 AND ($3::bigint IS NULL OR EXISTS (SELECT FROM t))
        RETURNING id
    ), e AS (
        INSERT INTO entries (list, subject, directions, source, sequence, actor, created, updated, lifted_by, deactivated, expires,
            sealed, kind, own, ever, since, requested)
        SELECT l.id, u.* FROM l, unnest($8::bigint[], $9::smallint[], $10::smallint[], $11::bigint[], $12::integer[],
            $13::timestamptz[], $14::timestamptz[], $15::integer[], $16::timestamptz[], $17::timestamptz[], $18::bytea[],
            $19::smallint[], $20::smallint[], $21::smallint[], $22::timestamptz[], $23::timestamptz[]) u
        ON CONFLICT (list, subject) DO UPDATE SET
            directions = excluded.directions, source = excluded.source, sequence = excluded.sequence, actor = excluded.actor,
            created = excluded.created, updated = excluded.updated, lifted_by = excluded.lifted_by,
            deactivated = excluded.deactivated, expires = excluded.expires, sealed = excluded.sealed, kind = excluded.kind,
            own = excluded.own, ever = excluded.ever, since = excluded.since, requested = excluded.requested
    ), h AS (
        INSERT INTO holds (list, subject, kind, directions, source, actor, since, lifted_by, expires, sealed, requested)
        SELECT l.id, u.* FROM l, unnest($24::bigint[], $25::smallint[], $26::smallint[], $27::smallint[], $28::integer[],
            $29::timestamptz[], $30::integer[], $31::timestamptz[], $32::bytea[], $33::timestamptz[]) u
        ON CONFLICT (list, subject, kind) DO UPDATE SET
            directions = excluded.directions, source = excluded.source, actor = excluded.actor, since = excluded.since,
            lifted_by = excluded.lifted_by, expires = excluded.expires, sealed = excluded.sealed, requested = excluded.requested
    ), r AS (
        INSERT INTO records (list, sequence, step, subject, previous, at, actor, hold, outcome, source, before, after, expires,
            sealed, requested)
        SELECT l.id, u.* FROM l, unnest($34::bigint[], $35::integer[], $36::bigint[], $37::bigint[], $38::timestamptz[],
            $39::integer[], $40::smallint[], $41::smallint[], $42::smallint[], $43::smallint[], $44::smallint[],
            $45::timestamptz[], $46::bytea[], $47::timestamptz[]) u
    ), c AS (
        INSERT INTO commits (list, sequence, mark, previous_sequence, previous_mark, format)
        SELECT l.id, $4, $6, $48::bigint, $7, $49::integer FROM l
    )
    SELECT 1 FROM l";

/// Stores what a batch changed, in one commit unless a transaction is open.
///
/// # Errors
/// [`Failure::Conflict`] if somebody else wrote first: nothing is stored then.
pub(crate) async fn store(
    session: &Session,
    actors: &Actors,
    list: ListRow,
    keys: &TenantKeys,
    guard: Guard,
    batch: &Batch<()>,
) -> Result<(), Failure> {
    let (id, tenant) = (row_id(list.id)?, row_id(list.tenant.0)?);
    let ids = actors.ids(session, tenant, &authors(batch)).await?;
    let mut entries = EntryColumns::default();
    let mut holds = HoldColumns::default();
    for (_, entry) in batch.to_store() {
        entries.push(list, keys, &ids, entry)?;
        for hold in &entry.holds.more {
            holds.push(list, keys, &ids, entry, hold)?;
        }
    }
    let mut records = RecordColumns::default();
    for record in batch.records() {
        records.push(list, keys, &ids, record)?;
    }
    let census = batch.census();
    let active = i64::try_from(census.active).unwrap_or(i64::MAX);
    let (e, h, r) = (entries, holds, records);
    let stored = session
        .query_opt(
            STORE,
            &[
                &id,
                &tenant,
                &guard.people,
                &number(census.sequence),
                &active,
                &guard.new_mark,
                &guard.mark,
                &e.subject,
                &e.directions,
                &e.source,
                &e.sequence,
                &e.actor,
                &e.created,
                &e.updated,
                &e.lifted_by,
                &e.deactivated,
                &e.expires,
                &e.sealed,
                &e.kind,
                &e.own,
                &e.ever,
                &e.since,
                &e.requested,
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
                &r.sequence,
                &r.step,
                &r.subject,
                &r.previous,
                &r.at,
                &r.actor,
                &r.hold,
                &r.outcome,
                &r.source,
                &r.before,
                &r.after,
                &r.expires,
                &r.sealed,
                &r.requested,
                &number(guard.sequence),
                &FORMAT,
            ],
        )
        .await?;
    stored.map(drop).ok_or(Failure::Conflict)
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

/// Columns of `entries`, a value for each row.
#[derive(Default)]
struct EntryColumns {
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
        list: ListRow,
        keys: &TenantKeys,
        ids: &HashMap<Actor, i32>,
        entry: &Entry,
    ) -> Result<(), LedgerError> {
        let hold = &entry.holds.first;
        let context = RowContext { list: list.id, subject: entry.subject, row: Row::Entry };
        let (reason, label) = (hold.reason.as_ref(), hold.label.as_ref());
        let sealed = text::seal(keys.text_seal(), context, reason, entry.display.as_ref(), label);
        let is_alone = entry.holds.more.is_empty() && hold.directions == entry.directions;
        let unless_created = |time: Timestamp| (time != entry.created).then_some(time);
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
        list: ListRow,
        keys: &TenantKeys,
        ids: &HashMap<Actor, i32>,
        entry: &Entry,
        hold: &Hold,
    ) -> Result<(), LedgerError> {
        let context = RowContext { list: list.id, subject: entry.subject, row: Row::Hold(hold.kind) };
        let (reason, label) = (hold.reason.as_ref(), hold.label.as_ref());
        let sealed = text::seal(keys.text_seal(), context, reason, None, label);
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
        list: ListRow,
        keys: &TenantKeys,
        ids: &HashMap<Actor, i32>,
        record: &Record,
    ) -> Result<(), LedgerError> {
        let row = Row::Record { sequence: record.sequence, step: record.step };
        let context = RowContext { list: list.id, subject: record.subject, row };
        let (reason, label) = (record.reason.as_ref(), record.label.as_ref());
        let sealed = text::seal(keys.text_seal(), context, reason, record.display.as_ref(), label);
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
