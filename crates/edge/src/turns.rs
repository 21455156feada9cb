//! Running work that blocks: on the disk, or for as long as a plugin may take.
//!
//! All such work shares Tokio's pool of blocking threads. One tenant's must not use it up, so the work of tenants is done in turn:
//! reads, writes and webhooks each have a part of the pool, and a tenant has a part of that.

use std::future::Future as _;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tracing::error;

/// Why work on a blocking thread was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfinished {
    /// It panicked, which is a bug. The panic message stays out of the log, because it may contain a number or a token.
    Panicked,
    /// Too much of the same kind is under way, for this tenant or for all. Nothing was done.
    Overloaded,
}

/// The kinds of work, each with threads of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Reading entries, history or status.
    Read,
    /// Changing entries.
    Write,
}

/// The threads that all tenants share.
pub struct Pools {
    reads: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    webhooks: Arc<Semaphore>,
}

/// The turns of one tenant.
pub struct Turns {
    pools: Arc<Pools>,
    reads: Queue,
    writes: Queue,
}

struct Queue {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Threads for each kind of work. Tokio has 512: what is left is the administrator's, and the gateway's own.
const READS: usize = 128;
const WRITES: usize = 256;
const WEBHOOKS: usize = 64;
/// The most threads of one tenant.
const READS_OF_TENANT: u32 = 16;
const WRITES_OF_TENANT: u32 = 64;
/// The turns that a write takes if its plugin is slow: it holds its thread for long, and more would only wait for each other.
const TURNS_OF_SLOW: u32 = 16;
/// The requests of one tenant that may wait for their turn.
const MOST_WAITING: usize = 1024;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

impl Default for Pools {
    fn default() -> Self {
        let of = |threads| Arc::new(Semaphore::new(threads));
        Pools { reads: of(READS), writes: of(WRITES), webhooks: of(WEBHOOKS) }
    }
}

impl Pools {
    /// Runs the work of a webhook, which may concern several tenants.
    ///
    /// # Errors
    /// As [`blocking`], and [`Unfinished::Overloaded`] after 10 seconds without a thread.
    pub async fn webhook<T, E>(&self, work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unfinished> + Send + 'static,
    {
        let turn = in_time(&self.webhooks, 1).await?;
        blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }
}

impl Turns {
    /// The turns of a tenant at the shared threads.
    pub fn new(pools: &Arc<Pools>) -> Self {
        Turns {
            pools: Arc::clone(pools),
            reads: Queue::new(READS_OF_TENANT as usize),
            writes: Queue::new(WRITES_OF_TENANT as usize),
        }
    }

    /// Runs work of this tenant when it is its turn. `is_slow` says whether it has to wait for a slow plugin.
    ///
    /// Work that waits for its turn is given up if the client disconnects. Work that has begun goes on.
    ///
    /// # Errors
    /// As [`blocking`], and [`Unfinished::Overloaded`] if it is not its turn within 10 seconds, or if 1,024 other requests of the
    /// tenant wait already.
    pub async fn run<T, E>(
        &self,
        kind: Work,
        is_slow: bool,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unfinished> + Send + 'static,
    {
        let (own, shared, turns) = match kind {
            Work::Read => (&self.reads, &self.pools.reads, 1),
            Work::Write => (&self.writes, &self.pools.writes, if is_slow { TURNS_OF_SLOW } else { 1 }),
        };
        let own = own.turn(turns).await?;
        let shared = in_time(shared, 1).await?;
        blocking(move || {
            let _turns = (own, shared);
            work()
        })
        .await
    }
}

impl Queue {
    fn new(turns: usize) -> Self {
        Queue { turns: Arc::new(Semaphore::new(turns)), waiting: AtomicUsize::new(0) }
    }

    async fn turn(&self, turns: u32) -> Result<OwnedSemaphorePermit, Unfinished> {
        /// Counts a request that waits, until it is dropped.
        struct Waiting<'a>(&'a AtomicUsize);

        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }

        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if waiting >= MOST_WAITING {
            return Err(Unfinished::Overloaded);
        }
        in_time(&self.turns, turns).await
    }
}

/// Takes permits, within [`PATIENCE`]. The timer is started only if there are none at once.
async fn in_time(turns: &Arc<Semaphore>, count: u32) -> Result<OwnedSemaphorePermit, Unfinished> {
    let mut turn = pin!(Arc::clone(turns).acquire_many_owned(count));
    let at_once = std::future::poll_fn(|context| Poll::Ready(turn.as_mut().poll(context))).await;
    let turn = match at_once {
        Poll::Ready(turn) => turn,
        Poll::Pending => tokio::time::timeout(PATIENCE, turn).await.map_err(|_| Unfinished::Overloaded)?,
    };
    turn.map_err(|_| Unfinished::Overloaded)
}

/// Runs work that blocks on Tokio's pool of blocking threads. The work goes on if the client disconnects. For the administrator's
/// requests: those of tenants go through [`Target::blocking`](crate::ops::Target::blocking).
///
/// # Errors
///
/// The error of the work, or [`Unfinished::Panicked`] if it panics.
///
/// # Panics
///
/// If called outside a Tokio runtime.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Unfinished> + Send + 'static,
{
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|failed| {
        error!(panicked = failed.is_panic(), "a request was not answered because of a defect");
        Err(Unfinished::Panicked.into())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::task::{Context, Waker};

    use super::*;

    /// Work that is under way until its end is sent.
    async fn begun(turns: &Arc<Turns>, kind: Work, is_slow: bool) -> mpsc::Sender<()> {
        let (end, ended) = mpsc::channel::<()>();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let turns = Arc::clone(turns);
        drop(tokio::spawn(async move {
            let work = move || {
                began.send(()).unwrap();
                let _ = ended.recv();
                Ok::<_, Unfinished>(())
            };
            turns.run(kind, is_slow, work).await
        }));
        has_begun.await.unwrap();
        end
    }

    #[tokio::test]
    async fn one_tenant_leaves_threads_to_others() {
        let pools = Arc::new(Pools::default());
        let (busy, other) = (Arc::new(Turns::new(&pools)), Arc::new(Turns::new(&pools)));
        let mut ends = Vec::new();
        for _ in 0..READS_OF_TENANT {
            ends.push(begun(&busy, Work::Read, false).await);
        }
        for _ in 0..WRITES_OF_TENANT / TURNS_OF_SLOW {
            ends.push(begun(&busy, Work::Write, true).await);
        }
        let mut context = Context::from_waker(Waker::noop());
        for kind in [Work::Read, Work::Write] {
            let mut waits = pin!(busy.run(kind, false, || Ok::<_, Unfinished>(())));
            assert!(waits.as_mut().poll(&mut context).is_pending(), "{kind:?}");
            assert_eq!(other.run(kind, false, || Ok::<_, Unfinished>(5)).await, Ok(5));
        }
        assert_eq!(pools.webhook(|| Ok::<_, Unfinished>(5)).await, Ok(5));
        ends.clear();
        assert_eq!(busy.run(Work::Read, false, || Ok::<_, Unfinished>(5)).await, Ok(5));
    }

    #[tokio::test]
    async fn a_queue_is_bounded_and_whoever_leaves_is_out_of_it() {
        let turns = Turns::new(&Arc::default());
        let _taken = Arc::clone(&turns.reads.turns).acquire_many_owned(READS_OF_TENANT).await.unwrap();
        let work = || Ok::<_, Unfinished>(());
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = Vec::new();
        for _ in 0..MOST_WAITING {
            let mut one = Box::pin(turns.run(Work::Read, false, work));
            assert!(one.as_mut().poll(&mut context).is_pending());
            waiting.push(one);
        }
        assert_eq!(turns.run(Work::Read, false, work).await, Err(Unfinished::Overloaded));
        waiting.pop();
        assert!(pin!(turns.run(Work::Read, false, work)).poll(&mut context).is_pending());
    }

    #[tokio::test]
    async fn a_panic_is_reported_and_gives_its_turn_back() {
        let turns = Turns::new(&Arc::default());
        for _ in 0..=READS_OF_TENANT {
            let panics = || -> Result<(), Unfinished> { panic!("on purpose") };
            assert_eq!(turns.run(Work::Read, false, panics).await, Err(Unfinished::Panicked));
        }
    }
}
