//! What a ledger has written so far, and how long it took.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The most ranges of a [`Distribution`], the one without a bound included.
const RANGES: usize = 20;

/// How often values fell into each of some ranges. Counting one costs two atomic additions, and no lock.
#[derive(Debug)]
pub struct Distribution {
    bounds: &'static [u64],
    counts: [AtomicU64; RANGES],
    sum: AtomicU64,
}

/// A [`Distribution`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Distributed {
    /// The largest value of each range but the last, which has no bound. Ascending.
    pub bounds: &'static [u64],
    /// How many values were in each range, in order, and in the one without a bound; zeros beyond that.
    pub counts: [u64; RANGES],
    /// The sum of all values.
    pub sum: u64,
}

impl Distribution {
    /// Creates one in which nothing was counted. `bounds` are the largest values of the ranges, ascending. Bounds beyond the nineteenth are
    /// left out.
    pub const fn new(bounds: &'static [u64]) -> Self {
        let bounds = match bounds.split_at_checked(RANGES - 1) {
            Some((bounds, _)) => bounds,
            None => bounds,
        };
        Distribution { bounds, counts: [const { AtomicU64::new(0) }; RANGES], sum: AtomicU64::new(0) }
    }

    /// Counts a value.
    pub fn observe(&self, value: u64) {
        let range = self.bounds.partition_point(|bound| *bound < value);
        // There are more counts than bounds.
        if let Some(count) = self.counts.get(range) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    /// Counts a time, in nanoseconds.
    pub fn observe_time(&self, time: Duration) {
        self.observe(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What was counted so far. A value that is being counted at the same time may be in the sum and not in its range, or the other way
    /// round.
    pub fn read(&self) -> Distributed {
        let counts = std::array::from_fn(|range| self.counts[range].load(Ordering::Relaxed));
        Distributed { bounds: self.bounds, counts, sum: self.sum.load(Ordering::Relaxed) }
    }
}

impl Distributed {
    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// In nanoseconds: 50 µs, which a flush of a fast disk takes, to 10 s.
const COMMIT_TIMES: &[u64] = &[
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_500_000_000,
    10_000_000_000,
];
const COMMIT_ROWS: &[u64] = &[1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 50_000];

/// Counts what a ledger writes.
#[derive(Debug)]
pub struct CommitMeter {
    jobs: AtomicU64,
    commits: AtomicU64,
    waiting: AtomicU64,
    times: Distribution,
    rows: Distribution,
}

/// What a ledger has written since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Write calls.
    pub jobs: u64,
    /// Commits. Each is one flush of the disk; under load many calls share one.
    pub commits: u64,
    /// Write calls that wait now, or are being committed.
    pub waiting: u64,
    /// How long transactions took, from their beginning until their commit was on disk, in nanoseconds.
    pub times: Distributed,
    /// About how many rows each of them wrote.
    pub rows: Distributed,
}

impl Default for CommitMeter {
    fn default() -> Self {
        CommitMeter {
            jobs: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            waiting: AtomicU64::new(0),
            times: Distribution::new(COMMIT_TIMES),
            rows: Distribution::new(COMMIT_ROWS),
        }
    }
}

impl CommitMeter {
    /// Counts write calls that are carried out.
    pub fn jobs(&self, count: usize) {
        self.jobs.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Counts a commit.
    pub fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    /// Records how long a transaction took, and about how many rows it wrote.
    pub fn took(&self, time: Duration, rows: usize) {
        self.times.observe_time(time);
        self.rows.observe(rows as u64);
    }

    /// Does a write call, which counts as waiting meanwhile.
    pub fn waiting<T>(&self, call: impl FnOnce() -> T) -> T {
        /// A panic must not leave a call that waits for ever.
        struct Waiting<'a>(&'a AtomicU64);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        call()
    }

    /// What was counted so far.
    pub fn read(&self) -> Stats {
        Stats {
            jobs: self.jobs.load(Ordering::Relaxed),
            commits: self.commits.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            times: self.times.read(),
            rows: self.rows.read(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_in_the_range_that_it_ends() {
        let distribution = Distribution::new(&[10, 20]);
        for value in [0, 10, 11, 20, 21, u64::MAX - 62] {
            distribution.observe(value);
        }
        let read = distribution.read();
        assert_eq!((&read.counts[..4], read.count(), read.sum), (&[2, 2, 2, 0][..], 6, u64::MAX));
    }

    #[test]
    fn a_call_waits_until_it_is_answered() {
        let meter = CommitMeter::default();
        assert_eq!(meter.waiting(|| meter.read().waiting), 1);
        assert_eq!(meter.read().waiting, 0);
    }

    #[test]
    fn no_bound_is_left_out() {
        let stats = CommitMeter::default().read();
        assert_eq!((stats.times.bounds, stats.rows.bounds), (COMMIT_TIMES, COMMIT_ROWS));
    }
}
