//! Moves a ledger from one store to another, while no gateway uses it: from a file to a database, back, or between two of a kind.
//!
//! All rows are copied as they are, with their ids, sequence numbers and encrypted bytes, so that a gateway on the other store gives the
//! same answers and has the same history, and events go on where they stopped. What is left of forgotten tenants is not copied. Saved states of plugins are not copied: the gateways
//! make new ones.
//!
//! At any moment at most one of the two can be opened. The target is marked as unfinished while it is filled. Then it is compared with the
//! source, made durable, the source is marked as left, and only then the target is a ledger. Whenever it is interrupted, the same call
//! starts over.
#![forbid(unsafe_code)]

mod error;
mod place;
mod survey;
mod tally;

use portcullis_ledger::store::copy::{Rows, Source, Target};
use portcullis_ledger::{LedgerError, MasterKey};
use portcullis_ledger_model::table::{NUMBERED, Row, TABLES, Table};

pub use error::MigrationError;
pub use place::Place;
pub use portcullis_ledger_postgres::Finished;
pub use survey::{Contents, ListContents};

use survey::Survey;
use tally::Tally;

/// How far it is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: Stage,
    /// The rows of all tables for which it is done.
    pub rows: u64,
    /// The rows of all tables.
    pub total: u64,
}

/// What is being done with the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The source is checked for damage. How many rows there are is not known yet.
    Checking,
    /// They are copied.
    Copying,
    /// What arrived is compared with what was sent.
    Comparing,
    /// The target is made durable, and indexes are created.
    Completing,
}

/// Finds out what would be moved, and whether it could be. Changes nothing.
///
/// # Errors
/// Those of [`migrate`] that are known before anything is copied.
pub fn survey(from: &Place, to: &Place, master: &MasterKey) -> Result<Contents, MigrationError> {
    let target = target(from, to, master)?;
    let unfinished = target.unfinished();
    match from.source(master) {
        // `migrate` would take it back.
        Err(LedgerError::Left { ledger, .. }) if Some(ledger) == unfinished => {
            Err(MigrationError::Interrupted)
        }
        source => {
            let mut source = source.map_err(MigrationError::Source)?;
            Ok(Survey::of(&mut *source, master).map_err(MigrationError::Source)?.contents())
        }
    }
}

/// Moves the ledger. `progress` is called for every 10,000 rows at most, on this thread. Needs memory for some 20,000 rows, and for a few
/// hundred bytes for each list.
///
/// # Errors
/// If the source is in use, damaged, or not a ledger of this master key; if the target is not empty; or an error of either store. The source
/// is then as it was, unless it is [`MigrationError::Finish`].
pub fn migrate(
    from: &Place,
    to: &Place,
    master: &MasterKey,
    progress: &mut dyn FnMut(Progress),
) -> Result<Contents, MigrationError> {
    let mut target = target(from, to, master)?;
    progress(Progress { stage: Stage::Checking, rows: 0, total: 0 });
    let mut source = source(from, &*target, master)?;
    let survey = Survey::of(&mut *source, master).map_err(MigrationError::Source)?;
    let ledger = target.begin().map_err(MigrationError::Target)?;
    let total = survey.rows();
    copy(&mut *source, &mut *target, &survey, total, progress)?;
    progress(Progress { stage: Stage::Completing, rows: total, total });
    let last_ids = last_ids(&mut *source).map_err(MigrationError::Source)?;
    target.complete(&last_ids).map_err(MigrationError::Target)?;
    // If this is the last that is done, the target's id tells that it may be undone.
    source.leave(&to.to_string(), ledger).map_err(MigrationError::Source)?;
    target.finish().map_err(MigrationError::Finish)?;
    Ok(survey.contents())
}

/// Takes back that a ledger was moved: it can be opened again, as it was then. Where it was moved to is not looked at.
///
/// # Errors
/// [`MigrationError::Source`] if it was not moved, or can't be opened with this key.
pub fn take_back(place: &Place, master: &MasterKey) -> Result<(), MigrationError> {
    place.take_back(master).map_err(MigrationError::Source)
}

/// Finishes the upgrade of a ledger in a database: gateways of older versions can't use it any more. Gateways of this version go on
/// meanwhile.
///
/// # Errors
/// [`MigrationError::NoUpgrade`] if it is in a file; [`MigrationError::Upgrade`] if a gateway of an older version is connected, or the ledger
/// can't be opened with this key.
pub fn finish_upgrade(place: &Place, master: &MasterKey) -> Result<Finished, MigrationError> {
    place.finish_upgrade(master)
}

/// Opens the target. If there is a ledger already, it may be the one that the source was moved to, which is then in service.
fn target(from: &Place, to: &Place, master: &MasterKey) -> Result<Box<dyn Target>, MigrationError> {
    to.target(master).map_err(|error| match from.source(master) {
        Err(left @ LedgerError::Left { .. }) => MigrationError::Source(left),
        _ => error,
    })
}

/// Opens the source. If it was left for a ledger that was never finished, it is taken back.
fn source(from: &Place, target: &dyn Target, master: &MasterKey) -> Result<Box<dyn Source>, MigrationError> {
    let opened = match from.source(master) {
        Err(LedgerError::Left { ledger, .. }) if Some(ledger) == target.unfinished() => {
            from.take_back(master).and_then(|()| from.source(master))
        }
        opened => opened,
    };
    opened.map_err(MigrationError::Source)
}

fn last_ids(source: &mut dyn Source) -> Result<Vec<(&'static Table, i64)>, LedgerError> {
    let numbered = TABLES.iter().filter(|table| NUMBERED.contains(&table.name));
    numbered.map(|table| Ok((table, source.last_id(table)?))).collect()
}

/// Copies all rows, and compares what arrived.
fn copy(
    source: &mut dyn Source,
    target: &mut dyn Target,
    survey: &Survey,
    total: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), MigrationError> {
    let (mut sent, mut arrived) = (Tally::default(), Tally::default());
    let mut rows = 0;
    for table in &TABLES {
        each_page(source, table, MigrationError::Source, |page| {
            sent.add(table, page);
            target.put(table, page).map_err(MigrationError::Target)?;
            rows += page.len() as u64;
            progress(Progress { stage: Stage::Copying, rows, total });
            Ok(())
        })?;
    }
    rows = 0;
    for table in &TABLES {
        each_page(target, table, MigrationError::Target, |page| {
            arrived.add(table, page);
            rows += page.len() as u64;
            progress(Progress { stage: Stage::Comparing, rows, total });
            Ok(())
        })?;
    }
    let (sent, arrived) = (sent.finish(), arrived.finish());
    survey.check(&sent)?;
    match sent.difference(&arrived) {
        None => Ok(()),
        Some((table, owner)) => Err(MigrationError::Differs { what: survey.describe(table, owner) }),
    }
}

/// Reads a table page by page.
fn each_page<R: Rows + ?Sized>(
    reader: &mut R,
    table: &'static Table,
    failed: impl Fn(LedgerError) -> MigrationError,
    mut work: impl FnMut(&[Row]) -> Result<(), MigrationError>,
) -> Result<(), MigrationError> {
    let mut page = reader.first(table).map_err(&failed)?;
    while !page.is_empty() {
        work(&page)?;
        page = reader.next().map_err(&failed)?;
    }
    Ok(())
}
