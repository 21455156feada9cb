//! Checks a whole ledger that is not open.

use std::path::Path;

use portcullis_keys::{MasterKey, Scope, Seal, TenantId, TenantKeys};
use rusqlite::Connection;

use super::entries::{kind, subject};
use super::examine::{Files, check_catalogue};
use super::lists::unsigned;
use super::schema::{self, Contents};
use super::sums::{Sums, are_people_whole, store_all};
use super::tenants::unwrap;
use super::{lock, schema::set_up};
use crate::changes::Seq;
use crate::error::LedgerError;
use crate::text::{self, RowContext};
use crate::verified::{Finding, ListState, Verified};

/// The most flaws of SQLite's structures that are listed.
const MOST: usize = 100;

/// Locks the ledger at this path, and passes it to `work`, if it is one of this master key.
fn locked<T>(
    path: &Path,
    master: &MasterKey,
    work: impl FnOnce(&Files<'_>) -> Result<T, LedgerError>,
) -> Result<T, LedgerError> {
    let failed = |source| LedgerError::Open { path: path.into(), source };
    let path = &path.canonicalize().map_err(failed)?;
    let _name = lock::of_name(path)?;
    // Dropped after the connections.
    let _file = lock::of_file(path)?;
    let files = Files::of(path);
    files.check_log(Sums::new(master.sums()))?;
    match schema::check(&files.connect()?, path, &master.seal())? {
        Contents::Ledger => work(&files),
        Contents::Empty => Err(LedgerError::Lost { path: path.into(), evidence: path.display().to_string() }),
    }
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
            let Ok(keys) = unwrap(&seal, &tenant, &wrapped) else { continue };
            lists.push(ListState { tenant, scope, keys, state, sequence: unsigned(sequence)? });
        }
        Ok(lists)
    })
}

/// Checks everything, and changes nothing.
pub(crate) fn verify(path: &Path, master: &MasterKey) -> Result<Verified, LedgerError> {
    let seal = master.seal();
    locked(path, master, |files| {
        let connection = files.connect()?;
        let mut verifier = Verifier {
            connection: &connection,
            master: &seal,
            sums: Sums::new(master.sums()),
            done: Verified::default(),
        };
        verifier
            .note(None, "the ledger", |_| files.doubt().map(|doubt| doubt.map(|doubt| doubt.to_string())));
        verifier.structures();
        if schema::version(&connection)? < schema::WITH_SUMS {
            let what =
                "the ledger is of an older version, which stored no sums: start the gateway to add them";
            verifier.done.findings.push(Finding::new(what));
        } else {
            verifier.catalogue();
            verifier.tenants();
        }
        Ok(verifier.done)
    })
}

/// Stores sums and counters as the rows have them.
pub(crate) fn accept(path: &Path, master: &MasterKey) -> Result<(), LedgerError> {
    locked(path, master, |files| {
        let connection = super::connect(files.path, rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let found: String = connection.query_row("PRAGMA integrity_check(1)", (), |row| row.get(0))?;
        if found != "ok" {
            return Err(LedgerError::Damaged { what: "file", source: Some(found.into()) });
        }
        set_up(&connection)?;
        let transaction = connection.unchecked_transaction()?;
        transaction.execute(
            "UPDATE lists SET
                active = (SELECT count(*) FROM entries WHERE list = lists.id AND directions <> 0),
                sequence = max(sequence, (SELECT coalesce(max(sequence), 0) FROM entries WHERE list = lists.id))",
            (),
        )?;
        store_all(&transaction, Sums::new(master.sums()))?;
        Ok(transaction.commit()?)
    })
}

struct Verifier<'a> {
    connection: &'a Connection,
    master: &'a Seal,
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

impl Verifier<'_> {
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
        let found =
            self.connection.prepare(&format!("PRAGMA integrity_check({MOST})")).and_then(|mut check| {
                let lines = check.query_map((), |row| row.get::<_, String>(0))?;
                lines.collect::<rusqlite::Result<Vec<String>>>()
            });
        let found = found.unwrap_or_else(|error| vec![error.to_string()]);
        for line in found.into_iter().filter(|line| line != "ok") {
            self.done.findings.push(Finding::new(format!("SQLite says: {line}")));
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
        let keys = keys.and_then(|wrapped| unwrap(self.master, tenant, &wrapped));
        let keys = match keys {
            Ok(keys) => keys,
            Err(error) => return self.note(of, "its secret", |_| Err(error)),
        };
        if let Some(sealed) = settings {
            self.note(of, "its settings", |_| super::tenants::open_settings(&keys, &sealed).map(|_| None));
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
            broken += u64::from(super::identities::open(keys, row.get(0)?, &sealed).is_err());
        }
        Ok((broken > 0).then(|| format!("{broken} user ids can't be decrypted")))
    }
}
