//! Creating the tables, and checking what is there.

use portcullis_keys::MasterSeal;
use portcullis_ledger::store::sealed::seal_check;
use portcullis_ledger::{LedgerError, LedgerId, Opening};

use crate::columns::Columns;
use crate::failure::Failure;
use crate::session::Session;
use crate::upgrade::{self, FORMAT};

/// The table that there is while a ledger is being moved here.
pub(crate) const ARRIVAL: &str = "arrival";
/// The table that there is once the ledger was moved to another place.
pub(crate) const DEPARTURE: &str = "departure";

/// What was found when the ledger was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Ledger(Formats),
    /// There was none, and it was created.
    Nothing,
}

/// The formats of a ledger's tables. See [`upgrade`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Formats {
    /// The oldest that a gateway may be of.
    pub(crate) oldest: i32,
    /// The one whose tables they are.
    pub(crate) expanded: i32,
}

/// Creates the tables unless they are there, and checks that they are of this master key. They may lack what
/// [`expand`](upgrade::expand) adds. `shown` names the database in errors.
pub(crate) async fn prepare(
    session: &Session,
    master: &MasterSeal,
    opening: &Opening,
    shown: &str,
) -> Result<Found, Failure> {
    if exists(session, "ledger").await? {
        let formats = check(session, master, shown).await?;
        if opening.is_new() {
            return Err(LedgerError::NotNew { path: shown.into() }.into());
        }
        if opening.restored {
            return Err(LedgerError::RestoredDatabase { path: shown.into() }.into());
        }
        return Ok(Found::Ledger(formats));
    }
    if let Some(evidence) = opening.evidence_of_one().filter(|_| !opening.is_new()) {
        return Err(LedgerError::Lost { path: shown.into(), evidence }.into());
    }
    check_encoding(session, shown).await?;
    let create = async || -> Result<(), Failure> {
        session.batch("BEGIN").await?;
        upgrade::create(session).await?;
        add_ledger(session, master, None).await?;
        session.batch("COMMIT").await?;
        session.check_replicated()
    };
    match create().await {
        Ok(()) => Ok(Found::Nothing),
        Err(failure) => {
            let _ = session.batch("ROLLBACK").await;
            // Another node that starts at the same time may have created it.
            match exists(session, "ledger").await {
                Ok(true) => check(session, master, shown).await.map(Found::Ledger),
                _ => Err(failure),
            }
        }
    }
}

/// Checks that an empty database can store the texts of all languages.
pub(crate) async fn check_encoding(session: &Session, shown: &str) -> Result<(), Failure> {
    let row = session.query_opt("SELECT current_setting('server_encoding')", &[]).await?;
    let row = row.ok_or(LedgerError::Defect)?;
    match Columns::of(&row).get::<&str>()? {
        "UTF8" => Ok(()),
        found => Err(LedgerError::Encoding { path: shown.into(), found: found.to_owned() }.into()),
    }
}

/// Says that new tables are a ledger, with this id, or a random one.
pub(crate) async fn add_ledger(
    session: &Session,
    master: &MasterSeal,
    id: Option<LedgerId>,
) -> Result<(), Failure> {
    const ADD: &str = "
        INSERT INTO ledger (format, expanded, identity, sealed)
        VALUES ($1, $1, coalesce(encode($2::bytea, 'hex')::uuid, gen_random_uuid()), $3)";
    let id = id.as_ref().map(LedgerId::as_slice);
    session.execute(ADD, &[&FORMAT, &id, &seal_check(master)?]).await.map(drop)
}

/// Whether there is a table of this name.
pub(crate) async fn exists(session: &Session, table: &str) -> Result<bool, Failure> {
    const SQL: &str = "SELECT to_regclass($1::text) IS NOT NULL";
    let row = session.query_opt(SQL, &[&table]).await?.ok_or(LedgerError::Defect)?;
    Columns::of(&row).get()
}

/// Checks that there is a ledger of this master key, which is in use, and which this program may use.
pub(crate) async fn check(session: &Session, master: &MasterSeal, shown: &str) -> Result<Formats, Failure> {
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

/// Checks the formats and the master key of the tables. If the key has two, that of the tables is in use from then on.
pub(crate) async fn check_key(
    session: &Session,
    master: &MasterSeal,
    shown: &str,
) -> Result<Formats, Failure> {
    // Format 1 has no column `expanded`.
    const SQL: &str = "
        SELECT format, coalesce((to_jsonb(ledger) ->> 'expanded')::integer, format), sealed FROM ledger";
    let row = session.query_opt(SQL, &[]).await?;
    let row = row.ok_or_else(|| LedgerError::NotALedger { path: shown.into() })?;
    let mut columns = Columns::of(&row);
    let formats = Formats { oldest: columns.get()?, expanded: columns.get()? };
    if formats.oldest > FORMAT {
        let (found, known) = (formats.oldest.into(), FORMAT.into());
        return Err(LedgerError::NewerSchema { path: shown.into(), found, known }.into());
    }
    let sealed: &[u8] = columns.get()?;
    match master.adopt(sealed) {
        true => Ok(formats),
        false => Err(LedgerError::WrongMasterKey { path: shown.into() }.into()),
    }
}
