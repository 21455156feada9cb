//! What is deleted of the `commits` table.

use std::time::Duration;

use portcullis_ledger::LedgerError;

use crate::Postgres;

/// The lease of the node that deletes, and how long it has it. As long as it lasts, the node counts as running. Nothing is wrong if another
/// node begins when it is over.
const LEASE: &str = "trim";
const LASTING: Duration = Duration::from_secs(4);
/// The most rows that one call deletes.
const MOST: u64 = 5_000;

impl Postgres {
    /// Deletes the oldest changes of lists that other nodes and writes in doubt need no more, if it is this node that does so. Returns
    /// whether there may be more.
    pub(crate) fn trim_commits(&self) -> Result<bool, LedgerError> {
        // Rows of this table never change, so they stay where they are.
        const SQL: &str = "
            DELETE FROM commits WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM commits WHERE at < clock_timestamp() - interval '1 day' ORDER BY at LIMIT $1))";
        if !self.take_lease(LEASE, LASTING)? {
            return Ok(false);
        }
        let most = MOST.cast_signed();
        let trimmed = self.write_once(async |session| session.execute(SQL, &[&most]).await)?;
        Ok(trimmed >= MOST)
    }
}
