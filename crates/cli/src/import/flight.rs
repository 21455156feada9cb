//! Sends several batches concurrently, and handles their responses in order.
//!
//! The gateway writes a batch to disk before it responds. If each batch waited for the response to the
//! one before, an import over a slow connection would spend most of its time waiting.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::panic;
use std::thread;

/// A batch that may be sent concurrently with others.
pub(super) trait Together {
    /// Whether the gateway must process this batch strictly before or after any other.
    fn must_go_alone(&self) -> bool;
}

/// Why sending stopped early.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stop<B, R, S> {
    /// The next batch could not be read. All batches before it were acknowledged.
    Read(R),
    /// This batch failed. All batches before it were acknowledged, and some after it may have been.
    Send(B, S),
}

/// Sends `batches`, at most `together` at once, each on its own thread. Calls `answered` with each
/// response, in the order of the batches.
///
/// After a failure no further batches are sent. The ones in flight are awaited, and the first failure
/// is returned.
pub(super) fn send_all<B, A, R, S>(
    together: NonZeroUsize,
    mut batches: impl Iterator<Item = Result<B, R>>,
    send: impl Fn(&B) -> Result<A, S> + Sync,
    mut answered: impl FnMut(B, A),
) -> Result<(), Stop<B, R, S>>
where
    B: Together + Send,
    A: Send,
    S: Send,
{
    thread::scope(|scope| {
        let send = &send;
        let mut under_way = VecDeque::with_capacity(together.get());
        let mut alone = false;
        loop {
            let next = batches.next();
            let before_alone =
                std::mem::replace(&mut alone, matches!(&next, Some(Ok(batch)) if batch.must_go_alone()));
            let leave = match &next {
                Some(Ok(_)) if !alone && !before_alone => together.get() - 1,
                _ => 0,
            };
            while under_way.len() > leave {
                let Some(first): Option<thread::ScopedJoinHandle<'_, (B, Result<A, S>)>> =
                    under_way.pop_front()
                else {
                    break;
                };
                match first.join().unwrap_or_else(|panic| panic::resume_unwind(panic)) {
                    (batch, Ok(answer)) => answered(batch, answer),
                    // The scope joins the other threads.
                    (batch, Err(error)) => return Err(Stop::Send(batch, error)),
                }
            }
            match next {
                None => return Ok(()),
                Some(Err(error)) => return Err(Stop::Read(error)),
                Some(Ok(batch)) => under_way.push_back(scope.spawn(move || {
                    let answer = send(&batch);
                    (batch, answer)
                })),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Barrier, Mutex};

    use super::*;

    #[derive(Debug, PartialEq, Eq)]
    struct Batch(usize);

    impl Together for Batch {
        fn must_go_alone(&self) -> bool {
            self.0.is_multiple_of(10)
        }
    }

    const THREE: NonZeroUsize = NonZeroUsize::new(3).unwrap();

    fn good(numbers: impl IntoIterator<Item = usize>) -> impl Iterator<Item = Result<Batch, &'static str>> {
        numbers.into_iter().map(|number| Ok(Batch(number)))
    }

    #[test]
    fn answers_come_in_the_order_of_the_batches() {
        // The barrier makes all three respond at the same time.
        let barrier = Barrier::new(3);
        let mut order = Vec::new();
        let sent = send_all(
            THREE,
            good(1..=3),
            |batch: &Batch| {
                barrier.wait();
                Ok::<_, ()>(batch.0 * 2)
            },
            |batch, answer| order.push((batch.0, answer)),
        );
        assert_eq!(sent, Ok(()));
        assert_eq!(order, [(1, 2), (2, 4), (3, 6)]);
    }

    #[test]
    fn never_more_are_under_way_than_allowed() {
        let under_way = AtomicUsize::new(0);
        let most = AtomicUsize::new(0);
        let mut answers = 0;
        let sent = send_all(
            THREE,
            good(1..=9),
            |_: &Batch| {
                most.fetch_max(under_way.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                thread::yield_now();
                under_way.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, ()>(())
            },
            |_, ()| answers += 1,
        );
        assert_eq!((sent, answers), (Ok(()), 9));
        assert!(most.into_inner() <= 3);
    }

    #[test]
    fn what_must_go_alone_waits_for_others_and_others_wait_for_it() {
        let begun = Mutex::new(Vec::new());
        let mut order = Vec::new();
        let sent = send_all(
            THREE,
            good([9, 10, 11]),
            |batch: &Batch| {
                begun.lock().unwrap().push(batch.0);
                // Long enough for the next batch to start, if it were allowed to.
                (0..2000).for_each(|_| thread::yield_now());
                assert_eq!(begun.lock().unwrap().last(), Some(&batch.0));
                Ok::<_, ()>(())
            },
            |batch, ()| order.push(batch.0),
        );
        assert_eq!(sent, Ok(()));
        assert_eq!(order, [9, 10, 11]);
    }

    #[test]
    fn the_first_failure_is_told_and_nothing_counts_after_it() {
        let mut order = Vec::new();
        let sent = send_all(
            THREE,
            good(1..=9),
            |batch: &Batch| if [4, 5].contains(&batch.0) { Err("lost") } else { Ok(()) },
            |batch, ()| order.push(batch.0),
        );
        assert_eq!(sent, Err(Stop::Send(Batch(4), "lost")));
        assert_eq!(order, [1, 2, 3]);
    }

    #[test]
    fn what_was_sent_before_reading_failed_is_waited_for() {
        let mut order = Vec::new();
        let sent = send_all(
            THREE,
            good(1..=2).chain([Err("unreadable")]),
            |_: &Batch| Ok::<_, ()>(()),
            |batch, ()| order.push(batch.0),
        );
        assert_eq!(sent, Err(Stop::Read("unreadable")));
        assert_eq!(order, [1, 2]);
    }
}
