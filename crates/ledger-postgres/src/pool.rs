//! Connections, lent to the threads that call the store.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Condvar, Mutex};
use portcullis_ledger_model::ServerRun;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout_at;

use crate::clock::Clock;
use crate::failure::Failure;
use crate::session::Session;
use crate::tls::Tls;
use crate::url::PostgresUrl;

/// The most connections to read on. Each connection costs the server some MiB, of which it usually allows a hundred.
const READERS: usize = 6;
/// The most connections to change lists on. A commit waits for the server's disk, and a flush is shared by those that wait.
const COMMITTERS: usize = 16;
/// The most connections for all other writes.
const WRITERS: usize = 6;
/// For a page or a sample of a long list, the planner prefers to read the whole list, each time anew: it may know nothing of a table that
/// was filled just now.
const BY_INDEX: &str =
    "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off; SET enable_bitmapscan = off";
const NOT_DURABLE: &str = "SET synchronous_commit = off";
/// How long connections stay open that are not used. The server may have no others left for another gateway.
const IDLE: Duration = Duration::from_secs(60);
/// How long nobody asks for another connection after the server said that it has none left.
const REFUSED: Duration = Duration::from_secs(1);

/// How long a call may take, with waiting for a connection.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// How long reading a long list or history may take.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// Connections to one database. Its calls block the calling thread, which must not be one of an asynchronous runtime.
pub(crate) struct Pool {
    /// Drives the connections. Taken when the pool is dropped.
    runtime: Option<Runtime>,
    url: PostgresUrl,
    tls: Tls,
    readers: Lane,
    writers: Lane,
    committers: Lane,
    /// A single connection, as a position in the feed is only valid on the connection on which it was reached. Its commits need not be
    /// durable.
    feed: Lane,
    /// A single connection, by which others know that this node is alive, however busy it is with other calls. Its commits need not be
    /// durable.
    presence: Lane,
    clock: Clock,
    served: Mutex<Served>,
}

/// The run of a server that all connections lent out are of.
#[derive(Default)]
struct Served {
    started: Option<Timestamp>,
    /// How many runs there were, of this server or others.
    runs: u64,
}

struct Lane {
    /// The most connections.
    most: usize,
    /// What each connection sets first.
    settings: &'static str,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    /// The latest to be returned is the last.
    idle: Vec<Idle>,
    lent: usize,
    /// When the server refused to open another connection.
    refused: Option<Instant>,
}

struct Idle {
    session: Session,
    since: Instant,
}

impl State {
    /// Whether one more can be lent.
    fn has_room(&self, most: usize) -> bool {
        let is_refused = self.refused.is_some_and(|at| at.elapsed() < REFUSED);
        self.lent < most && (!is_refused || !self.idle.is_empty() || self.lent == 0)
    }

    /// Closes connections that were not used for long.
    fn close_idle(&mut self) {
        self.idle.retain(|idle| idle.since.elapsed() < IDLE);
    }
}

impl Pool {
    pub(crate) fn new(url: PostgresUrl, tls: Tls) -> Result<Self, std::io::Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("portcullis-postgres")
            .enable_all()
            .build()?;
        let lane =
            |most, settings| Lane { most, settings, state: Mutex::default(), returned: Condvar::default() };
        Ok(Pool {
            runtime: Some(runtime),
            url,
            tls,
            readers: lane(READERS, BY_INDEX),
            writers: lane(WRITERS, ""),
            // To plan such a statement takes as long as to run it, and its plan does not depend on the values.
            committers: lane(COMMITTERS, "SET plan_cache_mode = force_generic_plan"),
            feed: lane(1, NOT_DURABLE),
            presence: lane(1, NOT_DURABLE),
            clock: Clock::default(),
            served: Mutex::default(),
        })
    }

    /// A connection to read on.
    pub(crate) fn reader(&self, within: Duration) -> Result<Lent<'_>, Failure> {
        self.lend(&self.readers, within)
    }

    /// A connection to change a list on.
    pub(crate) fn committer(&self, within: Duration) -> Result<Lent<'_>, Failure> {
        self.lend(&self.committers, within)
    }

    /// A connection for other writes.
    pub(crate) fn writer(&self, within: Duration) -> Result<Lent<'_>, Failure> {
        self.lend(&self.writers, within)
    }

    /// The connection to follow the feed on.
    pub(crate) fn feed(&self, within: Duration) -> Result<Lent<'_>, Failure> {
        self.lend(&self.feed, within)
    }

    /// The connection for what nodes know of each other.
    pub(crate) fn presence(&self, within: Duration) -> Result<Lent<'_>, Failure> {
        self.lend(&self.presence, within)
    }

    /// Which run of which server all connections are of that are lent from now on.
    pub(crate) fn server(&self) -> ServerRun {
        self.served.lock().started.map(run_since).unwrap_or_default()
    }

    /// A number that changes before anything is read from another server, or from another run of the same one. No connection to the one
    /// before is lent from then on.
    pub(crate) fn lineage(&self) -> u64 {
        self.served.lock().runs
    }

    /// Notes which run of a server a new connection is of.
    fn note_run(&self, session: &Session) {
        let mut served = self.served.lock();
        if served.started != Some(session.server_started()) {
            *served = Served { started: Some(session.server_started()), runs: served.runs + 1 };
        }
    }

    /// Whether a connection is usable, and of the server that is used now.
    fn is_current(&self, session: &Session) -> bool {
        !session.is_closed() && self.served.lock().started == Some(session.server_started())
    }

    /// The database's clock.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Lends a connection. If the server has none left, waits for one that was lent.
    fn lend<'a>(&'a self, lane: &'a Lane, within: Duration) -> Result<Lent<'a>, Failure> {
        let deadline = Instant::now() + within;
        loop {
            let mut lent = self.take(lane, deadline)?;
            if lent.session.is_some() {
                return Ok(lent);
            }
            match self.connect(lane, deadline) {
                Ok(session) => {
                    lent.session = Some(session);
                    return Ok(lent);
                }
                Err(failure) if failure.is_of_many_connections() => {
                    let mut state = lane.state.lock();
                    if state.lent == 1 && state.idle.is_empty() {
                        return Err(failure);
                    }
                    state.refused = Some(Instant::now());
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Takes an idle connection, or room for a new one.
    fn take<'a>(&'a self, lane: &'a Lane, deadline: Instant) -> Result<Lent<'a>, Failure> {
        let mut state = lane.state.lock();
        while !state.has_room(lane.most) {
            // Room may also come with time.
            let look_again = Instant::now() + REFUSED;
            if lane.returned.wait_until(&mut state, deadline.min(look_again)).timed_out()
                && Instant::now() >= deadline
            {
                return Err(Failure::Deadline);
            }
        }
        state.lent += 1;
        let mut lent = Lent { pool: self, lane, session: None, deadline };
        while let Some(Idle { session, .. }) = state.idle.pop() {
            if self.is_current(&session) {
                lent.session = Some(session);
                break;
            }
        }
        state.close_idle();
        drop(state);
        Ok(lent)
    }

    fn connect(&self, lane: &Lane, deadline: Instant) -> Result<Session, Failure> {
        let session = self.run(deadline, async {
            let session = Session::connect(&self.url, self.tls.clone()).await?;
            if !lane.settings.is_empty() {
                session.batch(lane.settings).await?;
            }
            self.clock.read(&session).await?;
            Ok(session)
        })?;
        self.note_run(&session);
        Ok(session)
    }

    /// Closes connections that were not used for long. Call it now and then.
    pub(crate) fn close_idle(&self) {
        for lane in [&self.readers, &self.writers, &self.committers] {
            lane.state.lock().close_idle();
        }
    }

    /// Runs a future on the calling thread until the deadline.
    fn run<T>(
        &self,
        deadline: Instant,
        future: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let Some(runtime) = &self.runtime else { return Err(Failure::Deadline) };
        runtime
            .block_on(async { timeout_at(deadline.into(), future).await.unwrap_or(Err(Failure::Deadline)) })
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for lane in [&self.readers, &self.writers, &self.committers, &self.feed, &self.presence] {
            lane.state.lock().idle.clear();
        }
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped on a runtime's thread, which must not wait.
            runtime.shutdown_background();
        }
    }
}

/// The run of the server that started then.
pub(crate) fn run_since(started: Timestamp) -> ServerRun {
    ServerRun(started.as_microsecond().cast_unsigned())
}

/// A connection that returns to its pool, unless it broke.
pub(crate) struct Lent<'a> {
    pool: &'a Pool,
    lane: &'a Lane,
    session: Option<Session>,
    /// When the call has to end.
    deadline: Instant,
}

impl Lent<'_> {
    /// Runs a call of the database on the calling thread.
    ///
    /// What fails in a way that leaves the connection in doubt closes it, without cancelling: a cancelled commit may report success
    /// although no standby has it.
    pub(crate) fn run<T>(
        &mut self,
        call: impl AsyncFnOnce(&Session) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Some(session) = &self.session else { return Err(Failure::Deadline) };
        let result = self.pool.run(self.deadline, call(session));
        if let Err(failure) = &result
            && failure.breaks_connection()
        {
            self.session = None;
        }
        result
    }

    /// The time by the database's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.pool.clock.now()
    }

    /// Closes the connection when it is returned: a transaction may be open on it.
    pub(crate) fn discard(&mut self) {
        self.session = None;
    }
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut state = self.lane.state.lock();
        state.lent -= 1;
        if let Some(session) = self.session.take()
            && !session.is_closed()
        {
            state.idle.push(Idle { session, since: Instant::now() });
        }
        drop(state);
        self.lane.returned.notify_one();
    }
}
