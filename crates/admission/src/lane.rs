//! Turns: how much of the process one tenant's checks may take at a time.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::time::timeout_at;

use crate::turn::{Overdue, Turn, turn_by};
use crate::waiting_room::{MOST_WAITING, Place, WaitingRoom};
use crate::workers::Workers;

/// The turns of one tenant: at slow plugins, as many as each list has instances, within bounds; and at the disk.
///
/// A check waits for its turn in its own future, so that one whose client left, or whose deadline passed, is out of the queue.
pub struct Lane {
    slow: Arc<Semaphore>,
    disk: Arc<Semaphore>,
    /// Also of those whose turn it is: each waits for an answer. Beyond it, the failure policy answers at once.
    room: WaitingRoom,
}

/// The calls of slow plugins that one tenant makes at a time, however many instances its lists have: all tenants' are made on the
/// [same threads](Workers::for_slow_plugins).
const MOST_AT_SLOW_PLUGINS: usize = 16;
/// The checks of one tenant that may be on threads that block, to read the ledger or to restore an evicted list.
const MOST_ON_DISK: usize = 16;

impl Lane {
    /// The turns of a tenant whose lists have `replicas` instances each.
    pub fn new(replicas: NonZeroUsize) -> Arc<Self> {
        Arc::new(Lane {
            slow: Arc::new(Semaphore::new(replicas.get().min(MOST_AT_SLOW_PLUGINS))),
            disk: Arc::new(Semaphore::new(MOST_ON_DISK)),
            room: WaitingRoom::new(MOST_WAITING),
        })
    }

    /// Runs `call` on a thread for slow plugins when it is its turn. After `deadline` nobody waits for it, and it is not begun.
    ///
    /// # Errors
    /// If it has not ended by `deadline`, if 1,024 others of the tenant wait already, if it panics, or if the system has no thread.
    pub async fn at_slow_plugin<R: Send + 'static>(
        &self,
        runtime: &Handle,
        workers: &Arc<Workers>,
        deadline: Instant,
        call: impl FnOnce() -> R + Send + 'static,
    ) -> Result<R, Overdue> {
        let (_place, turn) = self.turn(&self.slow, runtime, deadline).await?;
        let run = move || {
            let _turn = turn;
            call()
        };
        let answer = workers.call(run).map_err(|_| Overdue)?;
        let answered = {
            // The future may be polled outside of the runtime.
            let _entered = runtime.enter();
            timeout_at(deadline.into(), answer)
        };
        answered.await.map_err(|_| Overdue)?.map_err(|_| Overdue)
    }

    /// Runs `work` on a thread that may block when it is its turn. If it is by `deadline`, the work is waited for, however long it
    /// takes. Returns `None` if the runtime shuts down, or the work panics.
    ///
    /// # Errors
    /// If it is not its turn by `deadline`, or if 1,024 others of the tenant wait already.
    pub async fn at_disk<R: Send + 'static>(
        &self,
        runtime: &Handle,
        deadline: Instant,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Result<Option<R>, Overdue> {
        let (_place, turn) = self.turn(&self.disk, runtime, deadline).await?;
        let run = move || {
            let _turn = turn;
            work()
        };
        Ok(runtime.spawn_blocking(run).await.ok())
    }

    async fn turn(
        &self,
        turns: &Arc<Semaphore>,
        runtime: &Handle,
        deadline: Instant,
    ) -> Result<(Place<'_>, Turn), Overdue> {
        let place = self.room.enter()?;
        Ok((place, turn_by(turns, 1, runtime, deadline).await?))
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;
    use std::task::{Context, Waker};
    use std::time::Duration;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_call_that_is_not_in_time_keeps_its_turn_until_it_ends() {
        let (runtime, workers) = (Handle::current(), Workers::for_slow_plugins());
        let lane = Lane::new(NonZeroUsize::MIN);
        let (end, ended) = mpsc::channel::<()>();
        let now = Instant::now();
        let long = lane.at_slow_plugin(&runtime, &workers, now, move || ended.recv().is_ok());
        assert!(long.await.is_err());
        // It may not have had its turn at all, so there is a second one that surely has.
        let (started, has_started) = mpsc::channel();
        let (end_second, second_ended) = mpsc::channel::<()>();
        let later = Instant::now() + LONG;
        let mut second = pin!(lane.at_slow_plugin(&runtime, &workers, later, move || {
            started.send(()).unwrap();
            second_ended.recv().is_ok()
        }));
        drop(end);
        let mut context = Context::from_waker(Waker::noop());
        while has_started.try_recv().is_err() {
            assert!(second.as_mut().poll(&mut context).is_pending());
            tokio::task::yield_now().await;
        }
        let soon = Instant::now() + Duration::from_millis(1);
        assert!(lane.at_slow_plugin(&runtime, &workers, soon, || ()).await.is_err(), "it is another's turn");
        end_second.send(()).unwrap();
        assert!(second.await.is_ok());
        let later = Instant::now() + LONG;
        assert!(lane.at_slow_plugin(&runtime, &workers, later, || ()).await.is_ok());
    }

    #[tokio::test]
    async fn one_tenant_leaves_threads_to_others() {
        let (runtime, workers) = (Handle::current(), Workers::for_slow_plugins());
        let many = NonZeroUsize::new(64).unwrap();
        let (busy, other) = (Lane::new(many), Lane::new(many));
        let later = Instant::now() + LONG;
        let (ends, mut calls): (Vec<_>, Vec<_>) = (0..many.get())
            .map(|_| {
                let (end, ended) = mpsc::channel::<()>();
                (end, Box::pin(busy.at_slow_plugin(&runtime, &workers, later, move || ended.recv().is_ok())))
            })
            .unzip();
        let mut context = Context::from_waker(Waker::noop());
        for call in &mut calls {
            assert!(call.as_mut().poll(&mut context).is_pending());
            // A task may do only so much at a time.
            tokio::task::yield_now().await;
        }
        assert!(other.at_slow_plugin(&runtime, &workers, later, || ()).await.is_ok());
        drop(ends);
        // The others of the busy one have their turns as well.
        for call in calls {
            assert!(call.await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_call_whose_caller_left_before_it_began_is_not_made() {
        let (runtime, workers) = (Handle::current(), Workers::new("test", 1, 0, Duration::ZERO));
        let lane = Lane::new(NonZeroUsize::MIN);
        let (end, ended) = mpsc::channel::<()>();
        let busy = move || {
            let _ = ended.recv();
        };
        workers.run(busy).unwrap();
        let was_called = Arc::new(AtomicBool::new(false));
        let called = Arc::clone(&was_called);
        let later = Instant::now() + LONG;
        {
            let call = move || called.store(true, Ordering::SeqCst);
            let mut queued = pin!(lane.at_slow_plugin(&runtime, &workers, later, call));
            let mut context = Context::from_waker(Waker::noop());
            assert!(queued.as_mut().poll(&mut context).is_pending());
        }
        drop(end);
        // It needs the turn and the thread of the one before.
        assert!(lane.at_slow_plugin(&runtime, &workers, later, || ()).await.is_ok());
        assert!(!was_called.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn a_queue_is_bounded_and_a_check_whose_client_leaves_is_out_of_it() {
        let (runtime, lane) = (Handle::current(), Lane::new(NonZeroUsize::MIN));
        let _taken =
            Arc::clone(&lane.disk).acquire_many_owned(u32::try_from(MOST_ON_DISK).unwrap()).await.unwrap();
        let later = Instant::now() + LONG;
        let mut waiting: Vec<_> =
            (0..MOST_WAITING).map(|_| Box::pin(lane.at_disk(&runtime, later, || ()))).collect();
        let mut context = Context::from_waker(Waker::noop());
        for one in &mut waiting {
            assert!(one.as_mut().poll(&mut context).is_pending());
        }
        assert!(lane.at_disk(&runtime, later, || ()).await.is_err());
        waiting.pop();
        let mut next = pin!(lane.at_disk(&runtime, later, || ()));
        assert!(next.as_mut().poll(&mut context).is_pending());
    }
}
