//! Following what all nodes write.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use portcullis_keys::Scope;
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::{ListRow, Shared, TenantRow};
use portcullis_ledger_model::{ChangedList, FeedPosition, ListId, Mark, Seq, ServerRun, Span};

use crate::clock::Clock;
use crate::columns::{Columns, number, row_id, unsigned};
use crate::failure::Failure;
use crate::feed::spans;
use crate::pool::{DEADLINE, run_since};
use crate::session::{Parameters, Session};
use crate::{Postgres, read_on, upgrade};

/// From when on a position is too old. Commits are kept for twice as long: the database's clock may be set meanwhile.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(12);

/// The lists that changed since a snapshot. A commit was either visible to that snapshot, or it is one of these: it began after the
/// snapshot, or was running when the snapshot was taken. What other transactions do meanwhile makes no difference.
///
/// After a failover, or a crash, ids of transactions may be used again, so a snapshot says something only to the server's process that
/// took it. No other has that process's id: there, nothing is read.
const SINCE: &str = "
    SELECT pg_current_snapshot()::text, clock_timestamp(), current_setting('portcullis.session', true),
        array_agg(list), array_agg(sequence)
    FROM (
        SELECT list, max(sequence) AS sequence FROM (
            SELECT list, sequence FROM commits
            WHERE xact >= pg_snapshot_xmax($1::text::pg_snapshot)
                AND current_setting('portcullis.session', true) = $2
            UNION ALL
            SELECT c.list, c.sequence FROM pg_snapshot_xip($1::text::pg_snapshot) x JOIN commits c ON c.xact = x
            WHERE current_setting('portcullis.session', true) = $2
        ) y GROUP BY list
    ) z";

/// All lists. Those of forgotten tenants have negative ids.
const ALL: &str = "
    SELECT pg_current_snapshot()::text, clock_timestamp(), current_setting('portcullis.session', true),
        array_agg(id), array_agg(sequence)
    FROM lists WHERE id > 0";

/// Which positions are not in the history of their lists.
///
/// A position is in it if it is the latest, or if a commit led to it or from it: one that was the latest for long is no longer in `commits`
/// itself when the next commit is made. Nothing leads to the beginning.
const FORKED: &str = "
    SELECT DISTINCT p.list FROM unnest($1::integer[], $2::bigint[], $3::bigint[]) p (list, sequence, mark)
    LEFT JOIN lists l ON l.id = p.list
    WHERE l.id IS NULL OR NOT (
        p.sequence = 0
        OR (l.sequence = p.sequence AND l.mark = p.mark)
        OR EXISTS (SELECT FROM commits c WHERE c.list = p.list AND c.mark = p.mark AND c.sequence = p.sequence)
        OR EXISTS (
            SELECT FROM commits c
            WHERE c.list = p.list AND c.sequence >= p.sequence
                AND c.previous_mark = p.mark AND c.previous_sequence = p.sequence)
    ) ORDER BY p.list";

/// Commits that a dump brought from another server. Those of this server that are visible have smaller numbers; until it has reached theirs,
/// they would be read at each look, and held to be under way.
const FOREIGN: &str = "
    UPDATE commits SET xact = '3' WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM commits WHERE xact >= pg_snapshot_xmax(pg_current_snapshot()) LIMIT 20000))";
/// As many as are changed at a time.
const FOREIGN_AT_A_TIME: u64 = 20_000;

/// Where somebody is in the feed.
pub(crate) struct Point {
    /// The id of the server's process that took the snapshot; empty if it has none.
    pub(crate) session: String,
    /// When it did.
    time: Timestamp,
    pub(crate) snapshot: String,
}

impl Point {
    /// Reads what [`token`](Self::token) wrote.
    pub(crate) fn read(token: &str) -> Option<Self> {
        let mut parts = token.splitn(3, ' ');
        let (session, time, snapshot) = (parts.next()?, parts.next()?, parts.next()?);
        let time = Timestamp::from_millisecond(time.parse().ok()?).ok()?;
        Some(Point { session: session.to_owned(), time, snapshot: snapshot.to_owned() })
    }

    fn token(&self) -> String {
        format!("{} {} {}", self.session, self.time.as_millisecond(), self.snapshot)
    }

    /// Whether what changed between `earlier` and this point is known.
    fn continues(&self, earlier: &Point) -> bool {
        let is_same = !self.session.is_empty() && self.session == earlier.session;
        is_same && self.time.duration_since(earlier.time).abs() <= TOO_OLD
    }
}

/// Asks for lists, and where the feed is.
async fn ask(
    session: &Session,
    clock: &Clock,
    sql: &'static str,
    parameters: Parameters<'_>,
) -> Result<(Point, Vec<ChangedList>), Failure> {
    session.prepare(&[sql]).await?;
    let began = Instant::now();
    let row = session.query_opt(sql, parameters).await?.ok_or(LedgerError::Defect)?;
    let ended = Instant::now();
    let mut columns = Columns::of(&row);
    let (snapshot, time): (String, Timestamp) = (columns.get()?, columns.get()?);
    clock.note(began, ended, time);
    let session = columns.get::<Option<String>>()?.unwrap_or_default();
    let lists: Vec<i32> = columns.get::<Option<Vec<i32>>>()?.unwrap_or_default();
    let sequences: Vec<i64> = columns.get::<Option<Vec<i64>>>()?.unwrap_or_default();
    let changed = lists.into_iter().zip(sequences).map(|(list, sequence)| {
        Ok(ChangedList { list: ListId(list.into()), sequence: Seq::new(unsigned(sequence)?) })
    });
    Ok((Point { session, time, snapshot }, changed.collect::<Result<_, Failure>>()?))
}

/// Changes commits that are another server's. Returns how many.
async fn adopt_foreign(session: &Session) -> Result<u64, Failure> {
    match session.execute(FOREIGN, &[]).await {
        // It is found once the database can be written to.
        Err(failure) if failure.is_of_reader() => Ok(0),
        done => done,
    }
}

/// The lists that changed since `from`, where the feed is now, and whether these are all lists.
async fn follow(
    session: &Session,
    clock: &Clock,
    from: Option<&Point>,
) -> Result<(Point, Vec<ChangedList>, bool), Failure> {
    if let Some(from) = from {
        let (point, lists) = ask(session, clock, SINCE, &[&from.snapshot, &from.session]).await?;
        if point.continues(from) {
            return Ok((point, lists, false));
        }
    }
    while adopt_foreign(session).await? >= FOREIGN_AT_A_TIME {}
    let (point, lists) = ask(session, clock, ALL, &[]).await?;
    Ok((point, lists, true))
}

impl Shared for Postgres {
    fn is_shared(&self) -> bool {
        true
    }

    fn sequences_of(&self, tenant: TenantRow) -> Result<Vec<(Scope, ListId, Seq)>, LedgerError> {
        const SQL: &str = "SELECT scope, id, sequence FROM lists WHERE tenant = $1 AND id > 0";
        let tenant = row_id(tenant.0)?;
        self.read(async |session| {
            let rows = session.query(SQL, &[&tenant]).await?;
            let lists = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                let scope: &str = columns.get()?;
                let scope = Scope::from_stored(scope).map_err(|_| LedgerError::damaged("list of lists"))?;
                let id: i32 = columns.get()?;
                Ok((scope, ListId(id.into()), columns.sequence()?))
            });
            lists.collect()
        })
    }

    fn is_upgrading(&self) -> Result<bool, LedgerError> {
        self.read(upgrade::is_under_way)
    }

    fn now(&self) -> Timestamp {
        self.pool.clock().now()
    }

    fn lineage(&self) -> u64 {
        self.pool.lineage()
    }

    fn changed_lists(&self, position: &mut FeedPosition) -> Result<Vec<ChangedList>, LedgerError> {
        let from = position.token.as_deref().and_then(Point::read);
        let (found, server) = read_on(self.pool.feed(DEADLINE), async |session| {
            let found = follow(session, self.pool.clock(), from.as_ref()).await?;
            Ok((found, run_since(session.server_started())))
        })?;
        let (point, lists, restarted) = found;
        *position = FeedPosition { token: Some(point.token()), restarted, server };
        Ok(lists)
    }

    fn server(&self) -> ServerRun {
        self.pool.server()
    }

    fn forked(&self, positions: &[(ListId, Seq, Mark)]) -> Result<Vec<ListId>, LedgerError> {
        let ids = positions.iter().map(|(list, ..)| row_id(list.0)).collect::<Result<Vec<i32>, _>>()?;
        let sequences: Vec<i64> = positions.iter().map(|(_, sequence, _)| number(*sequence)).collect();
        let marks: Vec<i64> = positions.iter().map(|(.., mark)| mark.0.cast_signed()).collect();
        // On the connection of the feed: the server must be the one that is followed.
        read_on(self.pool.feed(DEADLINE), async |session| {
            let rows = session.query(FORKED, &[&ids, &sequences, &marks]).await?;
            rows.iter().map(|row| Ok(ListId(Columns::of(row).get::<i32>()?.into()))).collect()
        })
    }

    fn lost_positions(
        &self,
        list: ListRow,
        positions: &[(Seq, Mark)],
    ) -> Result<Vec<(Seq, Mark)>, LedgerError> {
        const SQL: &str = "
            SELECT p.sequence, p.mark FROM unnest($2::bigint[], $3::bigint[]) p (sequence, mark)
            WHERE NOT EXISTS (
                SELECT FROM commits c WHERE c.list = $1 AND c.mark = p.mark AND c.sequence = p.sequence)";
        let id = row_id(list.id)?;
        let (sequences, marks): (Vec<i64>, Vec<i64>) =
            positions.iter().map(|(sequence, mark)| (number(*sequence), mark.0.cast_signed())).unzip();
        // On the connection of the feed: the server must be the one that is followed.
        read_on(self.pool.feed(DEADLINE), async |session| {
            let rows = session.query(SQL, &[&id, &sequences, &marks]).await?;
            let lost = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                let sequence = Seq::new(unsigned(columns.get()?)?);
                Ok((sequence, Mark(columns.get::<i64>()?.cast_unsigned())))
            });
            lost.collect()
        })
    }

    fn spans_since(
        &self,
        lists: &[(ListRow, Seq)],
        limit: NonZeroUsize,
    ) -> Result<Vec<(ListId, Span)>, LedgerError> {
        self.read(async |session| spans(session, lists, limit).await)
    }

    fn trim(&self) -> Result<bool, LedgerError> {
        self.pool.close_idle();
        self.trim_commits()
    }

    fn lease(&self, name: &str, lasting: Duration) -> Result<bool, LedgerError> {
        self.take_lease(name, lasting)
    }

    fn release_lease(&self, name: &str) -> Result<(), LedgerError> {
        self.give_up_lease(name)
    }
}
