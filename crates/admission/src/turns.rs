//! The turns of one tenant.

use std::sync::Arc;

use tracing::Span;

use crate::blocking::blocking;
use crate::budget::Budget;
use crate::pools::Pools;
use crate::queue::Queue;
use crate::queues::{Queues, WRITES};
use crate::reading::Reading;
use crate::share::Share;
use crate::turn::{Turn, turn_in_time};
use crate::unfinished::Unfinished;
use crate::waiting_room::MOST_WAITING;
use crate::work::Work;

/// The turns of one tenant at the threads that all share.
///
/// One tenant's work must not use up the threads, or the processors, that others need. So it is done in turn: lookups, writes and
/// webhooks each have a part of Tokio's pool of blocking threads, long reads and batches have threads of low priority, and a tenant has a
/// part of each.
pub struct Turns {
    pools: Arc<Pools>,
    queues: Queues,
    webhooks: Queue,
}

/// A tenant's turn at a webhook, until it is dropped.
pub struct WebhookTurn {
    _turn: Turn,
}

/// The most webhooks of one tenant at a time.
const WEBHOOKS: u32 = 32;
/// The part of its turns that a write or a webhook takes if the plugin is slow: it holds its thread for long, and more would only wait
/// for each other.
const PART_OF_SLOW: u32 = 4;

impl Turns {
    /// The turns of a tenant at the shared threads.
    pub fn new(pools: &Arc<Pools>) -> Self {
        let webhooks = Queue::new(WEBHOOKS, MOST_WAITING);
        Turns { pools: Arc::clone(pools), queues: Queues::whole(), webhooks }
    }

    /// The memory for answers that clients have not read yet, of all tenants.
    pub fn answers(&self) -> &Arc<Budget> {
        &self.pools.answers
    }

    /// Runs work of this tenant when it is its turn, and within the `share` of a sender if one of the sender's own tokens asks for it.
    /// `is_slow` says whether it has to wait for a slow plugin. Work of the kind [`Work::BulkWrite`] says when it has read its body.
    ///
    /// Work that waits for its turn is given up if the client disconnects. Work that has begun goes on.
    ///
    /// # Errors
    /// As [`blocking`], and [`Unfinished::Overloaded`] if it is not its turn within 10 seconds, if 1,024 other requests of the tenant
    /// wait already, or half as many of the sender, or if the system has no thread for it.
    pub async fn run<T, E>(
        &self,
        share: Option<&Share>,
        kind: Work,
        is_slow: bool,
        work: impl FnOnce(Reading) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unfinished> + Send + 'static,
    {
        let (own, of_sender) = (&self.queues, share.map(|Share(queues)| queues));
        let of_bulk = if kind == Work::BulkWrite {
            Some(turn_of_both(of_sender.map(|queues| &queues.bulk_writes), &own.bulk_writes, 1).await?)
        } else {
            None
        };
        let (count, shared) = match kind {
            Work::Lookup => (1, Some(&self.pools.lookups)),
            // Their own pool has a queue.
            Work::Batch | Work::Read => (1, None),
            Work::Write | Work::BulkWrite => (turns(WRITES, is_slow), Some(&self.pools.writes)),
        };
        let of_kind = turn_of_both(of_sender.map(|queues| queues.of(kind)), own.of(kind), count).await?;
        let shared = match shared {
            Some(shared) => Some(turn_in_time(shared, 1).await?),
            None => None,
        };
        let work = move || {
            let _turns = (of_kind, shared);
            work(Reading::of(of_bulk))
        };
        match kind {
            Work::Batch | Work::Read => {
                let span = Span::current();
                let result = self
                    .pools
                    .readers
                    .call(move || span.in_scope(work))
                    .map_err(|_| Unfinished::Overloaded)?;
                result.await.map_err(|_| Unfinished::Panicked)?
            }
            Work::Lookup | Work::Write | Work::BulkWrite => blocking(work).await,
        }
    }

    /// This tenant's turn at a webhook, if there is one now.
    pub fn try_webhook(&self, is_slow: bool) -> Option<WebhookTurn> {
        Some(WebhookTurn { _turn: self.webhooks.try_turn(turns(WEBHOOKS, is_slow))? })
    }

    /// Waits for this tenant's turn at a webhook.
    ///
    /// # Errors
    /// [`Unfinished::Overloaded`], as for [`run`](Self::run).
    pub async fn webhook(&self, is_slow: bool) -> Result<WebhookTurn, Unfinished> {
        Ok(WebhookTurn { _turn: self.webhooks.turn(turns(WEBHOOKS, is_slow)).await? })
    }
}

/// How many of a tenant's turns something takes.
const fn turns(of_tenant: u32, is_slow: bool) -> u32 {
    if is_slow { of_tenant / PART_OF_SLOW } else { 1 }
}

/// The sender's turns, and then the tenant's: only a request with turns of the sender waits in the tenant's queue, so there are few of
/// them.
async fn turn_of_both(
    sender: Option<&Queue>,
    tenant: &Queue,
    count: u32,
) -> Result<(Option<Turn>, Turn), Unfinished> {
    let of_sender = match sender {
        Some(sender) => Some(sender.turn(count).await?),
        None => None,
    };
    Ok((of_sender, tenant.turn(count).await?))
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{Context, Poll, Waker};

    use super::*;
    use crate::queues::{BATCHES, BULK_WRITES, LOOKUPS, READS};

    /// Work that is under way until its end is sent.
    async fn begun(turns: &Arc<Turns>, kind: Work, is_slow: bool) -> mpsc::Sender<()> {
        let (end, ended) = mpsc::channel::<()>();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let turns = Arc::clone(turns);
        drop(tokio::spawn(async move {
            let work = move |_reading: Reading| {
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
        let pools = Pools::new(0);
        let (busy, other) = (Arc::new(Turns::new(&pools)), Arc::new(Turns::new(&pools)));
        let mut ends = Vec::new();
        for _ in 0..LOOKUPS {
            ends.push(begun(&busy, Work::Lookup, false).await);
        }
        for _ in 0..BATCHES {
            ends.push(begun(&busy, Work::Batch, false).await);
        }
        for _ in 0..READS {
            ends.push(begun(&busy, Work::Read, false).await);
        }
        for _ in 0..PART_OF_SLOW {
            ends.push(begun(&busy, Work::Write, true).await);
        }
        let mut context = Context::from_waker(Waker::noop());
        for kind in [Work::Lookup, Work::Batch, Work::Read, Work::Write] {
            let mut waits = pin!(busy.run(None, kind, false, |_: Reading| Ok::<_, Unfinished>(())));
            assert!(waits.as_mut().poll(&mut context).is_pending(), "{kind:?}");
            assert_eq!(other.run(None, kind, false, |_: Reading| Ok::<_, Unfinished>(5)).await, Ok(5));
        }
        assert_eq!(pools.webhook(|| Ok::<_, Unfinished>(5)).await, Ok(5));
        ends.clear();
        assert_eq!(busy.run(None, Work::Read, false, |_: Reading| Ok::<_, Unfinished>(5)).await, Ok(5));
    }

    #[tokio::test]
    async fn a_long_write_that_has_read_its_body_lets_another_read() {
        let turns = Turns::new(&Pools::new(0));
        let mut written = Vec::new();
        let mut waits = Vec::new();
        for _ in 0..4 * BULK_WRITES {
            let (read, has_read) = tokio::sync::oneshot::channel();
            let (write, is_written) = mpsc::channel::<()>();
            let work = move |reading: Reading| {
                reading.end();
                read.send(()).unwrap();
                let _ = is_written.recv();
                Ok::<_, Unfinished>(())
            };
            let mut one = Box::pin(turns.run(None, Work::BulkWrite, false, work));
            assert!(one.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            has_read.await.unwrap();
            waits.push(one);
            written.push(write);
        }
        written.clear();
        for one in waits {
            one.await.unwrap();
        }
    }

    #[tokio::test]
    async fn short_writes_do_not_wait_for_long_ones() {
        let turns = Arc::new(Turns::new(&Pools::new(0)));
        let work = |_: Reading| Ok::<_, Unfinished>(5);
        let mut ends = Vec::new();
        for _ in 0..BULK_WRITES {
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
        let turns = Turns::new(&Pools::new(0));
        let (support, sales) = (Share::default(), Share::default());
        let work = |_: Reading| Ok::<_, Unfinished>(5);
        let mut context = Context::from_waker(Waker::noop());
        let writes = &support.0.writes;
        assert_eq!(writes.free(), WRITES as usize / 2);
        let _taken = writes.try_turn(WRITES / 2).unwrap();
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
        assert_eq!(turns.queues.writes.free(), WRITES as usize);
    }

    #[tokio::test]
    async fn a_queue_is_bounded_and_a_request_whose_client_leaves_is_out_of_it() {
        let turns = Turns::new(&Pools::new(0));
        let _taken = turns.queues.reads.try_turn(READS).unwrap();
        let work = |_: Reading| Ok::<_, Unfinished>(());
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
        let turns = Turns::new(&Pools::new(0));
        let mut slow: Vec<_> = (0..PART_OF_SLOW).map(|_| turns.try_webhook(true).unwrap()).collect();
        assert!(turns.try_webhook(false).is_none());
        let mut next = pin!(turns.webhook(false));
        assert!(next.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        slow.pop();
        next.await.unwrap();
        let all = (0..WEBHOOKS / PART_OF_SLOW).map_while(|_| turns.try_webhook(false)).count();
        assert_eq!(all, (WEBHOOKS / PART_OF_SLOW) as usize);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn batches_and_long_reads_have_threads_of_low_priority() {
        let turns = Turns::new(&Pools::new(0));
        let niceness = || Ok::<_, Unfinished>(rustix::process::getpriority_process(None).unwrap());
        let normal = niceness().unwrap();
        for (kind, lowered) in [(Work::Lookup, 0), (Work::Batch, 15), (Work::Read, 15), (Work::Write, 0)] {
            let expected = (normal + lowered).min(19);
            assert_eq!(turns.run(None, kind, false, move |_| niceness()).await, Ok(expected), "{kind:?}");
        }
    }

    #[tokio::test]
    async fn a_read_whose_client_left_before_it_had_a_thread_is_not_begun() {
        let pools = Pools::new(0);
        let tenants: Vec<_> = std::iter::repeat_with(|| Arc::new(Turns::new(&pools))).take(9).collect();
        let (last, others) = tenants.split_last().unwrap();
        let mut ends = Vec::new();
        for busy in others {
            for _ in 0..READS {
                ends.push(begun(busy, Work::Read, false).await);
            }
        }
        let (begin, has_begun) = mpsc::channel();
        {
            let read = move |_: Reading| Ok::<_, Unfinished>(begin.send(()));
            let mut queued = pin!(last.run(None, Work::Read, false, read));
            assert!(queued.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        ends.clear();
        // It needs a turn and a thread after the one before.
        assert_eq!(last.run(None, Work::Read, false, |_: Reading| Ok::<_, Unfinished>(5)).await, Ok(5));
        assert!(has_begun.recv().is_err(), "it is dropped");
    }

    #[tokio::test]
    async fn a_panic_is_reported_and_gives_its_turn_back() {
        let turns = Turns::new(&Pools::new(0));
        for _ in 0..=READS {
            let panics = |_: Reading| -> Result<(), Unfinished> { panic!("on purpose") };
            assert_eq!(turns.run(None, Work::Read, false, panics).await, Err(Unfinished::Panicked));
        }
    }
}
