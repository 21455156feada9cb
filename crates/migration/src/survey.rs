//! What a ledger contains, before it is moved.

use std::collections::BTreeMap;
use std::fmt;

use portcullis_keys::{MasterKey, Scope, TenantId};
use portcullis_ledger::LedgerError;
use portcullis_ledger::store::copy::{Rows, Source};
use portcullis_ledger::store::sealed;
use portcullis_ledger_model::table::{Row, TABLES, Table, Value};

use crate::error::MigrationError;
use crate::tally::Sums;

/// What a ledger contains.
#[derive(Clone, Debug)]
pub struct Contents {
    /// The number of tenants.
    pub tenants: u64,
    /// Its lists, by tenant.
    pub lists: Vec<ListContents>,
    /// The number of rows of all tables.
    pub rows: u64,
}

/// What a list contains.
#[derive(Clone, Debug)]
pub struct ListContents {
    /// The tenant.
    pub tenant: TenantId,
    /// The list.
    pub scope: Scope,
    /// The entries, in force or not.
    pub entries: u64,
    /// The entries in force.
    pub active: u64,
    /// The records of its history.
    pub records: u64,
}

impl Contents {
    /// The number of entries of all lists, in force or not.
    pub fn entries(&self) -> u64 {
        self.lists.iter().map(|list| list.entries).sum()
    }

    /// The number of records of all lists.
    pub fn records(&self) -> u64 {
        self.lists.iter().map(|list| list.records).sum()
    }
}

/// On one line: `tenant acme, list support: 12 entries, of which 10 are in force, and 40 records`.
impl fmt::Display for ListContents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListContents { tenant, scope, entries, active, records } = self;
        let list = shown(tenant, scope);
        write!(
            f,
            "{list}: {entries} entries, of which {active} are in force, and {records} records of its history"
        )
    }
}

fn shown(tenant: &TenantId, scope: &Scope) -> String {
    match scope {
        Scope::Tenant => format!("tenant {tenant}, the tenant-wide list"),
        Scope::Sender(sender) => format!("tenant {tenant}, list {sender}"),
    }
}

/// A list by its row.
struct List {
    tenant: TenantId,
    scope: Scope,
    active: u64,
}

/// The small tables, and how many rows there are in each.
pub(crate) struct Survey {
    tenants: BTreeMap<i64, TenantId>,
    lists: BTreeMap<i64, List>,
    counts: BTreeMap<&'static str, BTreeMap<i64, u64>>,
}

impl Survey {
    /// Reads the tenants and lists, decrypts the tenants' secrets and settings, and counts all rows.
    pub(crate) fn of(source: &mut dyn Source, master: &MasterKey) -> Result<Self, LedgerError> {
        let seal = master.seal();
        let mut tenants = BTreeMap::new();
        for row in all(source, "tenants")? {
            let name = text(&row, 1)?.parse().map_err(|_| LedgerError::damaged("list of tenants"))?;
            tenants.insert(number(&row, 0)?, name);
        }
        let tenant = |row: &[Value], column| {
            tenants.get(&number(row, column)?).ok_or(LedgerError::damaged("list of tenants"))
        };
        let mut keys = BTreeMap::new();
        for row in all(source, "secrets")? {
            keys.insert(number(&row, 0)?, sealed::open_secret(&seal, tenant(&row, 0)?, bytes(&row, 1)?)?);
        }
        if keys.len() != tenants.len() {
            return Err(LedgerError::damaged("secret of a tenant"));
        }
        for row in all(source, "settings")? {
            let keys = keys.get(&number(&row, 0)?).ok_or(LedgerError::damaged("settings of a tenant"))?;
            sealed::open_settings(keys, bytes(&row, 1)?)?;
        }
        let mut lists = BTreeMap::new();
        for row in all(source, "lists")? {
            let scope =
                Scope::from_stored(text(&row, 2)?).map_err(|_| LedgerError::damaged("list of lists"))?;
            let active = number(&row, 4)?.try_into().map_err(|_| LedgerError::damaged("counter"))?;
            lists.insert(number(&row, 0)?, List { tenant: tenant(&row, 1)?.clone(), scope, active });
        }
        let counts = TABLES.iter().map(|table| Ok((table.name, source.counts(table)?)));
        let counts = counts.collect::<Result<_, LedgerError>>()?;
        Ok(Survey { tenants, lists, counts })
    }

    fn count(&self, table: &str, owner: i64) -> u64 {
        self.counts.get(table).and_then(|counts| counts.get(&owner)).copied().unwrap_or_default()
    }

    /// The number of rows of all tables.
    pub(crate) fn rows(&self) -> u64 {
        self.counts.values().flat_map(BTreeMap::values).sum()
    }

    pub(crate) fn contents(&self) -> Contents {
        let lists = self.lists.iter().map(|(id, list)| ListContents {
            tenant: list.tenant.clone(),
            scope: list.scope.clone(),
            entries: self.count("entries", *id),
            active: list.active,
            records: self.count("records", *id),
        });
        let mut lists: Vec<ListContents> = lists.collect();
        lists.sort_by(|one, other| {
            (&one.tenant, one.scope.as_stored()).cmp(&(&other.tenant, other.scope.as_stored()))
        });
        Contents { tenants: self.tenants.len() as u64, lists, rows: self.rows() }
    }

    /// Checks what was read against what the ledger says of itself.
    pub(crate) fn check(&self, sent: &Sums) -> Result<(), MigrationError> {
        for (table, counts) in &self.counts {
            for (owner, counted) in counts {
                let found = sent.of(table, *owner).rows;
                if found != *counted {
                    let whose = self.describe(table, *owner);
                    let what =
                        format!("{whose}: {found} rows were found in their order, and {counted} counted");
                    return Err(MigrationError::Miscounted { what });
                }
            }
        }
        for (id, list) in &self.lists {
            let (said, found) = (list.active, sent.of("entries", *id).active);
            if said != found {
                let list = shown(&list.tenant, &list.scope);
                let what =
                    format!("{list}: {found} entries are in force, and not {said} as its counter says");
                return Err(MigrationError::Miscounted { what });
            }
        }
        Ok(())
    }

    /// Names the rows of a table that belong to a list or tenant.
    pub(crate) fn describe(&self, table: &str, owner: i64) -> String {
        let of_list = self.lists.get(&owner).filter(|_| !["identities", "moves"].contains(&table));
        match (of_list, self.tenants.get(&owner)) {
            _ if owner == 0 => format!("the {table}"),
            (Some(list), _) => format!("{}: the {table}", shown(&list.tenant, &list.scope)),
            (None, Some(tenant)) => format!("tenant {tenant}: the {table}"),
            (None, None) => format!("the {table} of a list that is not there"),
        }
    }
}

/// All rows of a small table.
fn all<R: Rows + ?Sized>(source: &mut R, name: &str) -> Result<Vec<Row>, LedgerError> {
    let Some(table) = TABLES.iter().find(|table: &&Table| table.name == name) else { return Ok(Vec::new()) };
    let mut rows = source.first(table)?;
    loop {
        let page = source.next()?;
        if page.is_empty() {
            return Ok(rows);
        }
        rows.extend(page);
    }
}

fn number(row: &[Value], column: usize) -> Result<i64, LedgerError> {
    match row.get(column) {
        Some(Value::Integer(number)) => Ok(*number),
        _ => Err(LedgerError::damaged("row")),
    }
}

fn text(row: &[Value], column: usize) -> Result<&str, LedgerError> {
    match row.get(column) {
        Some(Value::Text(text)) => Ok(text),
        _ => Err(LedgerError::damaged("row")),
    }
}

fn bytes(row: &[Value], column: usize) -> Result<&[u8], LedgerError> {
    match row.get(column) {
        Some(Value::Bytes(bytes)) => Ok(bytes),
        _ => Err(LedgerError::damaged("row")),
    }
}
