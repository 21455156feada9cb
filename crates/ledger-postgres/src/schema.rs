//! Creating and upgrading the tables.

use portcullis_keys::Seal;
use portcullis_ledger::store::sealed::{opens_check, seal_check};
use portcullis_ledger::{LedgerError, LedgerId, Opening};

use crate::columns::Columns;
use crate::failure::Failure;
use crate::session::Session;

/// The version of the tables that this program writes.
pub(crate) const FORMAT: i32 = 2;

/// SQL that creates the tables of format 1, and those that format 2 added.
pub(crate) const TABLES: [&str; 2] = [include_str!("schema.sql"), include_str!("once.sql")];
/// The table that there is while a ledger is being moved here.
pub(crate) const ARRIVAL: &str = "arrival";
/// The table that there is once the ledger was moved to another place.
pub(crate) const DEPARTURE: &str = "departure";

/// What was found when the ledger was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Ledger,
    /// There was none, and it was created.
    Nothing,
}

/// Creates the tables unless they are there, and checks that they are of this master key. `shown` names the database in errors.
pub(crate) async fn prepare(
    session: &Session,
    master: &Seal,
    opening: &Opening,
    shown: &str,
) -> Result<Found, Failure> {
    const ADD: &str = "INSERT INTO ledger (format, identity, sealed) VALUES ($1, gen_random_uuid(), $2)";
    if exists(session, "ledger").await? {
        check(session, master, shown).await?;
        if opening.is_new() {
            return Err(LedgerError::NotNew { path: shown.into() }.into());
        }
        return Ok(Found::Ledger);
    }
    if let Some(evidence) = opening.evidence_of_one().filter(|_| !opening.is_new()) {
        return Err(LedgerError::Lost { path: shown.into(), evidence }.into());
    }
    let sealed = seal_check(master)?;
    let create = async || -> Result<(), Failure> {
        session.batch("BEGIN").await?;
        for tables in TABLES {
            session.batch(tables).await?;
        }
        session.execute(ADD, &[&FORMAT, &sealed]).await?;
        session.batch("COMMIT").await?;
        session.check_replicated()
    };
    match create().await {
        Ok(()) => Ok(Found::Nothing),
        Err(failure) => {
            let _ = session.batch("ROLLBACK").await;
            // Another node that starts at the same time may have created it.
            match exists(session, "ledger").await {
                Ok(true) => check(session, master, shown).await.map(|()| Found::Ledger),
                _ => Err(failure),
            }
        }
    }
}

/// Whether there is a table of this name.
pub(crate) async fn exists(session: &Session, table: &str) -> Result<bool, Failure> {
    const SQL: &str = "SELECT to_regclass($1::text) IS NOT NULL";
    let row = session.query_opt(SQL, &[&table]).await?.ok_or(LedgerError::Defect)?;
    Columns::of(&row).get()
}

/// Checks that there is a ledger of this master key, which is in use.
pub(crate) async fn check(session: &Session, master: &Seal, shown: &str) -> Result<(), Failure> {
    if exists(session, ARRIVAL).await? {
        return Err(LedgerError::Unfinished { path: shown.into() }.into());
    }
    if exists(session, DEPARTURE).await? {
        let row = session.query_opt("SELECT target, ledger FROM departure", &[]).await?;
        let row = row.ok_or(LedgerError::damaged("departure"))?;
        let mut columns = Columns::of(&row);
        let to = columns.get()?;
        let ledger = ledger_id(columns.get()?)?;
        return Err(LedgerError::Left { path: shown.into(), to, ledger }.into());
    }
    check_key(session, master, shown).await
}

/// An id as the tables of a move have it.
pub(crate) fn ledger_id(bytes: &[u8]) -> Result<LedgerId, LedgerError> {
    bytes.try_into().map_err(|_| LedgerError::damaged("id of a ledger"))
}

/// Checks the version and the master key of the tables.
pub(crate) async fn check_key(session: &Session, master: &Seal, shown: &str) -> Result<(), Failure> {
    let row = session.query_opt("SELECT format, sealed FROM ledger", &[]).await?;
    let row = row.ok_or_else(|| LedgerError::NotALedger { path: shown.into() })?;
    let mut columns = Columns::of(&row);
    let format: i32 = columns.get()?;
    if format > FORMAT {
        let (found, known) = (format.into(), FORMAT.into());
        return Err(LedgerError::NewerSchema { path: shown.into(), found, known }.into());
    }
    let sealed: &[u8] = columns.get()?;
    if !opens_check(master, sealed) {
        return Err(LedgerError::WrongMasterKey { path: shown.into() }.into());
    }
    match format < FORMAT {
        true => upgrade(session).await,
        false => Ok(()),
    }
}

/// Adds what the format lacks, unless another node has done it meanwhile.
async fn upgrade(session: &Session) -> Result<(), Failure> {
    session.batch("BEGIN").await?;
    let row = session.query_opt("SELECT format FROM ledger FOR UPDATE", &[]).await?;
    let found: i32 = Columns::of(&row.ok_or(LedgerError::Defect)?).get()?;
    let found = usize::try_from(found).map_err(|_| LedgerError::damaged("format of the tables"))?;
    for tables in TABLES.iter().skip(found) {
        session.batch(tables).await?;
    }
    session.execute("UPDATE ledger SET format = $1", &[&FORMAT]).await?;
    session.batch("COMMIT").await?;
    session.check_replicated()
}
