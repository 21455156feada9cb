//! The `nodes` table: which nodes are running, and what they have.
//!
//! What it says matters while the nodes run. So the connections that write it don't wait for the disk, nor for a standby.

use std::time::Duration;

use portcullis_ledger::LedgerError;
use portcullis_ledger_model::{ListId, Seq};

use crate::columns::{Columns, number, row_id, unsigned};
use crate::failure::Failure;
use crate::pool::{DEADLINE, Lent};
use crate::session::Parameters;
use crate::{Postgres, read_on};

impl Postgres {
    /// Says that this node is alive, for so long by the database's clock. Forgets nodes that ended long ago.
    pub(crate) fn extend_life(&self, lasting: Duration) -> Result<(), LedgerError> {
        const SQL: &str = "
            WITH old AS (
                DELETE FROM nodes WHERE id <> $1 AND until < clock_timestamp() - interval '1 day'
            )
            INSERT INTO nodes (id, name, until) VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
            ON CONFLICT (id) DO UPDATE SET until = excluded.until";
        let seconds = lasting.as_secs_f64();
        self.note(self.pool.presence(DEADLINE), SQL, &[&self.id, &self.node, &seconds])
    }

    /// Stores what this node has: all that was visible to a snapshot, except for lists that are behind. `feed` is the id of the server's
    /// process that took the snapshot.
    pub(crate) fn store_progress(
        &self,
        feed: &str,
        snapshot: &str,
        behind: &[ListId],
    ) -> Result<(), LedgerError> {
        // On another connection, which may be that of another server, the snapshot says nothing.
        const SQL: &str = "
            UPDATE nodes SET server = pg_postmaster_start_time(), snapshot = $2::text::pg_snapshot, behind = $3
            WHERE id = $1 AND current_setting('portcullis.session', true) = $4";
        let behind = behind.iter().map(|list| row_id(list.0)).collect::<Result<Vec<i32>, _>>()?;
        self.note(self.pool.feed(DEADLINE), SQL, &[&self.id, &snapshot, &behind, &feed])
    }

    /// Those of these changes that all other nodes have that are alive.
    pub(crate) fn known_to_all(&self, changes: &[(ListId, Seq)]) -> Result<Vec<(ListId, Seq)>, LedgerError> {
        // A node has a change if it has the commit, or a later one of the list. One that is no longer in `commits` is older than what any
        // node that is alive has. Ids of transactions say something only to the server by which the snapshot was taken.
        const SQL: &str = "
            WITH change AS MATERIALIZED (
                SELECT list, sequence, (
                    SELECT xact FROM commits c WHERE c.list = u.list AND c.sequence >= u.sequence
                    ORDER BY c.sequence LIMIT 1
                ) AS xact
                FROM unnest($1::integer[], $2::bigint[]) u (list, sequence)
            )
            SELECT list, sequence FROM change WHERE NOT EXISTS (
                SELECT FROM nodes n WHERE n.id <> $3 AND n.until > clock_timestamp() AND NOT coalesce(
                    n.server = pg_postmaster_start_time() AND list <> ALL (n.behind)
                        AND (xact IS NULL OR pg_visible_in_snapshot(xact, n.snapshot)),
                    false))";
        let lists = changes.iter().map(|(list, _)| row_id(list.0)).collect::<Result<Vec<i32>, _>>()?;
        let sequences: Vec<i64> = changes.iter().map(|(_, sequence)| number(*sequence)).collect();
        read_on(self.pool.presence(DEADLINE), async |session| {
            let rows = session.query(SQL, &[&lists, &sequences, &self.id]).await?;
            let known = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                let list: i32 = columns.get()?;
                Ok((ListId(list.into()), Seq::new(unsigned(columns.get()?)?)))
            });
            known.collect()
        })
    }

    /// Says that this node is gone.
    pub(crate) fn end_life(&self) -> Result<(), LedgerError> {
        const SQL: &str = "DELETE FROM nodes WHERE id = $1";
        self.note(self.pool.presence(DEADLINE), SQL, &[&self.id])
    }

    fn note(
        &self,
        session: Result<Lent<'_>, Failure>,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<(), LedgerError> {
        read_on(session, async |session| session.execute(sql, parameters).await.map(drop))
    }
}
