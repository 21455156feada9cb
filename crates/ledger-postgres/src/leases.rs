//! The `leases` table: work that one node at a time does for all.

use std::time::Duration;

use portcullis_ledger::LedgerError;

use crate::Postgres;

impl Postgres {
    /// Takes the lease if nobody has it, or renews it. Returns whether this node has it.
    pub(crate) fn take_lease(&self, name: &str, lasting: Duration) -> Result<bool, LedgerError> {
        // One that ends later than if it was taken now was taken by another clock: that of a server which failed, or one that was set back.
        // The end is counted from before the statement waits for another one on the same row, and the condition is checked after it.
        const SQL: &str = "
            INSERT INTO leases AS held (name, holder, node, until)
            VALUES ($1, $2, $3, clock_timestamp() + make_interval(secs => $4))
            ON CONFLICT (name) DO UPDATE SET
                holder = excluded.holder, node = excluded.node, until = excluded.until,
                fence = held.fence + CASE WHEN held.holder = excluded.holder THEN 0 ELSE 1 END
            WHERE held.holder = excluded.holder OR held.until <= clock_timestamp()
                OR held.until > excluded.until + interval '1 second'";
        let seconds = lasting.as_secs_f64();
        let taken = self.write_once(async |session| {
            session.execute(SQL, &[&name, &self.id, &self.node, &seconds]).await
        })?;
        Ok(taken > 0)
    }

    /// Gives the lease up, if this node has it. The row stays, so that the fence is never lowered.
    pub(crate) fn give_up_lease(&self, name: &str) -> Result<(), LedgerError> {
        const SQL: &str = "UPDATE leases SET until = '-infinity' WHERE name = $1 AND holder = $2";
        self.write_once(async |session| session.execute(SQL, &[&name, &self.id]).await).map(drop)
    }
}
