//! Running work that blocks: on the disk, or for as long as a plugin may take.
//!
//! One tenant's work must not use up the threads, or the processors, that others need. So it is done in turn: lookups, writes and
//! webhooks each have a part of Tokio's pool of blocking threads, long reads and batches have threads of low priority, and a tenant has a
//! part of each.

use std::future::Future as _;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use crate::budget::{Budget, Shares};
use portcullis_host::lower_priority_by;
use tokio::runtime::{self, Handle, Runtime};
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
    /// Finding out about people whom a request names, for as long as that takes a few milliseconds at most.
    Lookup,
    /// Reading a long body, or many numbers: tens of milliseconds of processor time. Done with low priority, because a client that
    /// sends one such request after another would otherwise take the processors.
    Batch,
    /// Reading lists, history or status, which may take seconds of processor time. Done with low priority.
    Read,
    /// Changing entries.
    Write,
    /// Changing entries by a long body, which takes tens of milliseconds to read before it is written. Such a write has a turn among
    /// its like first, so that few are read at once, and short ones don't wait for them.
    BulkWrite,
}

/// The threads that all tenants share, and the memory for answers.
pub struct Pools {
    /// The memory for answers that clients have not read yet.
    pub answers: Arc<Budget>,
    lookups: Arc<Semaphore>,
    writes: Arc<Semaphore>,
    webhooks: Arc<Semaphore>,
    readers: Readers,
}

/// The threads of low priority.
///
/// A runtime of which only the pool of blocking threads is used: the priority of a thread can be lowered, but not raised again.
struct Readers {
    handle: Handle,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

/// The turns of one tenant.
pub struct Turns {
    pools: Arc<Pools>,
    lookups: Queue,
    batches: Queue,
    reads: Queue,
    bulk_writes: Queue,
    writes: Queue,
    webhooks: Queue,
}

/// The part of a tenant's turns that the tokens of one sender get: half, so that one sender's client leaves the others theirs.
pub struct Share {
    lookups: Queue,
    batches: Queue,
    reads: Queue,
    bulk_writes: Queue,
    writes: Queue,
}

/// A tenant's turn at a webhook, until it is dropped.
pub struct WebhookTurn {
    _turn: OwnedSemaphorePermit,
}

struct Queue {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    most_waiting: usize,
}

/// Threads for each kind of work. Tokio has 512: what is left is the administrator's, and the gateway's own.
const LOOKUPS: usize = 128;
const WRITES: usize = 256;
const WEBHOOKS: usize = 64;
/// The threads of low priority. More would only hold more answers in memory.
const READERS: usize = 64;
/// The steps by which their priority is lowered: ten of them together get about a third of one processor beside a thread of a request.
const NICENESS: u8 = 15;
/// How long such a thread waits for more to do.
const LINGER: Duration = Duration::from_secs(10);
/// The most threads of one tenant.
const LOOKUPS_OF_TENANT: u32 = 8;
const BATCHES_OF_TENANT: u32 = 4;
const READS_OF_TENANT: u32 = 8;
const BULK_WRITES_OF_TENANT: u32 = 2;
const WRITES_OF_TENANT: u32 = 64;
const WEBHOOKS_OF_TENANT: u32 = 32;
/// The part of its turns that a write or a webhook takes if the plugin is slow: it holds its thread for long, and more would only wait
/// for each other.
const PART_OF_SLOW: u32 = 4;
/// The requests of one tenant that may wait for their turn.
const MOST_WAITING: usize = 1024;
/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

impl Pools {
    /// Prepares the pools. Threads are started when there is something to do. `answer_bytes` is the memory for answers, of which a
    /// tenant gets a quarter, and the tokens of a sender half of that. The administrator has as much as a tenant, apart.
    ///
    /// # Errors
    /// If the system refuses what a runtime needs.
    pub fn new(answer_bytes: usize) -> io::Result<Arc<Self>> {
        let (quarter, eighth) = (answer_bytes / 4, answer_bytes / 8);
        let answers = Shares { all: answer_bytes, each: quarter, sender: eighth, operator: quarter };
        let answers = Budget::new(answers);
        let of = |threads| Arc::new(Semaphore::new(threads));
        let (lookups, writes, webhooks) = (of(LOOKUPS), of(WRITES), of(WEBHOOKS));
        Ok(Arc::new(Pools { answers, lookups, writes, webhooks, readers: Readers::new()? }))
    }

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

impl Readers {
    fn new() -> io::Result<Self> {
        let runtime = runtime::Builder::new_current_thread()
            .thread_name("portcullis-read")
            .max_blocking_threads(READERS)
            .thread_keep_alive(LINGER)
            .on_thread_start(|| lower_priority_by(NICENESS))
            .build()?;
        Ok(Readers { handle: runtime.handle().clone(), runtime: Some(runtime) })
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // Otherwise it would wait, which is not allowed on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Turns {
    /// The turns of a tenant at the shared threads.
    pub fn new(pools: &Arc<Pools>) -> Self {
        Turns {
            pools: Arc::clone(pools),
            lookups: Queue::new(LOOKUPS_OF_TENANT, MOST_WAITING),
            batches: Queue::new(BATCHES_OF_TENANT, MOST_WAITING),
            reads: Queue::new(READS_OF_TENANT, MOST_WAITING),
            bulk_writes: Queue::new(BULK_WRITES_OF_TENANT, MOST_WAITING),
            writes: Queue::new(WRITES_OF_TENANT, MOST_WAITING),
            webhooks: Queue::new(WEBHOOKS_OF_TENANT, MOST_WAITING),
        }
    }

    /// The memory for answers that clients have not read yet, of all tenants.
    pub fn answers(&self) -> &Arc<Budget> {
        &self.pools.answers
    }

    /// Runs work of this tenant when it is its turn, and within the `share` of a sender if one of the sender's own tokens asks for it.
    /// `is_slow` says whether it has to wait for a slow plugin.
    ///
    /// Work that waits for its turn is given up if the client disconnects. Work that has begun goes on.
    ///
    /// # Errors
    /// As [`blocking`], and [`Unfinished::Overloaded`] if it is not its turn within 10 seconds, or if 1,024 other requests of the
    /// tenant wait already, or half as many of the sender.
    pub async fn run<T, E>(
        &self,
        share: Option<&Share>,
        kind: Work,
        is_slow: bool,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unfinished> + Send + 'static,
    {
        let (own, shared, turns) = match kind {
            Work::Lookup => (&self.lookups, Some(&self.pools.lookups), 1),
            // Their own pool has a queue.
            Work::Batch => (&self.batches, None, 1),
            Work::Read => (&self.reads, None, 1),
            Work::Write | Work::BulkWrite => {
                (&self.writes, Some(&self.pools.writes), turns(WRITES_OF_TENANT, is_slow))
            }
        };
        let of_bulk = match (kind, share) {
            (Work::BulkWrite, Some(share)) => {
                Some((Some(share.bulk_writes.turn(1).await?), self.bulk_writes.turn(1).await?))
            }
            (Work::BulkWrite, None) => Some((None, self.bulk_writes.turn(1).await?)),
            _ => None,
        };
        // Only a request with a turn of the sender waits in the tenant's queue, so there are few of them.
        let of_sender = match share {
            Some(share) => Some(share.of(kind).turn(turns).await?),
            None => None,
        };
        let own = own.turn(turns).await?;
        let shared = match shared {
            Some(shared) => Some(in_time(shared, 1).await?),
            None => None,
        };
        let work = move || {
            let _turns = (of_bulk, of_sender, own, shared);
            work()
        };
        match kind {
            Work::Batch | Work::Read => blocking_on(&self.pools.readers.handle, work).await,
            Work::Lookup | Work::Write | Work::BulkWrite => blocking(work).await,
        }
    }

    /// This tenant's turn at a webhook, if there is one now.
    pub fn try_webhook(&self, is_slow: bool) -> Option<WebhookTurn> {
        let turns = turns(WEBHOOKS_OF_TENANT, is_slow);
        let turn = Arc::clone(&self.webhooks.turns).try_acquire_many_owned(turns).ok()?;
        Some(WebhookTurn { _turn: turn })
    }

    /// Waits for this tenant's turn at a webhook.
    ///
    /// # Errors
    /// [`Unfinished::Overloaded`], as for [`run`](Self::run).
    pub async fn webhook(&self, is_slow: bool) -> Result<WebhookTurn, Unfinished> {
        let turn = self.webhooks.turn(turns(WEBHOOKS_OF_TENANT, is_slow)).await?;
        Ok(WebhookTurn { _turn: turn })
    }
}

impl Default for Share {
    fn default() -> Self {
        let half = |of_tenant: u32| Queue::new(of_tenant / 2, MOST_WAITING / 2);
        Share {
            lookups: half(LOOKUPS_OF_TENANT),
            batches: half(BATCHES_OF_TENANT),
            reads: half(READS_OF_TENANT),
            bulk_writes: half(BULK_WRITES_OF_TENANT),
            writes: half(WRITES_OF_TENANT),
        }
    }
}

impl Share {
    fn of(&self, kind: Work) -> &Queue {
        match kind {
            Work::Lookup => &self.lookups,
            Work::Batch => &self.batches,
            Work::Read => &self.reads,
            Work::Write | Work::BulkWrite => &self.writes,
        }
    }
}

/// How many of a tenant's turns something takes.
const fn turns(of_tenant: u32, is_slow: bool) -> u32 {
    if is_slow { of_tenant / PART_OF_SLOW } else { 1 }
}

impl Queue {
    fn new(turns: u32, most_waiting: usize) -> Self {
        let turns = Arc::new(Semaphore::new(turns as usize));
        Queue { turns, waiting: AtomicUsize::new(0), most_waiting }
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
        if waiting >= self.most_waiting {
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
    blocking_on(&Handle::current(), work).await
}

async fn blocking_on<T, E>(
    runtime: &Handle,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Unfinished> + Send + 'static,
{
    runtime.spawn_blocking(work).await.unwrap_or_else(|failed| {
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
            turns.run(None, kind, is_slow, work).await
        }));
        has_begun.await.unwrap();
        end
    }

    #[tokio::test]
    async fn one_tenant_leaves_threads_to_others() {
        let pools = Pools::new(0).unwrap();
        let (busy, other) = (Arc::new(Turns::new(&pools)), Arc::new(Turns::new(&pools)));
        let mut ends = Vec::new();
        for _ in 0..LOOKUPS_OF_TENANT {
            ends.push(begun(&busy, Work::Lookup, false).await);
        }
        for _ in 0..BATCHES_OF_TENANT {
            ends.push(begun(&busy, Work::Batch, false).await);
        }
        for _ in 0..READS_OF_TENANT {
            ends.push(begun(&busy, Work::Read, false).await);
        }
        for _ in 0..PART_OF_SLOW {
            ends.push(begun(&busy, Work::Write, true).await);
        }
        let mut context = Context::from_waker(Waker::noop());
        for kind in [Work::Lookup, Work::Batch, Work::Read, Work::Write] {
            let mut waits = pin!(busy.run(None, kind, false, || Ok::<_, Unfinished>(())));
            assert!(waits.as_mut().poll(&mut context).is_pending(), "{kind:?}");
            assert_eq!(other.run(None, kind, false, || Ok::<_, Unfinished>(5)).await, Ok(5));
        }
        assert_eq!(pools.webhook(|| Ok::<_, Unfinished>(5)).await, Ok(5));
        ends.clear();
        assert_eq!(busy.run(None, Work::Read, false, || Ok::<_, Unfinished>(5)).await, Ok(5));
    }

    #[tokio::test]
    async fn short_writes_do_not_wait_for_long_ones() {
        let turns = Arc::new(Turns::new(&Pools::new(0).unwrap()));
        let work = || Ok::<_, Unfinished>(5);
        let mut ends = Vec::new();
        for _ in 0..BULK_WRITES_OF_TENANT {
            ends.push(begun(&turns, Work::BulkWrite, false).await);
        }
        let mut waits = pin!(turns.run(None, Work::BulkWrite, false, work));
        assert!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        assert_eq!(turns.run(None, Work::Write, false, work).await, Ok(5));
        ends.clear();
        assert_eq!(waits.await, Ok(5));
    }

    #[tokio::test]
    async fn a_sender_s_tokens_leave_half_of_the_turns_to_the_tenant_s_others() {
        let turns = Turns::new(&Pools::new(0).unwrap());
        let (support, sales) = (Share::default(), Share::default());
        let work = || Ok::<_, Unfinished>(5);
        let mut context = Context::from_waker(Waker::noop());
        let taken = support.writes.turns.available_permits();
        let _taken =
            Arc::clone(&support.writes.turns).acquire_many_owned(u32::try_from(taken).unwrap()).await;
        assert_eq!(taken, WRITES_OF_TENANT as usize / 2);
        let mut waiting = Vec::new();
        let refused = loop {
            let mut one = Box::pin(turns.run(Some(&support), Work::Write, false, work));
            match one.as_mut().poll(&mut context) {
                Poll::Pending => waiting.push(one),
                Poll::Ready(answer) => break answer,
            }
        };
        assert_eq!((refused, waiting.len()), (Err(Unfinished::Overloaded), MOST_WAITING / 2));
        assert_eq!(turns.run(Some(&sales), Work::Write, false, work).await, Ok(5));
        assert_eq!(turns.run(None, Work::Write, false, work).await, Ok(5));
        // They wait for the sender's turn, not in the tenant's queue.
        assert_eq!(turns.writes.turns.available_permits(), WRITES_OF_TENANT as usize);
    }

    #[tokio::test]
    async fn a_queue_is_bounded_and_whoever_leaves_is_out_of_it() {
        let turns = Turns::new(&Pools::new(0).unwrap());
        let _taken = Arc::clone(&turns.reads.turns).acquire_many_owned(READS_OF_TENANT).await.unwrap();
        let work = || Ok::<_, Unfinished>(());
        let mut context = Context::from_waker(Waker::noop());
        let mut waiting = Vec::new();
        for _ in 0..MOST_WAITING {
            let mut one = Box::pin(turns.run(None, Work::Read, false, work));
            assert!(one.as_mut().poll(&mut context).is_pending());
            waiting.push(one);
        }
        assert_eq!(turns.run(None, Work::Read, false, work).await, Err(Unfinished::Overloaded));
        waiting.pop();
        assert!(pin!(turns.run(None, Work::Read, false, work)).poll(&mut context).is_pending());
    }

    #[tokio::test]
    async fn a_tenant_s_webhooks_leave_threads_to_others_and_wait_for_each_other() {
        let turns = Turns::new(&Pools::new(0).unwrap());
        let mut slow: Vec<_> = (0..PART_OF_SLOW).map(|_| turns.try_webhook(true).unwrap()).collect();
        assert!(turns.try_webhook(false).is_none());
        let mut next = pin!(turns.webhook(false));
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        slow.pop();
        next.await.unwrap();
        let all = (0..WEBHOOKS_OF_TENANT / PART_OF_SLOW).map_while(|_| turns.try_webhook(false)).count();
        assert_eq!(all, (WEBHOOKS_OF_TENANT / PART_OF_SLOW) as usize);
    }

    #[test]
    fn pools_can_be_dropped_on_a_runtime_s_thread() {
        let runtime = runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let turns = Turns::new(&Pools::new(0).unwrap());
            let name = || Ok::<_, Unfinished>(std::thread::current().name().map(str::to_owned));
            for kind in [Work::Batch, Work::Read] {
                let of_low_priority = Ok(Some("portcullis-read".to_owned()));
                assert_eq!(turns.run(None, kind, false, name).await, of_low_priority, "{kind:?}");
            }
        });
    }

    #[tokio::test]
    async fn a_panic_is_reported_and_gives_its_turn_back() {
        let turns = Turns::new(&Pools::new(0).unwrap());
        for _ in 0..=READS_OF_TENANT {
            let panics = || -> Result<(), Unfinished> { panic!("on purpose") };
            assert_eq!(turns.run(None, Work::Read, false, panics).await, Err(Unfinished::Panicked));
        }
    }
}
