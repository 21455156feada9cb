//! A bounded rate of requests.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, RateLimiter};

/// How many requests are accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// The sustained rate, in requests per second.
    pub per_second: NonZeroU32,
    /// The number of requests that may arrive at once after a pause.
    pub burst: NonZeroU32,
}

/// Bounds the rate of one client's requests.
pub struct RateLimit {
    quota: Quota,
    limiter: DefaultDirectRateLimiter,
}

/// A rate limit is exceeded. Contains the time until the next request is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited(pub Duration);

impl RateLimit {
    /// Creates a limit that has seen no request.
    pub fn new(quota: Quota) -> Self {
        let rate = governor::Quota::per_second(quota.per_second).allow_burst(quota.burst);
        RateLimit { quota, limiter: RateLimiter::direct(rate) }
    }

    /// The quota that it was created with.
    pub fn quota(&self) -> Quota {
        self.quota
    }

    /// Counts a request. Does not wait.
    ///
    /// # Errors
    /// If the limit is exceeded. The request is not counted then.
    pub fn count(&self) -> Result<(), RateLimited> {
        let clock = self.limiter.clock();
        self.limiter.check().map_err(|until| RateLimited(until.wait_time_from(clock.now())))
    }
}

impl RateLimited {
    /// The wait in whole seconds for `Retry-After`: rounded up, and at least 1.
    pub fn seconds(self) -> u64 {
        let rounded = u64::from(self.0.subsec_nanos() > 0) + self.0.as_secs();
        NonZeroU64::new(rounded).map_or(1, NonZeroU64::get)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_of_at_least_one() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (2000, 2)] {
            assert_eq!(RateLimited(Duration::from_millis(millis)).seconds(), seconds, "{millis}");
        }
    }

    #[test]
    fn so_many_requests_pass_at_once_and_the_next_is_told_when_to_come() {
        let [per_second, burst] = [1, 3].map(|number| NonZeroU32::new(number).unwrap());
        let limit = RateLimit::new(Quota { per_second, burst });
        for _ in 0..3 {
            assert_eq!(limit.count(), Ok(()));
        }
        assert!(limit.count().is_err_and(|wait| wait.seconds() == 1));
    }
}
