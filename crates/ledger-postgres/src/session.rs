//! One connection to the database.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, Row, Statement};

use crate::columns::Columns;
use crate::failure::Failure;
use crate::tls::Tls;
use crate::url::PostgresUrl;

/// Parameters of a statement.
pub(crate) type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

/// What each connection sets first.
///
/// A transaction that its gateway left open, because the machine froze, must not hold the others' locks for long. A commit is
/// only acknowledged if it is durable, even if the server's default is not to wait for the disk, and not to tell that the wait for a standby
/// was cancelled. The random id is of the server's process
/// for this connection: another one, such as that of another server, does not have it. To compile a statement takes longer than to run it.
const SET_UP: &str = "
    SET idle_in_transaction_session_timeout = '2s';
    SET lock_timeout = '2s';
    SET client_min_messages = warning;
    SET default_transaction_isolation = 'read committed';
    SET statement_timeout = '10s';
    SET jit = off;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
    SELECT set_config('portcullis.session', gen_random_uuid()::text, false)";

/// A connection, with the statements that are prepared on it.
pub(crate) struct Session {
    client: Client,
    prepared: Mutex<HashMap<&'static str, Statement>>,
    is_replication_cancelled: Arc<AtomicBool>,
    /// When the server started, by which it is told from others.
    started: Timestamp,
}

impl Session {
    /// Connects to the first host that accepts writes. If there is none, says what is wrong with each.
    pub(crate) async fn connect(url: &PostgresUrl, tls: Tls) -> Result<Self, Failure> {
        let mut failures = Vec::new();
        for (host, config) in url.hosts() {
            match Self::connect_to(config, tls.clone()).await {
                Ok(session) => return Ok(session),
                // It would serve if it had room.
                Err(failure) if failure.is_of_many_connections() => return Err(failure),
                Err(failure) => failures.push((host, failure)),
            }
        }
        let told = failures.iter().map(|(host, failure)| format!("{host}: {}", failure.described()));
        let told = told.collect::<Vec<_>>().join("; ");
        match failures.pop() {
            // What one server says tells what kind of error it is.
            Some((_, failure)) if failures.is_empty() && failure.is_reported() => Err(failure),
            _ => Err(Failure::NoServer(told.into())),
        }
    }

    async fn connect_to(config: &Config, tls: Tls) -> Result<Self, Failure> {
        let (client, mut connection) = config.connect(tls).await?;
        let is_replication_cancelled = Arc::new(AtomicBool::new(false));
        let noticed = Arc::clone(&is_replication_cancelled);
        tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                // A commit whose wait for a standby was cancelled reports success, and this warning before it.
                if let AsyncMessage::Notice(notice) = message
                    && notice.code().code() == "01000"
                {
                    noticed.store(true, Ordering::SeqCst);
                }
            }
        });
        client.batch_execute(SET_UP).await?;
        let started = client.query_one("SELECT pg_postmaster_start_time()", &[]).await?;
        let started = Columns::of(&started).time()?;
        // What the server says when somebody connects, such as that its collations changed, is of no commit.
        is_replication_cancelled.store(false, Ordering::SeqCst);
        Ok(Session { client, prepared: Mutex::default(), is_replication_cancelled, started })
    }

    /// When the server started. To the microsecond, so that no two servers, and no two runs of one, have the same time.
    pub(crate) fn server_started(&self) -> Timestamp {
        self.started
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    async fn statement(&self, sql: &'static str) -> Result<Statement, Failure> {
        let known = self.prepared.lock().get(sql).cloned();
        match known {
            Some(statement) => Ok(statement),
            None => {
                let statement = self.client.prepare(sql).await?;
                self.prepared.lock().insert(sql, statement.clone());
                Ok(statement)
            }
        }
    }

    pub(crate) async fn query(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, Failure> {
        let statement = self.statement(sql).await?;
        Ok(self.client.query(&statement, parameters).await?)
    }

    pub(crate) async fn query_opt(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Option<Row>, Failure> {
        Ok(self.query(sql, parameters).await?.into_iter().next())
    }

    /// Returns the number of rows that it affected.
    pub(crate) async fn execute(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<u64, Failure> {
        let statement = self.statement(sql).await?;
        Ok(self.client.execute(&statement, parameters).await?)
    }

    /// Prepares statements that are then sent without waiting for each other.
    pub(crate) async fn prepare(&self, statements: &[&'static str]) -> Result<(), Failure> {
        for sql in statements {
            self.statement(sql).await?;
        }
        Ok(())
    }

    /// For what is not a statement with rows, such as a copy.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Runs statements without parameters.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), Failure> {
        Ok(self.client.batch_execute(sql).await?)
    }

    /// Waits until what was read is as durable as what is committed. A commit whose wait for a standby was cut short is seen by all,
    /// and lost with the primary. Costs a query, and a commit if there are synchronous standbys.
    pub(crate) async fn wait_until_replicated(&self) -> Result<(), Failure> {
        // A message is written to the log after what was read, and its commit waits for the standby to have both.
        const WAIT: &str = "
            SELECT pg_logical_emit_message(true, 'portcullis', ''::text)
            WHERE current_setting('synchronous_standby_names') <> ''";
        self.query_opt(WAIT, &[]).await?;
        self.check_replicated()
    }

    /// Call it after what commits: fails if the commit may be lost with the primary.
    pub(crate) fn check_replicated(&self) -> Result<(), Failure> {
        match self.is_replication_cancelled.swap(false, Ordering::SeqCst) {
            true => Err(Failure::NotReplicated),
            false => Ok(()),
        }
    }
}
