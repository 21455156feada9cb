//! Calls that wait for each other are served together.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::time::Instant;

use parking_lot::Mutex;

/// Queues of calls, one for each key with any. The thread of a caller serves those that come meanwhile.
///
/// `Q` is what a call asks for, and `A` its answer.
pub(crate) struct Joiner<K, Q, A> {
    /// The most threads that serve a queue at a time.
    lanes: usize,
    /// The most that calls which are served together may weigh, unless a single one weighs more.
    most: usize,
    queues: Mutex<HashMap<K, Queue<Q, A>>>,
    next: AtomicU64,
}

struct Queue<Q, A> {
    waiting: VecDeque<Call<Q, A>>,
    /// How many of the callers lead.
    leaders: usize,
}

/// A call that was taken out of its queue, and is to be answered.
pub(crate) struct Call<Q, A> {
    id: u64,
    pub(crate) asked: Q,
    weight: usize,
    /// Whether its caller was told to lead.
    leads: bool,
    caller: SyncSender<Turn<A>>,
}

impl<Q, A> Call<Q, A> {
    pub(crate) fn answer(self, answer: A) {
        let _ = self.caller.try_send(Turn::Done(answer));
    }
}

/// What a waiting caller is told.
enum Turn<A> {
    /// Its call is done.
    Done(A),
    /// It serves the calls at the head of the queue.
    Lead,
}

/// Why a call has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Nobody has begun with it, and nobody will.
    Withdrawn,
    /// Somebody serves it, or has failed to.
    Taken,
}

impl<K: Copy + Eq + Hash, Q, A> Joiner<K, Q, A> {
    pub(crate) fn new(lanes: usize, most: usize) -> Self {
        Joiner { lanes, most, queues: Mutex::default(), next: AtomicU64::default() }
    }

    /// Waits for an answer until then. `serve` is run on the threads of callers; what it is given takes calls out of the queue, which
    /// it has to answer.
    pub(crate) fn join(
        &self,
        key: K,
        asked: Q,
        weight: usize,
        until: Instant,
        serve: impl Fn(&dyn Fn() -> Vec<Call<Q, A>>),
    ) -> Result<A, Unanswered> {
        // Room for both messages, so that nobody waits to send one.
        let (caller, told) = sync_channel(2);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let mut call = Call { id, asked, weight, leads: false, caller };
        {
            let mut queues = self.queues.lock();
            let queue = queues.entry(key).or_insert_with(|| Queue { waiting: VecDeque::new(), leaders: 0 });
            if queue.leaders < self.lanes && call.caller.try_send(Turn::Lead).is_ok() {
                queue.leaders += 1;
                call.leads = true;
            }
            queue.waiting.push_back(call);
        }
        loop {
            let turn = match told.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(turn) => turn,
                Err(_) => self.withdraw(key, id, &told)?,
            };
            match turn {
                Turn::Done(answer) => return Ok(answer),
                Turn::Lead => {
                    let _leading = Leading { joiner: self, key, id };
                    serve(&|| self.take(key));
                }
            }
        }
    }

    /// The caller has waited for long enough. It may have been told something meanwhile.
    fn withdraw(&self, key: K, id: u64, told: &Receiver<Turn<A>>) -> Result<Turn<A>, Unanswered> {
        // Nobody hands over meanwhile.
        let mut queues = self.queues.lock();
        match told.try_recv() {
            Ok(turn) => return Ok(turn),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => {}
        }
        let queue = queues.get_mut(&key);
        let place = queue.as_ref().and_then(|queue| queue.waiting.iter().position(|call| call.id == id));
        match (queue, place) {
            (Some(queue), Some(place)) => {
                queue.waiting.remove(place);
                Err(Unanswered::Withdrawn)
            }
            _ => Err(Unanswered::Taken),
        }
    }

    /// Takes the first calls of the queue, which stays, so that those who come meanwhile wait.
    fn take(&self, key: K) -> Vec<Call<Q, A>> {
        let mut queues = self.queues.lock();
        let Some(queue) = queues.get_mut(&key) else { return Vec::new() };
        let mut weight = 0;
        let mut taken = Vec::new();
        while let Some(call) = queue.waiting.front() {
            weight += call.weight;
            if weight > self.most && !taken.is_empty() {
                break;
            }
            taken.extend(queue.waiting.pop_front());
        }
        taken
    }
}

/// A caller that leads. Dropping it lets the next one lead, also after a panic.
struct Leading<'a, K: Copy + Eq + Hash, Q, A> {
    joiner: &'a Joiner<K, Q, A>,
    key: K,
    /// Its own call.
    id: u64,
}

impl<K: Copy + Eq + Hash, Q, A> Drop for Leading<'_, K, Q, A> {
    fn drop(&mut self) {
        let mut queues = self.joiner.queues.lock();
        let Some(queue) = queues.get_mut(&self.key) else { return };
        for call in &mut queue.waiting {
            // Its own call may have been too far behind.
            call.leads &= call.id != self.id;
        }
        // A caller that is gone withdraws its call first, so the first of these is told.
        for call in queue.waiting.iter_mut().filter(|call| !call.leads) {
            if call.caller.try_send(Turn::Lead).is_ok() {
                call.leads = true;
                return;
            }
        }
        queue.leaders -= 1;
        if queue.leaders == 0 && queue.waiting.is_empty() {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::AtomicUsize;
    use std::thread;
    use std::time::Duration;

    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn everybody_is_answered_once_by_no_more_leaders_than_lanes() {
        let joiner = Joiner::<(), u64, u64>::new(3, 5);
        let (leaders, most, together) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for thread in 0..16_u64 {
                let (joiner, leaders, most, together) = (&joiner, &leaders, &most, &together);
                scope.spawn(move || {
                    for k in 0..500 {
                        let number = thread * 1_000 + k;
                        let answer = joiner.join((), number, 1, soon(), |take| {
                            most.fetch_max(leaders.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                            let calls = take();
                            together.fetch_max(calls.len(), Ordering::SeqCst);
                            thread::yield_now();
                            leaders.fetch_sub(1, Ordering::SeqCst);
                            for call in calls {
                                let double = 2 * call.asked;
                                call.answer(double);
                            }
                        });
                        assert_eq!(answer, Ok(2 * number));
                    }
                });
            }
        });
        assert!(most.into_inner() <= 3);
        assert!((2..=5).contains(&together.into_inner()));
        assert!(joiner.queues.lock().is_empty());
    }

    #[test]
    fn those_who_wait_are_served_though_their_leader_panics() {
        let joiner = Joiner::<(), bool, ()>::new(1, 10);
        let (begun, go_on) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                joiner.join((), true, 1, soon(), |take| {
                    let taken = take();
                    begun.wait();
                    go_on.wait();
                    assert!(!taken.iter().any(|call| call.asked), "as is meant to happen");
                })
            });
            begun.wait();
            let second = scope.spawn(|| {
                joiner.join((), false, 1, soon(), |take| take().into_iter().for_each(|call| call.answer(())))
            });
            while joiner.queues.lock().get(&()).is_none_or(|queue| queue.waiting.is_empty()) {
                thread::yield_now();
            }
            go_on.wait();
            assert!(first.join().is_err());
            assert_eq!(second.join().unwrap(), Ok(()));
        });
        assert!(joiner.queues.lock().is_empty());
    }

    #[test]
    fn who_waited_for_too_long_knows_whether_anybody_has_begun() {
        let joiner = Joiner::<(), (), ()>::new(1, 1);
        let (begun, go_on) = (Barrier::new(2), Barrier::new(2));
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                joiner.join((), (), 1, soon(), |take| {
                    let taken = take();
                    begun.wait();
                    go_on.wait();
                    drop(taken);
                })
            });
            begun.wait();
            let second = joiner.join((), (), 1, Instant::now(), |_| unreachable!("somebody else leads"));
            assert_eq!(second, Err(Unanswered::Withdrawn));
            go_on.wait();
            assert_eq!(first.join().unwrap(), Err(Unanswered::Taken));
        });
    }
}
