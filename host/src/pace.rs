//! Whether a plugin is fast enough to be called on a thread that must not be held up.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::random::Random;

/// The CPU time that a plugin's calls took beyond what a fast one needs: a leaky bucket, in CPU time, because by wall time
/// every plugin is slow on a busy machine.
///
/// A bucket that overflows makes the plugin slow: its checks wait for a thread of their own, so that they hold up nobody
/// else's. After a while in which it was fast, it is called directly again. Each relapse doubles that while, which is random, so that the slow
/// plugins of many tenants are not tried again at the same moment.
///
/// The threads that a slow plugin holds up are everybody's. So all generations of a tenant's plugin should share one, in
/// their [recipes](crate::Recipe): the first list on which it is slow says so for the others, and it is not tried anew for
/// each list, nor for each generation of one. A fast check only reads two flags, which are written when a call was slow.
#[derive(Debug, Default)]
pub struct Pace {
    /// Whether it was slow when last looked at. Readable without the lock.
    slow: AtomicBool,
    /// How many more calls are measured on any of the lists, because one seemed to take long.
    suspects: AtomicU32,
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

/// How long a thread that must not be held up waits for an instance: a few checks, or a step of a write.
pub(crate) const INSTANT: Duration = Duration::from_micros(100);

/// The debt that makes a plugin slow.
const MOST_DEBT: Duration = Duration::from_millis(5);
/// The share of time by which debt drains: 1 %.
const DRAIN: u32 = 100;
/// How long a plugin stays slow at first, and at most: up to twice as long, at random.
const FIRST_STAY: Duration = Duration::from_secs(5);
const LONGEST_STAY: Duration = Duration::from_secs(600);
/// The steps in which that is drawn.
const PARTS: u32 = 1000;
/// So many calls after one that seemed to take long are measured.
const SUSPECTS: u32 = 64;

impl Pace {
    /// Whether calls must not be made on a thread that others wait for.
    #[inline]
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed) && self.is_slow_at(Instant::now())
    }

    /// Adds the CPU time that a call took beyond what a fast one needs.
    #[cold]
    pub(crate) fn charge(&self, used: Duration) {
        let part = Random::new().below(PARTS as usize + 1);
        self.charge_at(used, Instant::now(), u32::try_from(part).unwrap_or(PARTS));
    }

    /// Has the next calls measured, on any list: a call seemed to take long.
    #[cold]
    pub(crate) fn suspect(&self) {
        self.suspects.store(SUSPECTS, Ordering::Relaxed);
    }

    /// Whether a call is to be measured, because another one seemed to take long.
    #[inline]
    pub(crate) fn is_suspect(&self) -> bool {
        self.suspects.load(Ordering::Relaxed) > 0 && self.take_suspect()
    }

    #[cold]
    fn take_suspect(&self) -> bool {
        let one_less = |left: u32| left.checked_sub(1);
        self.suspects.try_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok()
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

    /// `part` of [`PARTS`] is by how much longer it stays slow, if it does.
    fn charge_at(&self, used: Duration, now: Instant, part: u32) {
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
        let stay = (FIRST_STAY * 2_u32.pow(doublings)).min(LONGEST_STAY);
        bucket.until = bucket.until.max(Some(now + stay + stay / PARTS * part));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_plugin_that_takes_more_than_its_share_is_slow_for_a_while() {
        let (pace, start) = (Pace::default(), Instant::now());
        assert!(!pace.is_slow());
        pace.charge_at(3 * MS, start, 0);
        assert!(!pace.is_slow());
        pace.charge_at(3 * MS, start, 0);
        assert!(pace.slow.load(Ordering::Relaxed));
        assert!(pace.is_slow_at(start + 4 * SECOND));
        assert!(!pace.is_slow_at(start + 5 * SECOND));
        assert!(!pace.is_slow());
    }

    #[test]
    fn a_rare_slow_call_is_no_matter() {
        let (pace, start) = (Pace::default(), Instant::now());
        for n in 0..100 {
            pace.charge_at(4 * MS, start + n * SECOND, 0);
        }
        assert!(!pace.is_slow());
    }

    #[test]
    fn a_plugin_stays_slow_as_long_as_it_is_and_twice_as_long_after_a_relapse() {
        let (pace, start) = (Pace::default(), Instant::now());
        pace.charge_at(6 * MS, start, 0);
        pace.charge_at(6 * MS, start + 4 * SECOND, 0);
        assert!(pace.is_slow_at(start + 8 * SECOND));
        assert!(!pace.is_slow_at(start + 9 * SECOND));
        pace.charge_at(6 * MS, start + 20 * SECOND, 0);
        assert!(pace.is_slow_at(start + 29 * SECOND));
        assert!(!pace.is_slow_at(start + 30 * SECOND));
    }

    #[test]
    fn plugins_that_became_slow_at_the_same_moment_are_tried_again_at_different_ones() {
        let (start, later) = (Instant::now(), |pace: &Pace| pace.bucket.lock().until.unwrap());
        let tried: std::collections::BTreeSet<Instant> = (0..64)
            .map(|_| {
                let pace = Pace::default();
                pace.charge(6 * MS);
                later(&pace)
            })
            .collect();
        let (first, last) = (*tried.first().unwrap(), *tried.last().unwrap());
        assert!(first >= start + FIRST_STAY && last - first > SECOND, "{:?}", last - first);
        let pace = Pace::default();
        pace.charge_at(6 * MS, start, PARTS);
        assert_eq!(later(&pace), start + 2 * FIRST_STAY);
    }

    #[test]
    fn a_suspicion_lasts_for_some_calls() {
        let pace = Pace::default();
        assert!(!pace.is_suspect());
        pace.suspect();
        assert_eq!((0..1000).take_while(|_| pace.is_suspect()).count(), SUSPECTS as usize);
    }
}
