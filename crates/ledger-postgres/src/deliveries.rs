//! The `deliveries` table.
//!
//! Its statements don't wait for the disk, or for a standby: what is lost with the server costs a repeated delivery. The setting holds
//! until the end of the statement's transaction, whose commit goes by it.

use std::time::Duration;

use portcullis_ledger::store;
use portcullis_ledger::{Claim, ClaimId, Claims, DeliveryKey, LONGEST_REDELIVERY, LedgerError};

use crate::Postgres;
use crate::columns::Columns;
use crate::failure::Failure;
use crate::write::random;

/// The most deliveries that are remembered: some 150 MB.
const MOST: i64 = 1_000_000;
/// The most that are forgotten in one transaction.
const PART: i64 = 50_000;

fn bytes(keys: &[DeliveryKey]) -> Vec<&[u8]> {
    keys.iter().map(|key| &key.0[..]).collect()
}

impl store::Deliveries for Postgres {
    fn claim(&self, keys: &[DeliveryKey], lasting: Duration) -> Result<Claims, LedgerError> {
        // In the order of the keys, so that two claims never wait for each other. What another one commits meanwhile is not seen by the
        // last part, and counts as pending.
        const SQL: &str = "
            WITH setting AS (SELECT set_config('synchronous_commit', 'off', true)),
            granted AS (
                INSERT INTO deliveries AS known (key, claim, until)
                SELECT k.key, $2::bigint, clock_timestamp() + make_interval(secs => $3)
                FROM (SELECT DISTINCT unnest($1::bytea[]) AS key) k, setting ORDER BY k.key
                ON CONFLICT (key) DO UPDATE SET claim = excluded.claim, until = excluded.until
                WHERE known.until <= clock_timestamp()
                RETURNING key)
            SELECT granted.key IS NOT NULL, known.key IS NOT NULL AND known.claim IS NULL
            FROM unnest($1::bytea[]) WITH ORDINALITY AS k (key, position)
            LEFT JOIN granted ON granted.key = k.key LEFT JOIN deliveries known ON known.key = k.key
            ORDER BY k.position";
        let (keys, id, seconds) = (bytes(keys), random()?, lasting.as_secs_f64());
        self.write_once(async |session| {
            let rows = session.query(SQL, &[&keys, &id, &seconds]).await?;
            let each = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                Ok(match (columns.get()?, columns.get()?) {
                    (true, _) => Claim::Granted,
                    (false, true) => Claim::Done,
                    (false, false) => Claim::Pending,
                })
            });
            Ok(Claims { id: ClaimId(id), each: each.collect::<Result<_, Failure>>()? })
        })
    }

    fn finish(&self, keys: &[DeliveryKey]) -> Result<(), LedgerError> {
        const SQL: &str = "
            WITH setting AS (SELECT set_config('synchronous_commit', 'off', true))
            INSERT INTO deliveries (key, until)
            SELECT k.key, clock_timestamp() + make_interval(secs => $2)
            FROM (SELECT DISTINCT unnest($1::bytea[]) AS key) k, setting ORDER BY k.key
            ON CONFLICT (key) DO UPDATE SET claim = NULL, until = excluded.until";
        let (keys, seconds) = (bytes(keys), LONGEST_REDELIVERY.as_secs_f64());
        self.write_once(async |session| session.execute(SQL, &[&keys, &seconds]).await).map(drop)
    }

    fn release(&self, keys: &[DeliveryKey], id: ClaimId) -> Result<(), LedgerError> {
        // In the same order.
        const SQL: &str = "
            WITH setting AS (SELECT set_config('synchronous_commit', 'off', true)),
            released AS (
                SELECT key FROM deliveries WHERE key = ANY($1) AND claim = $2 ORDER BY key FOR UPDATE)
            DELETE FROM deliveries USING setting WHERE key IN (SELECT key FROM released) AND claim = $2";
        let keys = bytes(keys);
        self.write_once(async |session| session.execute(SQL, &[&keys, &id.0]).await).map(drop)
    }

    fn is_done(&self, key: DeliveryKey) -> Result<bool, LedgerError> {
        const SQL: &str = "
            SELECT EXISTS (SELECT FROM deliveries WHERE key = $1 AND claim IS NULL AND until > clock_timestamp())";
        self.read(async |session| {
            let row = session.query_opt(SQL, &[&&key.0[..]]).await?.ok_or(LedgerError::Defect)?;
            Columns::of(&row).get()
        })
    }

    fn trim_deliveries(&self) -> Result<(), LedgerError> {
        // Of those that are remembered, the ones with the earliest ends are the oldest. Claims end soon by themselves.
        const DELIVERIES: &str = "
            DELETE FROM deliveries WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM deliveries WHERE until <= clock_timestamp() OR (claim IS NULL AND until <= (
                    SELECT until FROM deliveries WHERE claim IS NULL ORDER BY until DESC OFFSET $1 LIMIT 1))
                LIMIT $2 FOR UPDATE SKIP LOCKED))";
        const CONFIRMATIONS: &str = "
            DELETE FROM confirmations WHERE until < clock_timestamp() - make_interval(secs => $1)";
        let seconds = LONGEST_REDELIVERY.as_secs_f64();
        self.write_once(async |session| session.execute(CONFIRMATIONS, &[&seconds]).await)?;
        while self.write_once(async |session| session.execute(DELIVERIES, &[&MOST, &PART]).await)?
            >= PART.unsigned_abs()
        {}
        Ok(())
    }
}
