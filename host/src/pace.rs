//! Whether a generation's plugin is fast enough to be called on a thread that must not be held up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The CPU time that a generation's calls took beyond what a fast plugin needs: a leaky bucket, in CPU time, because by
/// wall time every plugin is slow on a busy machine.
///
/// A bucket that overflows makes the generation slow: its checks wait for a thread of their own, so that they hold up
/// nobody else's. After a while in which it was fast, it is called directly again. Each relapse doubles that while.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Whether it was slow when last looked at. Readable without the lock.
    slow: AtomicBool,
    bucket: Mutex<Bucket>,
}

#[derive(Debug, Default)]
struct Bucket {
    debt: Duration,
    drained: Option<Instant>,
    /// Until when it stays slow.
    until: Option<Instant>,
    relapses: u32,
}

/// The debt that makes a generation slow.
const MOST_DEBT: Duration = Duration::from_millis(5);
/// The share of time by which debt drains: 1 %.
const DRAIN: u32 = 100;
/// How long a generation stays slow at first, and at most.
const FIRST_STAY: Duration = Duration::from_secs(5);
const LONGEST_STAY: Duration = Duration::from_secs(600);

impl Pace {
    /// Whether calls must not be made on a thread that others wait for.
    #[inline]
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed) && self.is_slow_at(Instant::now())
    }

    /// Adds the CPU time of a call.
    #[cold]
    pub(crate) fn charge(&self, used: Duration) {
        self.charge_at(used, Instant::now());
    }

    /// Forgets what filling took: it is about to serve.
    pub(crate) fn reset(&self) {
        let mut bucket = self.bucket.lock();
        *bucket = Bucket::default();
        self.slow.store(false, Ordering::Relaxed);
    }

    #[cold]
    fn is_slow_at(&self, now: Instant) -> bool {
        let mut bucket = self.bucket.lock();
        if bucket.until.is_some_and(|until| now < until) {
            return true;
        }
        bucket.until = None;
        bucket.debt = Duration::ZERO;
        self.slow.store(false, Ordering::Relaxed);
        false
    }

    fn charge_at(&self, used: Duration, now: Instant) {
        let mut bucket = self.bucket.lock();
        let idle = bucket.drained.map_or(Duration::ZERO, |drained| now.saturating_duration_since(drained));
        bucket.debt = bucket.debt.saturating_sub(idle / DRAIN) + used;
        bucket.drained = Some(now);
        if bucket.debt <= MOST_DEBT {
            return;
        }
        bucket.debt = Duration::ZERO;
        let was_slow = self.slow.swap(true, Ordering::Relaxed);
        if !was_slow {
            bucket.relapses += 1;
        }
        let doublings = bucket.relapses.saturating_sub(1).min(16);
        bucket.until = Some(now + (FIRST_STAY * 2_u32.pow(doublings)).min(LONGEST_STAY));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_generation_that_takes_more_than_its_share_is_slow_for_a_while() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert!(!pace.is_slow());
        pace.charge_at(3 * MS, start);
        assert!(!pace.is_slow());
        pace.charge_at(3 * MS, start);
        assert!(pace.slow.load(Ordering::Relaxed));
        assert!(pace.is_slow_at(start + 4 * SECOND));
        assert!(!pace.is_slow_at(start + 5 * SECOND));
        assert!(!pace.is_slow());
    }

    #[test]
    fn a_rare_slow_call_is_no_matter() {
        let (pace, start) = (Pace::default(), Instant::now());
        for n in 0..100 {
            pace.charge_at(4 * MS, start + n * SECOND);
        }
        assert!(!pace.is_slow());
    }

    #[test]
    fn a_generation_stays_slow_as_long_as_it_is_and_twice_as_long_after_a_relapse() {
        let (pace, start) = (Pace::default(), Instant::now());
        pace.charge_at(6 * MS, start);
        pace.charge_at(6 * MS, start + 4 * SECOND);
        assert!(pace.is_slow_at(start + 8 * SECOND));
        assert!(!pace.is_slow_at(start + 9 * SECOND));
        pace.charge_at(6 * MS, start + 20 * SECOND);
        assert!(pace.is_slow_at(start + 29 * SECOND));
        assert!(!pace.is_slow_at(start + 30 * SECOND));
        pace.reset();
        pace.charge_at(6 * MS, start + 40 * SECOND);
        assert!(!pace.is_slow_at(start + 45 * SECOND));
    }
}
