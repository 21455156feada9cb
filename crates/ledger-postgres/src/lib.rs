#![doc = include_str!("../README.md")]
//!
//! All calls block the calling thread, which must not be one of an asynchronous runtime. Calls end within 5 seconds (10 for long
//! lists), and those that wait for another node's lock or for a connection within twice that.
#![forbid(unsafe_code)]

mod actors;
mod clock;
mod columns;
mod commit;
mod confirmations;
mod connected;
mod contended;
mod copy;
mod counts;
mod deliveries;
mod disk;
mod entries;
mod expiry;
mod failure;
mod feed;
mod forgotten;
mod groups;
mod head;
mod ids;
mod joiner;
mod leases;
mod link;
mod lists;
mod locked;
mod nodes;
mod persons;
mod pool;
mod records;
mod rotation;
mod rows;
mod schema;
mod session;
mod shared;
mod streaks;
mod tenants;
mod tls;
mod trim;
mod upgrade;
mod uploads;
mod url;
mod visits;
mod write;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_keys::{MasterKey, MasterSeal};
use portcullis_ledger::store::{Counts, Stats, Store, Uploads};
use portcullis_ledger::{Accepted, Ledger, LedgerError, Opening};

pub use copy::{copy_from, copy_into, take_back};
pub use upgrade::{Finished, finish};
pub use url::{PostgresUrl, PostgresUrlError};

use actors::Actors;
use commit::Writers;
use contended::Contended;
use disk::Disk;
use failure::Failure;
use groups::Groups;
use nodes::Said;
use pool::{DEADLINE, LONG, Lent, Pool};
use schema::{Formats, Found};
use session::Session;
use streaks::Streaks;
use tls::Tls;
use upgrade::FORMAT;

/// How long adding what older tables lack may take: an index of a day's changes is built.
const EXPANDING: Duration = Duration::from_secs(600);

/// Opens the ledger in a database, or creates its tables if there are none. `node` names this gateway among those that share it.
///
/// # Errors
/// [`LedgerError::Unavailable`] if no server can be reached that accepts writes; [`LedgerError::Lost`] if the database has no
/// ledger, but `opening` says that there was one; [`LedgerError::NotNew`], [`LedgerError::NewerSchema`],
/// [`LedgerError::WrongMasterKey`]; or another error of the database.
pub fn open(
    url: &PostgresUrl,
    node: &str,
    master: &MasterKey,
    opening: &Opening,
) -> Result<Ledger, LedgerError> {
    let unavailable = |error: Box<dyn std::error::Error + Send + Sync>| LedgerError::Unavailable(error);
    let tls = Tls::new().map_err(|error| unavailable(error.into()))?;
    let pool = Pool::new(url.clone(), tls).map_err(|error| unavailable(error.into()))?;
    let seal = master.seal();
    let (found, is_left) = {
        let mut session = pool.writer(LONG).map_err(Failure::into_ledger_error)?;
        let shown = url.to_string();
        session
            .run(async |session| {
                let found = schema::prepare(session, &seal, opening, &shown).await?;
                Ok((found, forgotten::is_left(session).await?))
            })
            .map_err(Failure::into_ledger_error)?
    };
    if matches!(found, Found::Ledger(formats) if formats.expanded < FORMAT) {
        let mut session = pool.writer(EXPANDING).map_err(Failure::into_ledger_error)?;
        session.run(upgrade::expand).map_err(Failure::into_ledger_error)?;
    }
    let accepted = match found {
        Found::Ledger(Formats { oldest, expanded }) if oldest < expanded.max(FORMAT) => {
            Accepted::Upgrading { format: expanded.max(FORMAT).into(), oldest: oldest.into() }
        }
        Found::Ledger(_) => Accepted::Nothing,
        Found::Nothing => Accepted::New { despite: opening.evidence_of_one() },
    };
    let store = Arc::new(Postgres {
        pool,
        node: node.to_owned(),
        id: write::random()?,
        master: seal,
        actors: Actors::default(),
        writers: commit::writers(),
        contended: Contended::default(),
        groups: Groups::default(),
        streaks: Streaks::default(),
        counters: Counters::default(),
        disk: Disk::default(),
        said: Mutex::default(),
        settings_key: MasterKey::from_bytes(*master.nodes()),
    });
    if is_left {
        forgotten::go_on(Arc::clone(&store))?;
    }
    Ok(Ledger::of_store(store, accepted))
}

/// The ledger in PostgreSQL.
struct Postgres {
    pool: Pool,
    /// This gateway's name among those that share the ledger.
    node: String,
    /// A random number, by which this open ledger is told from another one whose node has the same name by mistake.
    id: i64,
    /// Encrypts tenants' secrets.
    master: MasterSeal,
    actors: Actors,
    /// Those who write to lists.
    writers: Writers,
    contended: Contended,
    groups: Groups,
    streaks: Streaks,
    counters: Counters,
    /// Whether writes fail for the database's disk.
    disk: Disk,
    /// What this node says of itself; `None` before it is described.
    said: Mutex<Option<Arc<Said>>>,
    /// The key of the digests of settings, which nodes compare.
    settings_key: MasterKey,
}

/// Counts since the ledger was opened.
#[derive(Default)]
struct Counters {
    jobs: AtomicU64,
    commits: AtomicU64,
}

impl Counters {
    fn job(&self) {
        self.jobs.fetch_add(1, Ordering::Relaxed);
    }

    fn commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }
}

impl Postgres {
    /// Runs a read. It may be run twice.
    fn read<T>(&self, read: impl AsyncFn(&Session) -> Result<T, Failure>) -> Result<T, LedgerError> {
        self.read_within(DEADLINE, read)
    }

    /// Runs a read of a long list or history. It may be run twice.
    fn read_long<T>(&self, read: impl AsyncFn(&Session) -> Result<T, Failure>) -> Result<T, LedgerError> {
        run_read(self.pool.reader(LONG), read).map_err(Failure::into_error_of_long_read)
    }

    fn read_within<T>(
        &self,
        within: Duration,
        read: impl AsyncFn(&Session) -> Result<T, Failure>,
    ) -> Result<T, LedgerError> {
        read_on(self.pool.reader(within), read)
    }

    /// Runs a write that may be repeated.
    fn write_once<T>(
        &self,
        write: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, LedgerError> {
        self.write_within(DEADLINE, write)
    }

    /// Runs a write of many rows that may be repeated.
    fn write_long<T>(
        &self,
        write: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, LedgerError> {
        self.write_within(Duration::from_secs(300), write)
    }

    fn write_within<T>(
        &self,
        within: Duration,
        write: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, LedgerError> {
        let mut session = self.pool.writer(within).map_err(Failure::into_ledger_error)?;
        self.counters.job();
        let written = session.run(async |session| {
            let written = write(session).await?;
            session.check_replicated()?;
            Ok(written)
        });
        match written {
            Ok(written) => {
                self.counters.commit();
                Ok(written)
            }
            Err(failure) => {
                // A transaction may be open.
                session.discard();
                Err(match failure.fate() {
                    failure::Fate::NotStored => self.disk.noting(failure.into_ledger_error()),
                    failure::Fate::Unknown => LedgerError::OutcomeUnknown,
                })
            }
        }
    }
}

/// Runs a read on a connection, or what may be repeated like one.
fn read_on<T>(
    session: Result<Lent<'_>, Failure>,
    read: impl AsyncFn(&Session) -> Result<T, Failure>,
) -> Result<T, LedgerError> {
    run_read(session, read).map_err(Failure::into_ledger_error)
}

/// Runs a read on a connection. If it collides with others, as in a deadlock with somebody who alters a table, it is run once more.
fn run_read<T>(
    session: Result<Lent<'_>, Failure>,
    read: impl AsyncFn(&Session) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut session = session?;
    let mut result = session.run(async |session| read(session).await);
    if result.as_ref().is_err_and(Failure::is_transient) {
        result = session.run(async |session| {
            // A transaction may be open.
            session.batch("ROLLBACK").await?;
            read(session).await
        });
    }
    result.inspect_err(|_| session.discard())
}

impl Store for Postgres {
    fn stats(&self) -> Stats {
        Stats {
            jobs: self.counters.jobs.load(Ordering::Relaxed),
            commits: self.counters.commits.load(Ordering::Relaxed),
            ..Stats::default()
        }
    }

    fn trouble(&self) -> Option<LedgerError> {
        self.disk.trouble()
    }

    fn rescue(&self) -> Vec<(PathBuf, PathBuf)> {
        Vec::new()
    }

    fn uploads(self: Arc<Self>) -> Option<Arc<dyn Uploads>> {
        Some(self)
    }

    fn counts_of_all(self: Arc<Self>) -> Option<Arc<dyn Counts>> {
        Some(self)
    }
}
