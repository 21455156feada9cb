//! Connections, lent to the threads that call the store.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout_at;
use tokio_postgres::Config;

use crate::failure::Failure;
use crate::session::Session;
use crate::tls::Tls;

/// The most connections of one kind: to read, or to write. Each costs the server some MiB.
const MOST: usize = 16;

/// How long a call may take, with waiting for a connection.
pub(crate) const DEADLINE: Duration = Duration::from_secs(5);

/// How long reading a long list or history may take.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// Connections to one database. Its calls block the calling thread, which must not be one of an asynchronous runtime.
pub(crate) struct Pool {
    /// Drives the connections. Taken when the pool is dropped.
    runtime: Option<Runtime>,
    config: Config,
    tls: Tls,
    readers: Lane,
    writers: Lane,
}

#[derive(Default)]
struct Lane {
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Session>,
    lent: usize,
}

impl Pool {
    pub(crate) fn new(config: Config, tls: Tls) -> Result<Self, std::io::Error> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("portcullis-postgres")
            .enable_all()
            .build()?;
        Ok(Pool { runtime: Some(runtime), config, tls, readers: Lane::default(), writers: Lane::default() })
    }

    /// A connection to read on.
    pub(crate) fn reader(&self, within: Duration) -> Result<Lent<'_>, Failure> {
        self.lend(&self.readers, within)
    }

    /// A connection to write on.
    pub(crate) fn writer(&self, within: Duration) -> Result<Lent<'_>, Failure> {
        self.lend(&self.writers, within)
    }

    fn lend<'a>(&'a self, lane: &'a Lane, within: Duration) -> Result<Lent<'a>, Failure> {
        let deadline = Instant::now() + within;
        let mut state = lane.state.lock();
        while state.lent >= MOST {
            if lane.returned.wait_until(&mut state, deadline).timed_out() {
                return Err(Failure::Deadline);
            }
        }
        state.lent += 1;
        let mut lent = Lent { pool: self, lane, session: None, deadline };
        while let Some(session) = state.idle.pop() {
            if !session.is_closed() {
                lent.session = Some(session);
                break;
            }
        }
        drop(state);
        if lent.session.is_none() {
            lent.session = Some(self.run(deadline, Session::connect(&self.config, self.tls.clone()))?);
        }
        Ok(lent)
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
        for lane in [&self.readers, &self.writers] {
            lane.state.lock().idle.clear();
        }
        if let Some(runtime) = self.runtime.take() {
            // It may be dropped on a runtime's thread, which must not wait.
            runtime.shutdown_background();
        }
    }
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
            state.idle.push(session);
        }
        drop(state);
        self.lane.returned.notify_one();
    }
}
