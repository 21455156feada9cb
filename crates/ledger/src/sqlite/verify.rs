//! Checks a whole ledger that is not open.

use std::fs::File;
use std::path::{Path, PathBuf};

use portcullis_keys::{MasterKey, MasterSeal, Scope, TenantId, TenantKeys};
use portcullis_ledger_model::{
    Age, Finding, ListState, Seq, Verified,
    text::{self, RowContext},
};
use rusqlite::Connection;

use super::entries::{kind, subject};
use super::examine::{Description, Files, check_catalogue};
use super::forgotten;
use super::lists::unsigned;
use super::schema::{self, Contents};
use super::sums::{Sums, are_people_whole};
use super::{lock, schema::set_up};
use crate::error::LedgerError;
use crate::store::sealed;
use crate::witness::{Found, Witness};

/// The most flaws of SQLite's structures that are looked for, and that are listed.
const MOST: usize = 1000;
const LISTED: usize = 10;

/// A ledger that nobody else opens until this is dropped, which has to be after the connections.
pub(super) struct Locked {
    pub(super) path: PathBuf,
    _locks: [File; 2],
}

impl Locked {
    /// Locks the ledger at this path, which must be there.
    pub(super) fn new(path: &Path) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Open { path: path.into(), source };
        let path = path.canonicalize().map_err(failed)?;
        let locks = [lock::of_name(&path)?, lock::of_file(&path)?];
        Ok(Locked { path, _locks: locks })
    }

    /// Its files, if it is a ledger of this master key.
    pub(super) fn files(&self, master: &MasterKey) -> Result<Files<'_>, LedgerError> {
        let path = &self.path;
        schema::check_finished(path)?;
        let files = Files::of(path);
        files.check_log(&master.seal())?;
        match schema::check(&files.connect()?, path, &master.seal())? {
            Contents::Ledger => Ok(files),
            Contents::Empty => {
                Err(LedgerError::Lost { path: path.into(), evidence: path.display().to_string() })
            }
        }
    }
}

/// Locks the ledger at this path, and passes it to `work`, if it is one of this master key.
fn locked<T>(
    path: &Path,
    master: &MasterKey,
    work: impl FnOnce(&Files<'_>) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    let locked = Locked::new(path)?;
    work(&locked.files(master)?)
}

/// Reads which lists there are, and changes nothing.
pub(crate) fn survey(path: &Path, master: &MasterKey) -> Result<Vec<ListState>, LedgerError> {
    locked(path, master, |files| {
        let (connection, seal) = (files.connect()?, master.seal());
        let sql = "SELECT name, wrapped, scope, sequence, state FROM lists
            JOIN tenants ON tenants.id = lists.tenant JOIN secrets ON secrets.tenant = lists.tenant";
        let mut found = connection.prepare(sql)?;
        let mut rows = found.query(())?;
        let mut lists = Vec::new();
        while let Some(row) = rows.next()? {
            let columns: (String, Vec<u8>, String, i64, Option<[u8; 16]>) = row.try_into()?;
            let (name, wrapped, scope, sequence, state) = columns;
            let (Ok(tenant), Ok(scope)) = (name.parse::<TenantId>(), Scope::from_stored(&scope)) else {
                continue;
            };
            let Ok(keys) = sealed::open_secret(&seal, &tenant, &wrapped) else { continue };
            lists.push(ListState { tenant, scope, keys, state, sequence: unsigned(sequence)? });
        }
        Ok(lists)
    })
}

/// Checks everything, and changes nothing.
pub(crate) fn verify(path: &Path, master: &MasterKey) -> Result<Verified, LedgerError> {
    locked(path, master, |files| verify_files(files, master))
}

pub(super) fn verify_files(files: &Files<'_>, master: &MasterKey) -> Result<Verified, LedgerError> {
    let (connection, seal) = (files.connect()?, master.seal());
    let mut verifier = Verifier::new(&connection, &seal);
    verifier.note(None, "the ledger", |_| files.doubt().map(|doubt| doubt.map(|doubt| doubt.to_string())));
    verifier.contents()?;
    Ok(verifier.done)
}

/// Checks the contents of a copy of a ledger, which nobody writes to, and changes nothing. `live` is the ledger that it may
/// be a copy of, which may be open.
pub(crate) fn verify_copy(path: &Path, master: &MasterKey, live: &Path) -> Result<Verified, LedgerError> {
    let failed = |source| LedgerError::Open { path: path.into(), source };
    let path = &path.canonicalize().map_err(failed)?;
    if live.canonicalize().is_ok_and(|live| live == *path) {
        return Err(LedgerError::NotACopy { path: path.clone() });
    }
    let seal = master.seal();
    let log = std::fs::metadata(crate::files::beside(path, "-wal"));
    let connection = match log.is_ok_and(|log| log.len() > 0) {
        // Files that were copied together.
        true => super::connect(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        false => super::connect_alone(path)?,
    };
    if let Contents::Empty = schema::check(&connection, path, &seal)? {
        return Err(LedgerError::NotALedger { path: path.clone() });
    }
    let mut verifier = Verifier::new(&connection, &seal);
    verifier.contents()?;
    if let (Ok(found), Ok(Found::Witness(said))) =
        (Description::read(&connection), Witness::read(&Witness::path_of(live)))
    {
        verifier.done.age = Some(match said.ledger == found.id {
            true => Age::Behind(said.commit.saturating_sub(found.commit)),
            false => Age::AnotherLedger,
        });
    }
    Ok(verifier.done)
}

/// What SQLite finds wrong with the structures of the file, and with its indexes.
fn flaws(connection: &Connection) -> Vec<String> {
    let mut flaws = Vec::new();
    let checked = connection.prepare(&format!("PRAGMA integrity_check({MOST})")).and_then(|mut check| {
        let mut rows = check.query(())?;
        while let Some(row) = rows.next()? {
            flaws.push(row.get::<_, String>(0)?);
        }
        Ok(())
    });
    flaws.extend(checked.err().map(|error| error.to_string()));
    flaws.retain(|line| line != "ok");
    flaws
}

/// Whether a flaw is one of an index, whose table is whole as far as this flaw says.
fn is_of_an_index(flaw: &str) -> bool {
    [
        " missing from index ",
        "wrong # of entries in index ",
        "non-unique entry in index ",
        " values differ from index ",
    ]
    .iter()
    .any(|says| flaw.contains(says))
}

/// Whether a flaw says that a page may belong to two owners: who writes to such a file may destroy more.
fn makes_writing_unsafe(flaw: &str) -> bool {
    flaw.contains("2nd reference") || flaw.contains("reelist")
}

/// Creates the indexes again from their tables. Returns those that could not be.
fn rebuild_indexes(connection: &Connection) -> Result<Vec<Finding>, LedgerError> {
    let mut names =
        connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")?;
    let names = names.query_map((), |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()?;
    let mut left = Vec::new();
    for name in names {
        if let Err(error) = connection.execute_batch(&format!("REINDEX \"{name}\"")) {
            left.push(Finding::new(format!("the index {name} could not be created again: {error}")));
        }
    }
    Ok(left)
}

/// Stores sums and counters as the rows have them, of everything that can be read. Returns what can't.
pub(crate) fn accept(path: &Path, master: &MasterKey) -> Result<Vec<Finding>, LedgerError> {
    locked(path, master, |files| {
        let connection = super::connect(files.path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let flaws = flaws(&connection);
        if let Some(flaw) = flaws.iter().find(|flaw| makes_writing_unsafe(flaw)) {
            return Ok(vec![Finding::new(format!(
                "nothing was accepted, because writing to this file could destroy more (SQLite says: {flaw})"
            ))]);
        }
        set_up(&connection)?;
        let mut left = match flaws.is_empty() || !flaws.iter().all(|flaw| is_of_an_index(flaw)) {
            true => Vec::new(),
            false => rebuild_indexes(&connection)?,
        };
        let transaction = connection.unchecked_transaction()?;
        left.extend(accept_each(&transaction, Sums::of(&master.seal()))?);
        transaction.commit()?;
        Ok(left)
    })
}

/// Accepts each list, and each tenant's user ids, by itself: what can't be read keeps none of the others.
fn accept_each(connection: &Connection, sums: Sums) -> Result<Vec<Finding>, LedgerError> {
    let mut left = Vec::new();
    let mut each = |tenant: Option<(&TenantId, Option<&Scope>)>,
                    what: &str,
                    work: &dyn Fn() -> Result<(), LedgerError>|
     -> Result<(), LedgerError> {
        connection.execute_batch("SAVEPOINT one")?;
        if let Err(error) = work() {
            connection.execute_batch("ROLLBACK TO one")?;
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
            let what =
                format!("{what} can't be read, and are not accepted: {error}{}", cause.unwrap_or_default());
            left.push(match tenant {
                Some((tenant, Some(scope))) => Finding::of_list(tenant, scope, what),
                Some((tenant, None)) => Finding::of_tenant(tenant, what),
                None => Finding::new(what),
            });
        }
        connection.execute_batch("RELEASE one")?;
        Ok(())
    };
    let lists: Vec<(i64, String, String)> = {
        let sql = "SELECT lists.id, name, scope FROM lists JOIN tenants ON tenants.id = tenant ORDER BY name, scope";
        let mut lists = connection.prepare(sql)?;
        lists.query_map((), |row| row.try_into())?.collect::<rusqlite::Result<_>>()?
    };
    for (list, tenant, scope) in &lists {
        let names = tenant.parse::<TenantId>().ok().zip(Scope::from_stored(scope).ok());
        let of = names.as_ref().map(|(tenant, scope)| (tenant, Some(scope)));
        each(of, "its entries", &|| super::sums::accept_list(connection, *list, sums))?;
    }
    let tenants: Vec<(i64, String)> = {
        let mut tenants = connection.prepare("SELECT id, name FROM tenants ORDER BY name")?;
        tenants.query_map((), |row| row.try_into())?.collect::<rusqlite::Result<_>>()?
    };
    for (id, name) in &tenants {
        let tenant = name.parse::<TenantId>().ok();
        let of = tenant.as_ref().map(|tenant| (tenant, None));
        each(of, "its user ids", &|| super::sums::accept_people(connection, *id, sums))?;
    }
    each(None, "tenants and lists", &|| super::sums::accept_catalogue(connection, sums))?;
    Ok(left)
}

struct Verifier<'a> {
    connection: &'a Connection,
    master: &'a MasterSeal,
    sums: Sums,
    done: Verified,
}

/// A row of `lists`.
struct List {
    id: i64,
    sequence: i64,
    active: i64,
    saved: Option<i64>,
}

impl<'a> Verifier<'a> {
    fn new(connection: &'a Connection, master: &'a MasterSeal) -> Self {
        Verifier { connection, master, sums: Sums::of(master), done: Verified::default() }
    }

    /// Checks everything in the file. What belongs to a list comes first, as it says more.
    fn contents(&mut self) -> Result<(), LedgerError> {
        if schema::version(self.connection)? < schema::WITH_SUMS {
            let what =
                "the ledger is of an older version, which stored no sums: start the gateway to add them";
            self.done.findings.push(Finding::new(what));
        } else {
            self.catalogue();
            self.tenants();
        }
        self.structures();
        Ok(())
    }

    /// Makes a check, which may find something wrong. If it can't be made, that is a finding, too.
    fn note(
        &mut self,
        of: Option<(&TenantId, Option<&Scope>)>,
        what: &str,
        check: impl FnOnce(&mut Self) -> Result<Option<String>, LedgerError>,
    ) {
        let found = match check(self) {
            Ok(None) => return,
            Ok(Some(found)) => found,
            Err(error) => {
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}"));
                format!("{what} can't be read: {error}{}", cause.unwrap_or_default())
            }
        };
        self.done.findings.push(match of {
            None => Finding::new(found),
            Some((tenant, None)) => Finding::of_tenant(tenant, found),
            Some((tenant, Some(scope))) => Finding::of_list(tenant, scope, found),
        });
    }

    /// SQLite's own check: that every page is in its place, and that indexes have what the tables have.
    fn structures(&mut self) {
        let flaws = flaws(self.connection);
        let lines = flaws.iter().take(LISTED).map(|flaw| Finding::new(format!("SQLite says: {flaw}")));
        self.done.findings.extend(lines);
        if let Some(more) = flaws.len().checked_sub(LISTED).filter(|&more| more > 0) {
            let least = if flaws.len() < MOST { "" } else { "at least " };
            let lines = if more == 1 { "line" } else { "lines" };
            self.done
                .findings
                .push(Finding::new(format!("SQLite says {least}{more} {lines} more of that kind")));
        }
    }

    fn catalogue(&mut self) {
        self.note(None, "the list of tenants and lists", |this| {
            check_catalogue(this.connection, this.sums).map(|()| None)
        });
    }

    fn tenants(&mut self) {
        let mut tenants = Vec::new();
        self.note(None, "the list of tenants", |this| {
            let sql = "SELECT tenants.id, name, wrapped, sealed FROM tenants
                LEFT JOIN secrets ON secrets.tenant = tenants.id
                LEFT JOIN settings ON settings.tenant = tenants.id ORDER BY name";
            let mut found = this.connection.prepare(sql)?;
            let mut rows = found.query(())?;
            while let Some(row) = rows.next()? {
                let columns: (i64, String, Option<Vec<u8>>, Option<Vec<u8>>) = row.try_into()?;
                tenants.push(columns);
            }
            Ok(None)
        });
        // What is left of forgotten tenants is deleted, and nothing relies on it.
        tenants.retain(|(id, name, ..)| !forgotten::is_left(name, *id));
        for (id, name, wrapped, settings) in tenants {
            self.done.tenants += 1;
            let Ok(tenant) = name.parse::<TenantId>() else {
                self.done.findings.push(Finding::new("the name of a tenant is not valid"));
                continue;
            };
            self.tenant(id, &tenant, wrapped, settings);
        }
    }

    fn tenant(&mut self, id: i64, tenant: &TenantId, wrapped: Option<Vec<u8>>, settings: Option<Vec<u8>>) {
        let of = Some((tenant, None));
        let keys = wrapped.ok_or(LedgerError::damaged("secret of a tenant"));
        let keys = keys.and_then(|wrapped| sealed::open_secret(self.master, tenant, &wrapped));
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => return self.note(of, "its secret", |_| Err(error)),
        };
        if let Some(sealed) = settings {
            self.note(of, "its settings", |_| sealed::open_settings(&keys, &sealed).map(|_| None));
        }
        self.note(of, "its user ids", |this| {
            let is_whole = are_people_whole(this.connection, id, this.sums)?;
            Ok((!is_whole).then(|| "its user ids are not as they were written".to_owned()))
        });
        self.note(of, "its user ids", |this| this.identities(id, &keys));
        let mut lists = Vec::new();
        self.note(of, "its lists", |this| {
            let sql = "SELECT id, scope, sequence, active, saved, state FROM lists WHERE tenant = ?1 ORDER BY scope";
            let mut found = this.connection.prepare(sql)?;
            let mut rows = found.query([id])?;
            while let Some(row) = rows.next()? {
                let columns: (i64, String, i64, i64, Option<i64>, Option<[u8; 16]>) = row.try_into()?;
                lists.push(columns);
            }
            Ok(None)
        });
        for (list, scope, sequence, active, saved, state) in lists {
            let Ok(scope) = Scope::from_stored(&scope) else {
                self.note(of, "", |_| Ok(Some("the name of a list is not valid".to_owned())));
                continue;
            };
            self.list(tenant, &scope, &keys, &List { id: list, sequence, active, saved });
            let (tenant, keys) = (tenant.clone(), keys.clone());
            self.done.lists.push(ListState {
                tenant,
                scope,
                keys,
                state,
                sequence: sequence.try_into().unwrap_or_default(),
            });
        }
    }

    fn list(&mut self, tenant: &TenantId, scope: &Scope, keys: &TenantKeys, list: &List) {
        let of = Some((tenant, Some(scope)));
        self.note(of, "its entries", |this| {
            let (mut count, mut active, mut latest) = (0, 0, 0);
            let (altered, _) = this.sums.altered_parts(this.connection, list.id, 0, |columns| {
                count += 1;
                active += i64::from(columns[2] != Some(0));
                latest = latest.max(columns[4].unwrap_or_default());
                Ok(false)
            })?;
            this.done.entries += count;
            if !altered.is_empty() {
                let parts: Vec<String> = altered.iter().take(8).map(i64::to_string).collect();
                let more = if altered.len() > parts.len() { ", …" } else { "" };
                return Ok(Some(format!(
                    "entries in {} of {} parts are not as they were written (part {}{more})",
                    altered.len(),
                    super::sums::PARTS,
                    parts.join(", "),
                )));
            }
            Ok((active != list.active || latest > list.sequence).then(|| {
                format!(
                    "its counters are not as they were written: {active} entries are in force, not {}",
                    list.active
                )
            }))
        });
        if let Some(saved) = list.saved {
            self.note(of, "its changes", |this| {
                let stored: i64 = this.connection.query_row(
                    "SELECT changed FROM lists WHERE id = ?1",
                    [list.id],
                    |row| row.get(0),
                )?;
                let is_whole =
                    this.sums.of_changes(this.connection, list.id, saved)? == stored.cast_unsigned();
                Ok((!is_whole).then(|| "its changes are not as they were written".to_owned()))
            });
        }
        self.note(of, "the texts of its entries", |this| this.texts(list.id, keys));
    }

    /// Decrypts all texts of a list.
    fn texts(&self, list: i64, keys: &TenantKeys) -> Result<Option<String>, LedgerError> {
        let mut broken = 0_u64;
        for (table, columns) in [
            ("entries", "subject, 0, 0"),
            ("holds", "subject, kind, 0"),
            ("records", "subject, sequence, step"),
        ] {
            let sql = format!("SELECT sealed, {columns} FROM {table} WHERE list = ?1 AND sealed IS NOT NULL");
            let mut found = self.connection.prepare(&sql)?;
            let mut rows = found.query([list])?;
            while let Some(row) = rows.next()? {
                let row_of = match table {
                    "entries" => text::Row::Entry,
                    "holds" => text::Row::Hold(kind(row.get(2)?)?),
                    _ => text::Row::Record { sequence: Seq::new(unsigned(row.get(2)?)?), step: row.get(3)? },
                };
                let context = RowContext { list, subject: subject(row.get(1)?)?, row: row_of };
                let sealed = row.get_ref(0)?.as_blob().ok();
                broken += u64::from(text::open(keys.text_seal(), context, sealed).is_err());
            }
        }
        Ok((broken > 0).then(|| format!("the texts of {broken} entries or records can't be decrypted")))
    }

    /// Decrypts all user ids of a tenant.
    fn identities(&self, tenant: i64, keys: &TenantKeys) -> Result<Option<String>, LedgerError> {
        let mut found = self.connection.prepare("SELECT id, sealed FROM identities WHERE tenant = ?1")?;
        let mut rows = found.query([tenant])?;
        let mut broken = 0_u64;
        while let Some(row) = rows.next()? {
            let sealed: Vec<u8> = row.get(1)?;
            broken += u64::from(sealed::open_user(keys, row.get(0)?, &sealed).is_err());
        }
        Ok((broken > 0).then(|| format!("{broken} user ids can't be decrypted")))
    }
}
