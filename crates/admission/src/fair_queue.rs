//! The order in which a single writer runs jobs: fair between tenants, by the rows that they write.
//!
//! This is start-time fair queueing (Goyal, Vin and Cheng, 1996): a job starts at the virtual time at which its tenant's previous job
//! ended, or now if that has passed, and the job with the earliest start is next. So who writes little comes before who has written
//! much. A tenant's bulk jobs and its others are counted apart: each of the two kinds runs in order, and a single write does not wait
//! for an import of the same tenant.
//!
//! A client that waits for each of its writes has none in the queue when the writer looks, and would wait for a whole bulk job each
//! time. So after a bulk job, others have the writer to themselves for three times as long as the job took, if there are others. What
//! the gateway writes for itself, such as the id of a saved state, is none: it would slow down an import that runs alone.

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, HashMap};
use std::time::{Duration, Instant};

/// A job of more rows is a bulk job: it takes tens of milliseconds.
pub const BULK: usize = 2000;
/// How long it counts as recent that somebody wrote a little.
const RECENT: Duration = Duration::from_secs(1);
/// How long others have the writer to themselves, in multiples of what the bulk job took, and at most.
const REST: u32 = 3;
const LONGEST_REST: Duration = Duration::from_secs(2);
/// Tenants are forgotten when there are more of them, and none waits.
const MANY: usize = 1024;

/// Jobs that wait for the writer.
pub struct FairQueue<J> {
    jobs: BinaryHeap<Reverse<Queued<J>>>,
    /// When the last job of each tenant ends, in virtual time: rows. Apart for bulk jobs.
    ends: HashMap<(i64, bool), u64>,
    now: u64,
    tickets: u64,
    /// When a client last wrote a little.
    small: Option<Instant>,
    /// No bulk job begins before.
    bulk_from: Option<Instant>,
}

struct Queued<J> {
    start: u64,
    ticket: u64,
    rows: usize,
    is_client_s: bool,
    job: J,
}

impl<J> Queued<J> {
    fn order(&self) -> (u64, u64) {
        (self.start, self.ticket)
    }
}

impl<J> PartialEq for Queued<J> {
    fn eq(&self, other: &Self) -> bool {
        self.order() == other.order()
    }
}

impl<J> Eq for Queued<J> {}

impl<J> PartialOrd for Queued<J> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<J> Ord for Queued<J> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order().cmp(&other.order())
    }
}

impl<J> Default for FairQueue<J> {
    fn default() -> Self {
        Self::new()
    }
}

impl<J> FairQueue<J> {
    /// An empty queue.
    pub fn new() -> Self {
        FairQueue {
            jobs: BinaryHeap::new(),
            ends: HashMap::new(),
            now: 0,
            tickets: 0,
            small: None,
            bulk_from: None,
        }
    }

    /// Whether no job waits.
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Adds a job of a tenant. Even a job without rows takes a turn. `is_client_s` says whether a client waits for it.
    pub fn push(&mut self, tenant: i64, rows: usize, is_client_s: bool, job: J) {
        if self.jobs.is_empty() && self.ends.len() > MANY {
            self.ends.clear();
        }
        let flow = (tenant, rows > BULK);
        let start = self.ends.get(&flow).map_or(self.now, |&end| end.max(self.now));
        self.ends.insert(flow, start + rows.max(1) as u64);
        self.tickets += 1;
        self.jobs.push(Reverse(Queued { start, ticket: self.tickets, rows, is_client_s, job }));
    }

    /// The next job, if it satisfies `fits`. `fits` is told its rows.
    pub fn pop_if(&mut self, fits: impl FnOnce(&J, usize) -> bool) -> Option<(J, usize)> {
        let next = self.jobs.peek_mut().filter(|next| fits(&next.0.job, next.0.rows))?;
        let Reverse(next) = PeekMut::pop(next);
        self.now = self.now.max(next.start);
        if next.is_client_s && next.rows <= BULK {
            self.small = Some(Instant::now());
        }
        Some((next.job, next.rows))
    }

    /// How long the next job has to wait, because it is a bulk job, and others had to wait for one just now.
    pub fn pause(&self, now: Instant) -> Option<Duration> {
        self.jobs.peek().filter(|next| next.0.rows > BULK)?;
        let left = self.bulk_from?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Whether a client wrote a little lately, and may do so again.
    pub fn has_company(&self, now: Instant) -> bool {
        self.small.is_some_and(|small| now.saturating_duration_since(small) < RECENT)
    }

    /// A bulk job ran from `start` to `end`.
    pub fn bulk_ran(&mut self, start: Instant, end: Instant) {
        let others = self.has_company(start);
        let took = end.saturating_duration_since(start);
        self.bulk_from = others.then(|| end + took.saturating_mul(REST).min(LONGEST_REST));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain(queue: &mut FairQueue<(i64, usize)>) -> Vec<(i64, usize)> {
        std::iter::from_fn(|| queue.pop_if(|_, _| true)).map(|(job, _)| job).collect()
    }

    #[test]
    fn who_writes_little_comes_before_who_has_written_much() {
        let mut queue = FairQueue::new();
        for n in 0..64 {
            queue.push(1, 10_000, true, (1, n));
        }
        assert_eq!(queue.pop_if(|_, _| true), Some(((1, 0), 10_000)));
        queue.push(2, 1, true, (2, 0));
        queue.push(3, 1, true, (3, 0));
        assert_eq!(drain(&mut queue)[..3], [(2, 0), (3, 0), (1, 1)]);
        // To have been idle gives no credit.
        queue.push(1, 10_000, true, (1, 64));
        queue.push(4, 10_000, true, (4, 0));
        queue.push(4, 10_000, true, (4, 1));
        queue.push(1, 10_000, true, (1, 65));
        assert_eq!(drain(&mut queue), [(4, 0), (1, 64), (4, 1), (1, 65)]);
    }

    #[test]
    fn a_single_write_does_not_wait_for_the_bulk_jobs_of_its_own_tenant() {
        let mut queue = FairQueue::new();
        for n in 0..8 {
            queue.push(1, 10_000, true, (1, n));
        }
        assert_eq!(queue.pop_if(|_, _| true), Some(((1, 0), 10_000)));
        queue.push(1, 1, true, (1, 8));
        queue.push(1, 1, true, (1, 9));
        assert_eq!(drain(&mut queue)[..3], [(1, 8), (1, 9), (1, 1)]);
    }

    #[test]
    fn a_bulk_job_waits_after_the_last_one_if_others_write() {
        let (start, took) = (Instant::now(), Duration::from_millis(50));
        let mut queue = FairQueue::new();
        queue.push(1, BULK + 1, true, ());
        queue.bulk_ran(start, start + took);
        assert_eq!(queue.pause(start + took), None, "nobody else is there");
        assert!(!queue.has_company(start));
        queue.push(2, 1, true, ());
        assert!(queue.pop_if(|(), rows| rows == BULK + 1).is_some());
        assert!(queue.pop_if(|(), rows| rows == 1).is_some());
        let start = Instant::now();
        assert!(queue.has_company(start));
        queue.bulk_ran(start, start + took);
        queue.push(1, BULK + 1, true, ());
        assert_eq!(queue.pause(start + took), Some(REST * took));
        assert_eq!(queue.pause(start + (1 + REST) * took), None);
        queue.push(2, 1, true, ());
        assert_eq!(queue.pause(start + took), None, "a small one is next");
    }

    #[test]
    fn what_the_gateway_writes_for_itself_does_not_slow_down_a_bulk_job() {
        let (start, took) = (Instant::now(), Duration::from_millis(50));
        let mut queue = FairQueue::new();
        queue.push(1, 1, false, ());
        assert!(queue.pop_if(|(), _| true).is_some());
        queue.bulk_ran(start, start + took);
        queue.push(1, BULK + 1, true, ());
        assert_eq!(queue.pause(start + took), None);
    }

    proptest! {
        #[test]
        fn a_tenant_s_jobs_of_a_kind_run_in_order_and_none_is_lost(
            pushes in proptest::collection::vec((0..4_i64, 0..5000_usize, any::<bool>()), 0..100),
        ) {
            let (mut queue, mut ran) = (FairQueue::new(), Vec::new());
            for (n, &(tenant, rows, pops)) in pushes.iter().enumerate() {
                queue.push(tenant, rows, true, (tenant, n));
                if pops {
                    ran.extend(queue.pop_if(|_, _| true).map(|(job, _)| job));
                }
            }
            ran.extend(drain(&mut queue));
            prop_assert_eq!(ran.len(), pushes.len());
            for tenant in 0..4 {
                for is_bulk in [false, true] {
                    let is_it = |job: &&(i64, usize)| job.0 == tenant && (pushes[job.1].1 > BULK) == is_bulk;
                    let order: Vec<usize> = ran.iter().filter(is_it).map(|job| job.1).collect();
                    prop_assert!(order.is_sorted());
                }
            }
        }
    }
}
