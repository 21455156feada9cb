//! Upgrading the tables while gateways use them, one gateway after the other.
//!
//! The first gateway of a newer format *expands* the tables, in one transaction: it only adds to them, so that gateways of the format
//! before go on. Newer gateways then do nothing that those can't read. Once all are of the new format, `portcullis migrate --finish`
//! *contracts* the tables: it takes away what only older gateways need, and keeps those out.
//!
//! `ledger.expanded` says whose tables they are, and `ledger.format` how old a gateway may be. Each gateway compares `format` when it starts,
//! and that is all that gateways of format 1 know of this, so it stays as it is until the contraction. A gateway that is running meanwhile,
//! but was cut off from the database, compares nothing when it is back: its commits fail, as a constraint compares their format.

use std::time::Duration;

use portcullis_keys::{MasterKey, MasterSeal};
use portcullis_ledger::LedgerError;
use tokio::time::{Instant, sleep};
use tokio_postgres::error::SqlState;

use crate::columns::Columns;
use crate::connected::Connected;
use crate::failure::Failure;
use crate::link::Link;
use crate::schema::{self, Formats, exists};
use crate::session::Session;
use crate::url::PostgresUrl;

/// The format that this program is of. It works beside gateways of the format before.
pub(crate) const FORMAT: i32 = 2;

/// SQL that expands the tables to each format, from nothing. What was released never changes.
const EXPAND: [&str; FORMAT as usize] = [include_str!("schema.sql"), include_str!("format_2.sql")];

/// SQL that takes away what only gateways of the format before need, for each format. It may run again.
const CONTRACT: [&str; FORMAT as usize] = [
    "",
    // Gateways of format 1 count ids, and find commits by their marks.
    "DROP INDEX IF EXISTS commits_by_list;
     ALTER TABLE tenants ALTER COLUMN id DROP IDENTITY IF EXISTS;
     ALTER TABLE actors ALTER COLUMN id DROP IDENTITY IF EXISTS;
     ALTER TABLE lists ALTER COLUMN id DROP IDENTITY IF EXISTS",
];

/// The constraint that commits of older gateways violate. Gateways of format 1 show its name as it is.
pub(crate) const TOO_OLD: &str = "this_gateway_is_too_old_for_the_ledger";

/// The first number of the lock that is held while tables are changed; "PCLG". Others take others.
const LOCK: &str = "SELECT pg_advisory_xact_lock(1346587719, 0)";

/// How long writers wait for an expansion that waits for another transaction. Then it is tried again.
const LOCK_TIMEOUT: &str = "SET LOCAL lock_timeout = '300ms'";
/// How long an expansion, or a contraction, is tried.
const PATIENCE: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(200);

/// What finishing an upgrade did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finished {
    /// Gateways of formats before this one are kept out from now on.
    Now(i32),
    /// They were before.
    Already(i32),
}

/// Creates all tables, in the transaction that is open.
pub(crate) async fn create(session: &Session) -> Result<(), Failure> {
    for sql in EXPAND.into_iter().chain(CONTRACT) {
        session.batch(sql).await?;
    }
    fence(session).await
}

/// Adds what the tables lack, unless another gateway has done it meanwhile.
pub(crate) async fn expand(session: &Session) -> Result<(), Failure> {
    build_indexes(session).await?;
    patiently(session, async || {
        add(session).await?;
        session.batch("COMMIT").await
    })
    .await
}

/// Builds indexes of tables that may be long, while others write to them, one gateway at a time. That waits for transactions that began
/// before, but not for as long as they may last.
async fn build_indexes(session: &Session) -> Result<(), Failure> {
    // One whose build was interrupted.
    const BROKEN: &str = "
        SELECT FROM pg_index WHERE indexrelid = to_regclass('commits_by_sequence') AND NOT indisvalid";
    const LIMITS: &str = "SELECT current_setting('statement_timeout'), current_setting('lock_timeout')";
    const SET: &str = "
        SELECT set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false)";
    // Not in a statement that waits: one that builds waits for statements that began before.
    const TRY: &str = "SELECT pg_try_advisory_lock(1346587719, 1)";
    const UNLOCK: &str = "SELECT pg_advisory_unlock(1346587719, 1)";
    loop {
        let locked = session.query_opt(TRY, &[]).await?.ok_or(LedgerError::Defect)?;
        if Columns::of(&locked).get()? {
            break;
        }
        sleep(PAUSE).await;
    }
    let limits = session.query_opt(LIMITS, &[]).await?.ok_or(LedgerError::Defect)?;
    let mut limits = Columns::of(&limits);
    let (statement, lock): (String, String) = (limits.get()?, limits.get()?);
    session.query(SET, &[&"0", &"6s"]).await?;
    if session.query_opt(BROKEN, &[]).await?.is_some() {
        session.batch("DROP INDEX CONCURRENTLY IF EXISTS commits_by_sequence").await?;
    }
    session
        .batch("CREATE INDEX CONCURRENTLY IF NOT EXISTS commits_by_sequence ON commits (list, sequence)")
        .await?;
    session.query(SET, &[&statement, &lock]).await?;
    session.query(UNLOCK, &[]).await.map(drop)
}

/// Adds what the tables lack, in the transaction that is open.
async fn add(session: &Session) -> Result<(), Failure> {
    // As in `schema`: format 1 has no column `expanded`.
    const FOUND: &str = "SELECT coalesce((to_jsonb(ledger) ->> 'expanded')::integer, format) FROM ledger";
    let row = session.query_opt(FOUND, &[]).await?.ok_or(LedgerError::Defect)?;
    let found: i32 = Columns::of(&row).get()?;
    let found = usize::try_from(found).map_err(|_| LedgerError::damaged("format of the tables"))?;
    if found < EXPAND.len() {
        for sql in &EXPAND[found..] {
            session.batch(sql).await?;
        }
        session.batch(&format!("UPDATE ledger SET expanded = {FORMAT}")).await?;
    }
    Ok(())
}

/// Whether gateways of older formats may use the tables, too.
pub(crate) async fn is_under_way(session: &Session) -> Result<bool, Failure> {
    let row = session.query_opt("SELECT format < $1 FROM ledger", &[&FORMAT]).await?;
    Columns::of(&row.ok_or(LedgerError::Defect)?).get()
}

/// Has commits of older gateways fail, in the transaction that is open.
async fn fence(session: &Session) -> Result<(), Failure> {
    // There are some of older gateways, from before.
    let sql = format!(
        "ALTER TABLE commits DROP CONSTRAINT IF EXISTS {TOO_OLD},
            ADD CONSTRAINT {TOO_OLD} CHECK (format >= {FORMAT}) NOT VALID"
    );
    session.batch(&sql).await
}

/// Runs a change of the tables in a transaction, one gateway at a time, again and again while it waits for others that hold locks.
async fn patiently(session: &Session, change: impl AsyncFn() -> Result<(), Failure>) -> Result<(), Failure> {
    let until = Instant::now() + PATIENCE;
    loop {
        let try_it = async || {
            session.batch(&format!("BEGIN; {LOCK_TIMEOUT}; {LOCK}")).await?;
            change().await?;
            session.check_replicated()
        };
        match try_it().await {
            Err(failure) if is_locked(&failure) && Instant::now() < until => {
                session.batch("ROLLBACK").await?;
                sleep(PAUSE).await;
            }
            Err(failure) => {
                let _ = session.batch("ROLLBACK").await;
                return Err(failure);
            }
            Ok(()) => return Ok(()),
        }
    }
}

fn is_locked(failure: &Failure) -> bool {
    matches!(failure, Failure::Database(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
}

/// Finishes the upgrade of a ledger's tables to this program's format: gateways of older formats can't use it any more.
///
/// # Errors
/// [`LedgerError::OlderGateway`] if one is connected, or was a moment ago; [`LedgerError::Left`], [`LedgerError::Unfinished`],
/// [`LedgerError::NewerSchema`], [`LedgerError::WrongMasterKey`]; [`LedgerError::Lost`] if there is no ledger; or another error of the
/// database. Nothing is changed then.
pub fn finish(url: &PostgresUrl, master: &MasterKey) -> Result<Finished, LedgerError> {
    let shown = url.to_string();
    Link::to(url)?.run(async |session| finish_on(session, &master.seal(), &shown).await)
}

async fn finish_on(session: &Session, master: &MasterSeal, shown: &str) -> Result<Finished, Failure> {
    if !exists(session, "ledger").await? {
        let evidence = "the command".to_owned();
        return Err(LedgerError::Lost { path: shown.into(), evidence }.into());
    }
    let Formats { oldest, .. } = schema::check(session, master, shown).await?;
    if oldest >= FORMAT {
        return Ok(Finished::Already(oldest));
    }
    let older = Connected::before(FORMAT);
    let refuse = |by: Option<String>| match by {
        Some(by) => Err(Failure::from(LedgerError::OlderGateway { path: shown.into(), by })),
        None => Ok(()),
    };
    refuse(older.after_a_while(session).await?)?;
    build_indexes(session).await?;
    patiently(session, async || {
        add(session).await?;
        // One that starts now waits for this, and then finds that it is too old.
        // The others are locked in the order in which writes take them, or each write would wait for this, and this for the write.
        session.batch("LOCK TABLE ledger, actors, tenants, lists, commits IN ACCESS EXCLUSIVE MODE").await?;
        refuse(older.one(session).await?)?;
        for sql in CONTRACT {
            session.batch(sql).await?;
        }
        fence(session).await?;
        session.batch(&format!("UPDATE ledger SET format = {FORMAT}; COMMIT")).await
    })
    .await?;
    Ok(Finished::Now(FORMAT))
}
