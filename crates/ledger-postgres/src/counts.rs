//! The `counts` table: what gateways have counted for rules.
//!
//! Its rows say nothing that must not be lost, so it is made when it is first needed, and not part of the tables' formats: gateways that
//! know of no rules know nothing of it.

use portcullis_ledger::store::{Counts, CountsPart, StoredAt};
use portcullis_ledger::{LedgerError, TenantId};

use crate::Postgres;
use crate::columns::{Columns, unsigned};
use crate::failure::Failure;
use crate::session::Session;

const CREATE: &str = "
    CREATE TABLE IF NOT EXISTS counts (
        stored timestamptz NOT NULL DEFAULT clock_timestamp(),
        version bigint NOT NULL,
        part smallint NOT NULL,
        tenant text COLLATE \"C\" NOT NULL,
        node text COLLATE \"C\" NOT NULL,
        sealed bytea NOT NULL,
        PRIMARY KEY (tenant, node, part)
    )";
const IS_THERE: &str = "SELECT to_regclass('counts') IS NOT NULL";
/// No commit waits for the disk, or for a standby.
const BEGIN: &str = "BEGIN; SET LOCAL synchronous_commit = off";

impl Counts for Postgres {
    fn put_counts(&self, parts: &[CountsPart]) -> Result<(), LedgerError> {
        const SQL: &str = "
            INSERT INTO counts (tenant, node, part, version, sealed)
            SELECT * FROM unnest($1::text[], $2::text[], $3::smallint[], $4::bigint[], $5::bytea[])
            ON CONFLICT (tenant, node, part) DO UPDATE SET
                stored = DEFAULT, version = excluded.version, sealed = excluded.sealed";
        let tenants: Vec<&str> = parts.iter().map(|part| part.tenant.as_str()).collect();
        let nodes: Vec<&str> = parts.iter().map(|part| part.node.as_str()).collect();
        let numbers: Vec<i16> = parts.iter().map(|part| part.part.into()).collect();
        let versions: Vec<i64> = parts.iter().map(|part| part.version.cast_signed()).collect();
        let sealed: Vec<&[u8]> = parts.iter().map(|part| part.sealed.as_slice()).collect();
        self.write_once(async |session| {
            ensure(session).await?;
            session.batch(BEGIN).await?;
            session.execute(SQL, &[&tenants, &nodes, &numbers, &versions, &sealed]).await?;
            session.batch("COMMIT").await
        })
    }

    fn counts_after(
        &self,
        after: Option<StoredAt>,
        node: &str,
    ) -> Result<(Vec<CountsPart>, Option<StoredAt>), LedgerError> {
        // A row is seen once it is committed, which may be later than others that were stored after it.
        const SQL: &str = "
            SELECT tenant, node, part, version, sealed, (extract(epoch FROM stored) * 1000000)::bigint FROM counts
            WHERE node <> $1 AND stored > to_timestamp($2::bigint / 1000000) - interval '3 seconds'
            ORDER BY stored";
        self.read(async |session| {
            if !is_there(session).await? {
                return Ok((Vec::new(), after));
            }
            let mut latest = after;
            let mut parts = Vec::new();
            for row in &session.query(SQL, &[&node, &after.unwrap_or_default().0]).await? {
                let mut columns = Columns::of(row);
                let (tenant, node): (&str, String) = (columns.get()?, columns.get()?);
                let (part, version): (i16, i64) = (columns.get()?, columns.get()?);
                let (sealed, stored): (Vec<u8>, i64) = (columns.get()?, columns.get()?);
                latest = latest.max(Some(StoredAt(stored)));
                // Others than gateways may have written it.
                let (Ok(tenant), Ok(part)) = (tenant.parse(), u8::try_from(part)) else { continue };
                parts.push(CountsPart { tenant, node, part, version: unsigned(version)?, sealed });
            }
            Ok((parts, latest))
        })
    }

    fn forget_counts(&self, tenant: &TenantId) -> Result<(), LedgerError> {
        const SQL: &str = "DELETE FROM counts WHERE tenant = $1";
        self.write_once(async |session| match is_there(session).await? {
            true => session.execute(SQL, &[&tenant.as_str()]).await.map(drop),
            false => Ok(()),
        })
    }
}

async fn is_there(session: &Session) -> Result<bool, Failure> {
    let row = session.query_opt(IS_THERE, &[]).await?.ok_or(LedgerError::Defect)?;
    Columns::of(&row).get()
}

/// Makes the table, unless it is there. Of several gateways that do so at the same moment, one may fail, and tries again later.
async fn ensure(session: &Session) -> Result<(), Failure> {
    match is_there(session).await? {
        true => Ok(()),
        false => session.batch(CREATE).await,
    }
}
