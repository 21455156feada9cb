//! Moving a ledger from a database, and into one, while no gateway is connected.
//!
//! A table `arrival` says that a ledger is not finished, and a table `departure` that it was moved to another place. Tables without which
//! nothing can be written are then renamed: a gateway that was cut off when the ledger was moved may come back.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::error::Error;
use std::net::IpAddr;
use std::pin::pin;

use bytes::BytesMut;
use jiff::Timestamp;
use portcullis_keys::{MasterKey, MasterSeal, SealError};
use portcullis_ledger::store::copy::{PAGE, Rows, Source, Target};
use portcullis_ledger::{LedgerError, LedgerId};
use portcullis_ledger_model::table::{Row, TABLES, Table, Value};
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use crate::columns::{Columns, unsigned};
use crate::connected::Connected;
use crate::failure::Failure;
use crate::link::Link;
use crate::schema::{self, ARRIVAL, DEPARTURE, Formats, add_ledger, check_key, exists, ledger_id};
use crate::session::Session;
use crate::upgrade::{self, FORMAT};
use crate::url::PostgresUrl;

/// A ledger in a database that is to be moved to another store. Nobody can open it or write to it until this is dropped.
///
/// # Errors
/// [`LedgerError::Connected`] if a gateway is connected, or was a moment ago; [`LedgerError::Left`], [`LedgerError::Unfinished`],
/// [`LedgerError::NewerSchema`], [`LedgerError::OlderSchema`], [`LedgerError::WrongMasterKey`]; [`LedgerError::Lost`] if there is none; or
/// another error of the database.
pub fn copy_from(url: &PostgresUrl, master: &MasterKey) -> Result<Box<dyn Source>, LedgerError> {
    let (link, shown, seal) = (Link::to(url)?, url.to_string(), master.seal());
    link.run(async |session| {
        if !exists(session, "ledger").await? {
            let evidence = "the command".to_owned();
            return Err(LedgerError::Lost { path: shown.as_str().into(), evidence }.into());
        }
        check_format(schema::check(session, &seal, &shown).await?, &shown)?;
        if let Some(by) = Connected::all().after_a_while(session).await? {
            return Err(LedgerError::Connected { path: shown.as_str().into(), by }.into());
        }
        // One that starts now waits for the first of these.
        let others: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let locks = format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ;
             LOCK TABLE ledger, lists, tenants IN ACCESS EXCLUSIVE MODE; LOCK TABLE {} IN SHARE MODE",
            others.join(", ")
        );
        session.batch(&locks).await.map_err(|failure| locked(failure, &shown))?;
        match Connected::all().one(session).await? {
            Some(by) => Err(LedgerError::Connected { path: shown.as_str().into(), by }.into()),
            None => Ok(()),
        }
    })?;
    Ok(Box::new(DatabaseSource { link }))
}

/// A database that a ledger is to be moved to.
///
/// # Errors
/// [`LedgerError::NotEmpty`], [`LedgerError::Encoding`], or another error of the database.
pub fn copy_into(url: &PostgresUrl, master: &MasterKey) -> Result<Box<dyn Target>, LedgerError> {
    let (link, shown) = (Link::to(url)?, url.to_string());
    let unfinished = link.run(async |session| {
        if exists(session, ARRIVAL).await? {
            let found = arrival(session).await;
            return found.map(Some).map_err(|failure| locked(failure, &shown));
        }
        match exists(session, "ledger").await? || exists(session, DEPARTURE).await? {
            true => Err(LedgerError::NotEmpty { path: shown.as_str().into() }.into()),
            false => schema::check_encoding(session, &shown).await.map(|()| None),
        }
    })?;
    Ok(Box::new(DatabaseTarget { link, unfinished, id: None, master: master.seal() }))
}

/// Takes back that a ledger in a database was moved: it can be opened again, as it was then.
///
/// # Errors
/// [`LedgerError::NotLeft`], [`LedgerError::WrongMasterKey`], or another error of the database.
pub fn take_back(url: &PostgresUrl, master: &MasterKey) -> Result<(), LedgerError> {
    const TAKE_BACK: &str = "
        BEGIN;
        ALTER TABLE departed_lists RENAME TO lists;
        ALTER TABLE departed_tenants RENAME TO tenants;
        DROP TABLE departure;
        COMMIT";
    let (shown, seal) = (url.to_string(), master.seal());
    Link::to(url)?.run(async |session| {
        if !exists(session, "ledger").await? || !exists(session, DEPARTURE).await? {
            return Err(LedgerError::NotLeft { path: shown.into() }.into());
        }
        check_key(session, &seal, &shown).await?;
        session.batch(TAKE_BACK).await?;
        session.check_replicated()
    })
}

/// All that the tables have must be known to this program, and all that it knows must be there.
fn check_format(formats: Formats, shown: &str) -> Result<(), LedgerError> {
    match formats.expanded.cmp(&FORMAT) {
        Ordering::Less => Err(LedgerError::OlderSchema { path: shown.into() }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => {
            let (found, known) = (formats.expanded.into(), FORMAT.into());
            Err(LedgerError::NewerSchema { path: shown.into(), found, known })
        }
    }
}

/// Says who has the locks that could not be taken, as far as that is known.
fn locked(failure: Failure, shown: &str) -> Failure {
    match &failure {
        Failure::Database(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => {
            let by = "a program that reads or writes its tables".to_owned();
            LedgerError::Connected { path: shown.into(), by }.into()
        }
        _ => failure,
    }
}

/// The id of the ledger that is being moved here.
async fn arrival(session: &Session) -> Result<LedgerId, Failure> {
    let row = session.query_opt("SELECT ledger FROM arrival FOR UPDATE", &[]).await?;
    let row = row.ok_or(LedgerError::damaged("arrival"))?;
    Ok(ledger_id(Columns::of(&row).get()?)?)
}

impl Link {
    /// Begins to read a table, in the transaction that is open.
    fn begin_reading(&self, table: &Table) -> Result<(), LedgerError> {
        let (columns, name, key) = (table.columns.join(", "), table.name, table.key_columns().join(", "));
        self.run(async |session| {
            let cursor = format!(
                "CLOSE ALL; DECLARE page NO SCROLL CURSOR FOR
                    SELECT {columns} FROM {name} WHERE {} ORDER BY {key}",
                condition(table)
            );
            session.batch(&cursor).await
        })
    }

    fn page(&self) -> Result<Vec<Row>, LedgerError> {
        self.run(async |session| {
            let rows = session.client().query(&format!("FETCH {PAGE} FROM page"), &[]).await?;
            rows.iter().map(|row| (0..row.len()).map(|column| value(row, column)).collect()).collect()
        })
    }
}

/// SQL for whether a row is copied. Who claims a delivery is the business of running gateways.
fn condition(table: &Table) -> &'static str {
    match table.name {
        "deliveries" => "claim IS NULL",
        _ => table.condition(),
    }
}

fn value(row: &tokio_postgres::Row, column: usize) -> Result<Value, Failure> {
    let mut columns = Columns::after(row, column);
    let value = match *row.columns()[column].type_() {
        Type::INT2 => columns.get::<Option<i16>>()?.map(|number| Value::Integer(number.into())),
        Type::INT4 => columns.get::<Option<i32>>()?.map(|number| Value::Integer(number.into())),
        Type::INT8 => columns.get::<Option<i64>>()?.map(Value::Integer),
        Type::TIMESTAMPTZ => columns.maybe_time()?.map(|time| Value::Integer(time.as_millisecond())),
        Type::INET => columns.get::<Option<IpAddr>>()?.map(|address| Value::Text(address.to_string())),
        Type::BYTEA => columns.get::<Option<Vec<u8>>>()?.map(Value::Bytes),
        _ => columns.get::<Option<String>>()?.map(Value::Text),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// A value as a column of some type has it. The opposite of [`value`].
#[derive(Debug)]
struct Cell<'a>(&'a Value);

impl ToSql for Cell<'_> {
    fn to_sql(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match (self.0, of) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Integer(number), &Type::INT2) => i16::try_from(*number)?.to_sql(of, out),
            (Value::Integer(number), &Type::INT4) => i32::try_from(*number)?.to_sql(of, out),
            (Value::Integer(number), &Type::INT8) => number.to_sql(of, out),
            (Value::Integer(time), &Type::TIMESTAMPTZ) => Timestamp::from_millisecond(*time)?.to_sql(of, out),
            (Value::Text(address), &Type::INET) => address.parse::<IpAddr>()?.to_sql(of, out),
            (Value::Text(text), &Type::TEXT) => text.to_sql(of, out),
            (Value::Bytes(bytes), &Type::BYTEA) => bytes.to_sql(of, out),
            _ => Err("a value is not of its column's type".into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A ledger in a database that is moved. A transaction is open, which holds the locks.
struct DatabaseSource {
    link: Link,
}

impl Rows for DatabaseSource {
    fn first(&mut self, table: &'static Table) -> Result<Vec<Row>, LedgerError> {
        self.link.begin_reading(table)?;
        self.next()
    }

    fn next(&mut self) -> Result<Vec<Row>, LedgerError> {
        self.link.page()
    }
}

impl Source for DatabaseSource {
    fn counts(&mut self, table: &Table) -> Result<BTreeMap<i64, u64>, LedgerError> {
        self.link.run(async |session| {
            let rows = session.client().query(&table.count(condition(table)), &[]).await?;
            let counts = rows.iter().map(|row| {
                let mut columns = Columns::of(row);
                Ok((columns.get()?, unsigned(columns.get()?)?))
            });
            counts.collect()
        })
    }

    fn last_id(&mut self, table: &Table) -> Result<i64, LedgerError> {
        // Those of rows that are gone are random, too, or are remembered by nobody.
        let sql = format!("SELECT coalesce(max(id), 0)::bigint FROM {}", table.name);
        self.link.run(async |session| {
            let row = session.client().query_one(&sql, &[]).await?;
            Columns::of(&row).get()
        })
    }

    fn leave(self: Box<Self>, to: &str, ledger: LedgerId) -> Result<(), LedgerError> {
        const LEAVE: &str = "
            CLOSE ALL;
            ALTER TABLE lists RENAME TO departed_lists;
            ALTER TABLE tenants RENAME TO departed_tenants;
            CREATE TABLE departure (target text NOT NULL, ledger bytea NOT NULL);
            COMMENT ON TABLE departure IS 'This ledger was moved to another place, and is no longer in use.'";
        const SAY: &str = "INSERT INTO departure (target, ledger) VALUES ($1, $2)";
        self.link.run(async |session| {
            session.batch(LEAVE).await?;
            session.execute(SAY, &[&to, &ledger.as_slice()]).await?;
            session.batch("COMMIT").await?;
            session.check_replicated()
        })
    }
}

/// A database that a ledger is moved to. From [`begin`](Target::begin) on, a transaction is open that keeps others from moving a ledger here,
/// except for a moment in [`complete`](Target::complete).
struct DatabaseTarget {
    link: Link,
    unfinished: Option<LedgerId>,
    /// The ledger's, once it is begun.
    id: Option<LedgerId>,
    master: MasterSeal,
}

impl DatabaseTarget {
    /// Checks that nobody else has begun to move a ledger here, and keeps others from it until the end of the transaction.
    async fn check_arrival(&self, session: &Session) -> Result<LedgerId, Failure> {
        let id = arrival(session).await?;
        if Some(id) == self.id { Ok(id) } else { Err(Failure::Conflict) }
    }
}

impl Rows for DatabaseTarget {
    fn first(&mut self, table: &'static Table) -> Result<Vec<Row>, LedgerError> {
        self.link.begin_reading(table)?;
        self.next()
    }

    fn next(&mut self) -> Result<Vec<Row>, LedgerError> {
        self.link.page()
    }
}

impl Target for DatabaseTarget {
    fn unfinished(&self) -> Option<LedgerId> {
        self.unfinished
    }

    fn begin(&mut self) -> Result<LedgerId, LedgerError> {
        const ARRIVE: &str = "
            CREATE TABLE arrival (ledger bytea NOT NULL);
            COMMENT ON TABLE arrival IS 'A ledger is being moved here, and is not finished.';
            INSERT INTO arrival (ledger) VALUES ('')";
        const SAY: &str = "UPDATE arrival SET ledger = $1";
        let mut id: LedgerId = [0; _];
        getrandom::fill(&mut id).map_err(|error| LedgerError::Seal(SealError::NoRandomness(error)))?;
        let is_new = self.unfinished.is_none();
        let tables: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
        let empty = format!("TRUNCATE {}", tables.join(", "));
        self.link.run(async |session| {
            session.batch("BEGIN").await?;
            if is_new {
                upgrade::create(session).await?;
                session.batch(ARRIVE).await?;
            }
            session.execute(SAY, &[&id.as_slice()]).await?;
            session.batch("COMMIT; BEGIN").await?;
            session.check_replicated()?;
            // Nobody else may have begun to move a ledger here meanwhile.
            if arrival(session).await? != id {
                return Err(Failure::Conflict);
            }
            session.batch(&empty).await
        })?;
        self.id = Some(id);
        Ok(id)
    }

    fn put(&mut self, table: &Table, rows: &[Row]) -> Result<(), LedgerError> {
        let (name, columns) = (table.name, table.columns.join(", "));
        self.link.run(async |session| {
            let client = session.client();
            let statement = client.prepare(&format!("SELECT {columns} FROM {name}")).await?;
            let types: Vec<Type> = statement.columns().iter().map(|column| column.type_().clone()).collect();
            let sink = client.copy_in(&format!("COPY {name} ({columns}) FROM STDIN (FORMAT binary)")).await?;
            let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
            for row in rows {
                let written = writer.as_mut().write_raw(row.iter().map(Cell)).await;
                // That a value does not fit is not the database's.
                written.map_err(|error| match error.as_db_error().is_none() && !error.is_closed() {
                    true => LedgerError::damaged("row").into(),
                    false => Failure::from(error),
                })?;
            }
            writer.finish().await?;
            Ok(())
        })
    }

    fn complete(&mut self, _last_ids: &[(&Table, i64)]) -> Result<(), LedgerError> {
        // 64 random bits for each.
        const MARK: &str =
            "UPDATE lists SET mark = hashtextextended(gen_random_uuid()::text, 0) WHERE sequence > 0";
        self.link.run(async |session| {
            session.batch(MARK).await?;
            session.batch("CLOSE ALL; COMMIT").await?;
            session.check_replicated()?;
            // So that the gateways' first queries are planned for what is there.
            for table in &TABLES {
                session.batch(&format!("ANALYZE {}", table.name)).await?;
            }
            session.batch("BEGIN").await?;
            self.check_arrival(session).await.map(drop)
        })
    }

    fn finish(self: Box<Self>) -> Result<(), LedgerError> {
        self.link.run(async |session| {
            let id = self.check_arrival(session).await?;
            add_ledger(session, &self.master, Some(id)).await?;
            session.batch("DROP TABLE arrival; COMMIT").await?;
            session.check_replicated()
        })
    }
}
