//! Expiry of holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use portcullis_keys::Scope;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{self, ExpiredIn, MAX_EXPIRED_AT_ONCE};
use portcullis_ledger_model::time::whole_milliseconds;
use portcullis_ledger_model::{Actor, Coverage, HoldKind, Outcome};
use portcullis_msisdn::Directions;

use crate::Postgres;
use crate::columns::{Columns, code};
use crate::failure::Failure;
use crate::session::Session;
use crate::upgrade::FORMAT;
use crate::write::random;

impl store::Expiry for Postgres {
    fn expire_due(&self, now: Timestamp) -> Result<Vec<ExpiredIn>, LedgerError> {
        // By this node's clock, and by the database's.
        const UNTIL: &str = "SELECT least($1, clock_timestamp())";
        let (now, due) = self.read(async |session| {
            let row = session.query_opt(UNTIL, &[&now]).await?.ok_or(LedgerError::Defect)?;
            let now = whole_milliseconds(Columns::of(&row).time()?);
            Ok((now, due(session, now).await?))
        })?;
        let mut expired = Vec::new();
        for (list, subjects) in due {
            let ended = self.write_long(async |session| self.end(session, list, &subjects, now).await)?;
            expired.extend(ended);
        }
        Ok(expired)
    }

    fn next_expiry(&self) -> Result<Option<Timestamp>, LedgerError> {
        const SQL: &str = "
            SELECT least(
                (SELECT expires FROM entries
                 WHERE expires IS NOT NULL AND coalesce(own, directions) <> 0
                    AND EXISTS (SELECT FROM lists WHERE id = list)
                 ORDER BY expires LIMIT 1),
                (SELECT expires FROM holds
                 WHERE expires IS NOT NULL AND directions <> 0 AND EXISTS (SELECT FROM lists WHERE id = list)
                 ORDER BY expires LIMIT 1))";
        self.read(async |session| {
            let row = session.query_opt(SQL, &[]).await?.ok_or(LedgerError::Defect)?;
            Columns::of(&row).maybe_time()
        })
    }
}

/// The subjects with holds that are longest overdue, by list.
async fn due(session: &Session, now: Timestamp) -> Result<BTreeMap<i32, Vec<i64>>, Failure> {
    const SQL: &str = "
        SELECT list, subject FROM (
            (SELECT list, subject, expires FROM entries
             WHERE expires IS NOT NULL AND coalesce(own, directions) <> 0 AND expires <= $1
                AND EXISTS (SELECT FROM lists WHERE id = list)
             ORDER BY expires LIMIT $2)
            UNION ALL
            (SELECT list, subject, expires FROM holds
             WHERE expires IS NOT NULL AND directions <> 0 AND expires <= $1
                AND EXISTS (SELECT FROM lists WHERE id = list)
             ORDER BY expires LIMIT $2)) d
        ORDER BY expires LIMIT $2";
    let most = i64::try_from(MAX_EXPIRED_AT_ONCE).unwrap_or(i64::MAX);
    let mut due: BTreeMap<i32, Vec<i64>> = BTreeMap::new();
    for row in session.query(SQL, &[&now, &most]).await? {
        let mut columns = Columns::of(&row);
        due.entry(columns.get()?).or_default().push(columns.get()?);
    }
    for subjects in due.values_mut() {
        subjects.sort_unstable();
        subjects.dedup();
    }
    Ok(due)
}

/// What holds an entry has, and which of them are due.
struct Due {
    subject: i64,
    previous: i64,
    first: HoldKind,
    before: Coverage,
    kinds: Vec<HoldKind>,
}

impl Postgres {
    /// Lifts the holds of one list that are due. Texts are not changed, so this needs no tenant keys. Another node may have lifted
    /// them: then there is nothing to do.
    async fn end(
        &self,
        session: &Session,
        list: i32,
        subjects: &[i64],
        now: Timestamp,
    ) -> Result<Option<ExpiredIn>, Failure> {
        const LOCK: &str = "
            SELECT lists.sequence, lists.active, lists.mark, tenants.id, tenants.name, scope
            FROM lists JOIN tenants ON tenants.id = lists.tenant WHERE lists.id = $1 FOR NO KEY UPDATE OF lists";
        const HOLDS: &str = "
            SELECT subject, kind, coalesce(own, directions), expires, sequence, true
            FROM entries WHERE list = $1 AND subject = ANY($2)
            UNION ALL
            SELECT subject, kind, directions, expires, 0, false
            FROM holds WHERE list = $1 AND subject = ANY($2)
            ORDER BY 1, 2";
        const LIFT: &str = "
            UPDATE holds SET directions = 0, lifted_by = $4, requested = expires
            WHERE list = $1 AND subject = $2 AND kind = $3";
        const END: &str = "
            UPDATE entries SET directions = $3::smallint, sequence = $4, updated = $5,
                deactivated = CASE WHEN $3::smallint = 0 THEN coalesce(deactivated, $5) END,
                own = CASE WHEN own IS NULL AND $6 THEN NULL ELSE $7::smallint END,
                lifted_by = CASE WHEN $8 THEN $9 ELSE lifted_by END,
                requested = CASE WHEN $8 THEN expires ELSE requested END
            WHERE list = $1 AND subject = $2";
        const RECORD: &str = "
            INSERT INTO records (list, sequence, step, subject, previous, at, actor, hold, outcome, before, after)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        const HEAD: &str = "UPDATE lists SET sequence = $2, active = $3, mark = $4 WHERE id = $1";
        const COMMIT: &str = "
            INSERT INTO commits (list, sequence, mark, previous_sequence, previous_mark, format)
            VALUES ($1, $2, $3, $4, $5, $6)";
        session.batch("BEGIN; SET LOCAL statement_timeout = 0").await?;
        let Some(row) = session.query_opt(LOCK, &[&list]).await? else {
            session.batch("ROLLBACK").await?;
            return Ok(None);
        };
        let mut columns = Columns::of(&row);
        let (previous_sequence, mut active, previous_mark): (i64, i64, i64) =
            (columns.get()?, columns.get()?, columns.get()?);
        let mut sequence = previous_sequence;
        let (tenant, name, scope): (i32, &str, &str) = (columns.get()?, columns.get()?, columns.get()?);
        let damaged = || LedgerError::damaged("list of lists");
        let mut expired = ExpiredIn {
            tenant: name.parse().map_err(|_| damaged())?,
            scope: Scope::from_stored(scope).map_err(|_| damaged())?,
            count: 0,
        };
        let rows = session.query(HOLDS, &[&list, &subjects]).await?;
        let due = overdue(&rows, now)?;
        if due.is_empty() {
            session.batch("ROLLBACK").await?;
            return Ok(None);
        }
        let expiry = Actor::expiry();
        let ids = self.actors.ids(session, tenant, &[&expiry]).await?;
        let expiry = ids.get(&expiry).copied().ok_or(LedgerError::Defect)?;
        for Due { subject, previous, first, before, kinds } in due {
            sequence += 1;
            let mut coverage = before;
            for (step, &kind) in (0_i32..).zip(&kinds) {
                let earlier = coverage;
                coverage = coverage.with(kind, Directions::NONE);
                let outcome = Outcome::of_lifting(earlier.blocked(), coverage.blocked());
                let (kind_code, outcome) = (code(kind.code()), code(outcome.code()));
                let (from, to) = (code(earlier.code()), code(coverage.code()));
                session
                    .execute(
                        RECORD,
                        &[
                            &list, &sequence, &step, &subject, &previous, &now, &expiry, &kind_code,
                            &outcome, &from, &to,
                        ],
                    )
                    .await?;
                if kind != first {
                    session.execute(LIFT, &[&list, &subject, &kind_code, &expiry]).await?;
                }
            }
            let blocked = coverage.blocked();
            if blocked.is_none() && !before.blocked().is_none() {
                active -= 1;
            }
            let own = coverage.of(first);
            session
                .execute(
                    END,
                    &[
                        &list,
                        &subject,
                        &i16::from(blocked.bits()),
                        &sequence,
                        &now,
                        &(own == blocked),
                        &i16::from(own.bits()),
                        &kinds.contains(&first),
                        &expiry,
                    ],
                )
                .await?;
            expired.count += 1;
        }
        let mark = random()?;
        session.execute(HEAD, &[&list, &sequence, &active, &mark]).await?;
        session
            .execute(COMMIT, &[&list, &sequence, &mark, &previous_sequence, &previous_mark, &FORMAT])
            .await?;
        session.batch("COMMIT").await?;
        session.check_replicated()?;
        Ok(Some(expired))
    }
}

/// Reads the holds of entries, which are in the order of their subjects, and keeps the entries with holds that are due.
fn overdue(rows: &[tokio_postgres::Row], now: Timestamp) -> Result<Vec<Due>, Failure> {
    let mut due: Vec<Due> = Vec::new();
    for row in rows {
        let mut columns = Columns::of(row);
        let subject: i64 = columns.get()?;
        let (kind, directions) = (columns.kind()?, columns.directions()?);
        let (expires, sequence) = (columns.maybe_time()?, columns.get::<i64>()?);
        let is_first: bool = columns.get()?;
        if due.last().is_none_or(|last| last.subject != subject) {
            let before = Coverage::default();
            due.push(Due { subject, previous: 0, first: kind, before, kinds: Vec::new() });
        }
        let Some(entry) = due.last_mut() else { continue };
        if is_first {
            entry.first = kind;
            entry.previous = sequence;
        }
        entry.before = entry.before.with(kind, directions);
        if !directions.is_none() && expires.is_some_and(|expires| expires <= now) {
            entry.kinds.push(kind);
        }
    }
    due.retain(|entry| !entry.kinds.is_empty());
    Ok(due)
}
