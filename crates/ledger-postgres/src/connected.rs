//! Which gateways are connected to a database.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::columns::Columns;
use crate::failure::Failure;
use crate::session::Session;

/// How long connections and leases of gateways that were stopped may take to end.
const ENDING: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(100);
/// How long gateways may be without a connection that lost it and connect again.
const RECONNECTING: Duration = Duration::from_secs(3);

/// The name by which a connection tells the format of its gateway. Those of format 1 are called `portcullis`.
pub(crate) fn name_of(format: i32) -> String {
    format!("portcullis/{format}")
}

/// What is asked about gateways that are connected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connected {
    /// Those of an older format than this; `None`: all, and those that have a lease.
    before: Option<i32>,
}

impl Connected {
    /// All gateways, and those that were a moment ago.
    pub(crate) fn all() -> Self {
        Connected { before: None }
    }

    /// Gateways of older formats.
    pub(crate) fn before(format: i32) -> Self {
        Connected { before: Some(format) }
    }

    /// Names one of them, if there is any.
    pub(crate) async fn one(self, session: &Session) -> Result<Option<String>, Failure> {
        // A transaction sees the connections that there were when it first asked.
        const FRESH: &str = "SELECT pg_stat_clear_snapshot()::text";
        const SQL: &str = "
            (SELECT 'the gateway ' || node FROM leases WHERE $1::integer IS NULL AND until > clock_timestamp() LIMIT 1)
            UNION ALL
            (SELECT 'a gateway at ' || coalesce(host(client_addr), 'a local socket') FROM pg_stat_activity
             WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND application_name ~ '^portcullis(/[0-9]{1,5})?$'
                 AND ($1 IS NULL OR coalesce(substring(application_name FROM '[0-9]+'), '1')::integer < $1)
             LIMIT 1)";
        session.query(FRESH, &[]).await?;
        let row = session.query_opt(SQL, &[&self.before]).await?;
        row.as_ref().map(|row| Columns::of(row).get()).transpose()
    }

    /// Waits until there is none, and has been none for a while. Names one that is still there after some seconds.
    pub(crate) async fn after_a_while(self, session: &Session) -> Result<Option<String>, Failure> {
        // Leases outlast connections.
        let absence = if self.before.is_some() { RECONNECTING } else { Duration::ZERO };
        let until = Instant::now() + ENDING;
        let mut absent = None;
        loop {
            match self.one(session).await? {
                Some(by) if Instant::now() >= until => return Ok(Some(by)),
                Some(_) => absent = None,
                None if absent.get_or_insert_with(Instant::now).elapsed() >= absence => return Ok(None),
                None => {}
            }
            sleep(PAUSE).await;
        }
    }
}
