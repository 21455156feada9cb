//! Moving a ledger from a file, and into one, while nobody has it open.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use portcullis_keys::{MasterKey, MasterSeal};
use portcullis_ledger_model::table::{Row, TABLES, Table, Value};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, OpenFlags, params_from_iter};

use super::entries::EVER;
use super::examine::{Description, Files, length};
use super::lists::unsigned;
use super::schema::{self, APPLICATION_ID, LEFT, UNFINISHED};
use super::sums::{Sums, store_all};
use super::verify::{Locked, verify_files};
use super::writer::log_state;
use super::{connect, create, lock};
use crate::error::LedgerError;
use crate::files::{beside, sync_folder_of};
use crate::store::copy::{PAGE, Rows, Source, Target};
use crate::witness::{LedgerId, Witness};

/// The number of pages in the log after which they are moved into the file, while rows are put.
const LOG_PAGES: i64 = 8192;

/// SQL that reads a column as [`Value`] has it.
fn read(table: &Table, column: &'static str) -> &'static str {
    match (table.name, column) {
        ("entries", "ever") => EVER,
        ("actors", "address") => "nullif(address, '')",
        ("actors", "interface") => "nullif(interface, '')",
        _ => column,
    }
}

/// A value as the table has it. The opposite of [`read`].
fn stored<'a>(table: &Table, column: &str, value: &'a Value, row: &[Value]) -> ValueRef<'a> {
    match (value, table.name, column) {
        (Value::Null, "actors", _) => ValueRef::Text(b""),
        (Value::Integer(ever), "entries", "ever")
            if *ever != 0 && table.integer(row, "directions") == Some(*ever) =>
        {
            ValueRef::Null
        }
        _ => as_it_is(value),
    }
}

fn as_it_is(value: &Value) -> ValueRef<'_> {
    match value {
        Value::Null => ValueRef::Null,
        Value::Integer(number) => ValueRef::Integer(*number),
        Value::Text(text) => ValueRef::Text(text.as_bytes()),
        Value::Bytes(bytes) => ValueRef::Blob(bytes),
    }
}

fn value(stored: ValueRef<'_>) -> Result<Value, LedgerError> {
    match stored {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Integer(number)),
        ValueRef::Text(text) => str::from_utf8(text)
            .map(|text| Value::Text(text.to_owned()))
            .map_err(|_| LedgerError::damaged("row")),
        ValueRef::Blob(bytes) => Ok(Value::Bytes(bytes.to_vec())),
        ValueRef::Real(_) => Err(LedgerError::damaged("row")),
    }
}

/// Where somebody is in a table: after this key, or at the beginning.
struct Place {
    table: &'static Table,
    after: Option<Row>,
}

impl Place {
    fn start(table: &'static Table) -> Self {
        Place { table, after: None }
    }

    /// Reads the next rows, and moves on.
    fn page(&mut self, connection: &Connection) -> Result<Vec<Row>, LedgerError> {
        let table = self.table;
        let columns: Vec<&str> = table.columns.iter().map(|column| read(table, column)).collect();
        let (columns, name, key) = (columns.join(", "), table.name, table.key_columns().join(", "));
        let condition = table.condition();
        let after = match self.after {
            Some(_) => format!("AND ({key}) > ({})", vec!["?"; table.key].join(", ")),
            None => String::new(),
        };
        let sql =
            format!("SELECT {columns} FROM {name} WHERE {condition} {after} ORDER BY {key} LIMIT {PAGE}");
        let mut statement = connection.prepare_cached(&sql)?;
        let after = self.after.iter().flatten().map(as_it_is);
        let mut found = statement.query(params_from_iter(after.map(ToSqlOutput::Borrowed)))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = (0..table.columns.len()).map(|column| value(row.get_ref(column)?));
            rows.push(values.collect::<Result<Row, LedgerError>>()?);
        }
        if let Some(last) = rows.last() {
            self.after = Some(table.key_of(last).ok_or(LedgerError::damaged("row"))?);
        }
        Ok(rows)
    }
}

/// A ledger in a file that is moved.
pub(crate) struct FileSource {
    connection: Connection,
    place: Place,
    locked: Locked,
}

impl FileSource {
    pub(crate) fn open(path: &Path, master: &MasterKey) -> Result<Self, LedgerError> {
        let locked = Locked::new(path)?;
        let files = locked.files(master)?;
        let connection = files.connect()?;
        if !schema::is_current(&connection)? {
            return Err(LedgerError::OlderSchema { path: locked.path.clone() });
        }
        if let Some(doubt) = files.doubt()? {
            return Err(doubt);
        }
        // The new sums would vouch for rows that the old ones know to be damaged.
        if let Some(first) = verify_files(&files, master)?.findings.first() {
            let found = format!("{first}; `portcullis verify` tells all");
            return Err(LedgerError::Damaged { what: "content", source: Some(found.into()) });
        }
        drop(files);
        Ok(FileSource { connection, place: Place::start(&TABLES[0]), locked })
    }
}

impl Rows for FileSource {
    fn first(&mut self, table: &'static Table) -> Result<Vec<Row>, LedgerError> {
        self.place = Place::start(table);
        self.next()
    }

    fn next(&mut self) -> Result<Vec<Row>, LedgerError> {
        self.place.page(&self.connection)
    }
}

impl Source for FileSource {
    fn counts(&mut self, table: &Table) -> Result<BTreeMap<i64, u64>, LedgerError> {
        let mut counts = self.connection.prepare(&table.count(table.condition()))?;
        let counts = counts.query_and_then((), |row| Ok((row.get(0)?, unsigned(row.get(1)?)?)))?;
        counts.collect()
    }

    fn last_id(&mut self, table: &Table) -> Result<i64, LedgerError> {
        let sql = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?1";
        Ok(self.connection.query_row(sql, [table.name], |row| row.get(0))?)
    }

    fn leave(self: Box<Self>, to: &str, ledger: LedgerId) -> Result<(), LedgerError> {
        let FileSource { connection, locked, .. } = *self;
        // The last connection removes the log.
        drop(connection);
        change_mark(&locked.path, |connection| {
            connection.execute_batch(
                "CREATE TABLE departure (target TEXT NOT NULL, ledger BLOB NOT NULL) STRICT",
            )?;
            connection.execute("INSERT INTO departure (target, ledger) VALUES (?1, ?2)", (to, ledger))?;
            // The log is moved into the file, and must not be missed.
            connection.execute("UPDATE ledger SET is_open = 0", ())?;
            Ok(LEFT)
        })
    }
}

/// Takes back that a ledger was left.
pub(crate) fn take_back(path: &Path, master: &MasterKey) -> Result<(), LedgerError> {
    let locked = Locked::new(path)?;
    match locked.files(master) {
        Err(LedgerError::Left { .. }) => {}
        found => return Err(found.err().unwrap_or(LedgerError::NotLeft { path: locked.path.clone() })),
    }
    change_mark(&locked.path, |connection| {
        if !schema::opens(connection, &master.seal())? {
            return Err(LedgerError::WrongMasterKey { path: locked.path.clone() });
        }
        connection.execute_batch("DROP TABLE departure")?;
        Ok(APPLICATION_ID)
    })
}

/// Changes the number in the header of a file that is locked, durably. `work` returns the new one.
fn change_mark(
    path: &Path,
    work: impl FnOnce(&Connection) -> Result<i64, LedgerError>,
) -> Result<(), LedgerError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    schema::set_up(&connection)?;
    let transaction = connection.unchecked_transaction()?;
    let application = work(&transaction)?;
    transaction.pragma_update(None, "application_id", application)?;
    transaction.commit()?;
    // It is durable, whether this succeeds or not.
    let _ = log_state(&connection, "TRUNCATE");
    Ok(())
}

/// A file that a ledger is moved to.
pub(crate) struct FileTarget {
    /// `None` until it is created.
    connection: Option<Connection>,
    place: Place,
    path: PathBuf,
    unfinished: Option<LedgerId>,
    /// SQL that creates the indexes, which is faster once there are all rows.
    indexes: Vec<String>,
    master: MasterSeal,
    sums: Sums,
    _name_lock: File,
    file_lock: Option<File>,
}

impl FileTarget {
    pub(crate) fn open(path: &Path, master: &MasterKey) -> Result<Self, LedgerError> {
        let failed = |source| LedgerError::Open { path: path.into(), source };
        let path = lock::resolve(path).map_err(failed)?;
        // A link that leads nowhere may lead to a disk that is not there now.
        if fs::symlink_metadata(&path).is_ok_and(|found| !found.is_file()) {
            return Err(failed(io::ErrorKind::AlreadyExists.into()));
        }
        let name_lock = lock::of_name(&path)?;
        let file_lock = path.exists().then(|| lock::of_file(&path)).transpose()?;
        let files = Files::of(&path);
        let is_there = length(&path).map_err(failed)? > 0;
        let mut unfinished = None;
        match schema::check_finished(&path) {
            Err(LedgerError::Unfinished { .. }) => {
                // If it can't be read, it is as if it were not there.
                let found = files.connect().map_err(LedgerError::from);
                unfinished = found.and_then(|connection| Description::read(&connection)).ok();
            }
            // A log may be all that is left of a ledger.
            _ if is_there || length(&files.log).map_err(failed)? > 0 => {
                return Err(LedgerError::NotEmpty { path });
            }
            _ => {}
        }
        drop(files);
        Ok(FileTarget {
            connection: None,
            place: Place::start(&TABLES[0]),
            path,
            unfinished: unfinished.map(|found| found.id),
            indexes: Vec::new(),
            master: master.seal(),
            sums: Sums::of(&master.seal()),
            _name_lock: name_lock,
            file_lock,
        })
    }

    fn failed(&self, source: io::Error) -> LedgerError {
        LedgerError::Open { path: self.path.clone(), source }
    }

    fn connection(&self) -> Result<&Connection, LedgerError> {
        self.connection.as_ref().ok_or(LedgerError::Closed)
    }
}

/// Moves the log into the file.
fn move_log(connection: &Connection) -> Result<(), LedgerError> {
    match log_state(connection, "TRUNCATE")?.is_in_file() {
        true => Ok(()),
        false => Err(LedgerError::LogInUse),
    }
}

impl Rows for FileTarget {
    fn first(&mut self, table: &'static Table) -> Result<Vec<Row>, LedgerError> {
        self.place = Place::start(table);
        self.next()
    }

    fn next(&mut self) -> Result<Vec<Row>, LedgerError> {
        self.place.page(self.connection.as_ref().ok_or(LedgerError::Closed)?)
    }
}

impl Target for FileTarget {
    fn unfinished(&self) -> Option<LedgerId> {
        self.unfinished
    }

    fn begin(&mut self) -> Result<LedgerId, LedgerError> {
        for suffix in ["", "-journal", "-wal", "-shm"] {
            match fs::remove_file(beside(&self.path, suffix)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => removed.map_err(|error| self.failed(error))?,
            }
        }
        create(&self.path).map_err(|error| self.failed(error))?;
        self.file_lock = Some(lock::of_file(&self.path)?);
        let connection = connect(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        schema::set_up(&connection)?;
        // What a crash leaves is thrown away. What is sorted for indexes need not fit in memory.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "temp_store", "FILE")?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        // The source has said since which key it is under.
        self.sums = Sums::of(&self.master);
        schema::create_schema(&connection, &self.master, self.sums, UNFINISHED)?;
        // Now the file itself says that it is unfinished.
        move_log(&connection)?;
        let indexes: Vec<(String, String)> = connection
            .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL")?
            .query_map((), |row| row.try_into())?
            .collect::<rusqlite::Result<_>>()?;
        for (name, sql) in indexes {
            connection.execute_batch(&format!("DROP INDEX {name}"))?;
            self.indexes.push(sql);
        }
        let id = Description::read(&connection)?.id;
        self.connection = Some(connection);
        Ok(id)
    }

    fn put(&mut self, table: &Table, rows: &[Row]) -> Result<(), LedgerError> {
        let transaction = self.connection()?.unchecked_transaction()?;
        let (name, columns) = (table.name, table.columns.join(", "));
        let parameters = vec!["?"; table.columns.len()].join(", ");
        let sql = format!("INSERT INTO {name} ({columns}) VALUES ({parameters})");
        let mut insert = transaction.prepare_cached(&sql)?;
        for row in rows {
            let values = row.iter().zip(table.columns);
            let values = values.map(|(value, column)| stored(table, column, value, row));
            insert.execute(params_from_iter(values.map(ToSqlOutput::Borrowed)))?;
        }
        drop(insert);
        Ok(transaction.commit()?)
    }

    fn complete(&mut self, last_ids: &[(&Table, i64)]) -> Result<(), LedgerError> {
        let connection = self.connection()?;
        let transaction = connection.unchecked_transaction()?;
        self.indexes.iter().try_for_each(|sql| transaction.execute_batch(sql))?;
        for (table, last) in last_ids.iter().filter(|(_, last)| *last > 0) {
            transaction.execute("DELETE FROM sqlite_sequence WHERE name = ?1", [table.name])?;
            transaction
                .execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", (table.name, last))?;
        }
        store_all(&transaction, self.sums)?;
        transaction.commit()?;
        move_log(connection)
    }

    fn finish(mut self: Box<Self>) -> Result<(), LedgerError> {
        let connection = self.connection.take().ok_or(LedgerError::Closed)?;
        let found = Description::read(&connection)?;
        let witness = Witness::path_of(&self.path);
        // In the place of that of an earlier ledger, which was moved away.
        Witness::create(&witness, found.statement(Some(found.commit)))
            .map_err(|source| LedgerError::Witness { path: witness, source })?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        move_log(&connection)?;
        connection.close().map_err(|(_, error)| error)?;
        let durable = File::open(&self.path).and_then(|file| file.sync_all());
        durable.and_then(|()| sync_folder_of(&self.path)).map_err(|error| self.failed(error))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What is not copied: what the store derives from the rest, or knows of its own files.
    const OWN: [&str; 17] = [
        "ledger.catalogue",
        "ledger.id",
        "ledger.identity",
        "ledger.is_open",
        "ledger.stamp",
        "lists.changed",
        "lists.saved",
        "lists.stamp",
        "lists.state",
        "master.id",
        "master.sealed",
        "sqlite_sequence.name",
        "sqlite_sequence.seq",
        "sums.list",
        "sums.part",
        "sums.sum",
        "tenants.people",
    ];

    #[test]
    fn all_columns_are_copied_or_the_stores_own() {
        let connection = Connection::open_in_memory().unwrap();
        let key = MasterKey::from_bytes([1; 32]);
        schema::create_schema(&connection, &key.seal(), Sums::of(&key.seal()), APPLICATION_ID).unwrap();
        let sql = "SELECT t.name || '.' || c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'";
        let mut found = connection.prepare(sql).unwrap();
        let found: BTreeSet<String> =
            found.query_map((), |row| row.get(0)).unwrap().collect::<rusqlite::Result<_>>().unwrap();
        let copied = TABLES
            .iter()
            .flat_map(|table| table.columns.iter().map(|column| format!("{}.{column}", table.name)));
        let known: BTreeSet<String> = copied.chain(OWN.map(str::to_owned)).collect();
        assert_eq!(found, known);
    }
}
