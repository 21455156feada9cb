//! What an address may do only so often, such as to send tokens that are unknown.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, RateLimiter};
use parking_lot::Mutex;

use crate::rate_limit::{Quota, RateLimited};

/// Limits how often each address does something.
///
/// Only what is counted is limited: requests that fail, or are given up. So all others behind the same NAT are served.
pub struct AddressLimit {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    /// When addresses were last forgotten.
    swept: Mutex<Instant>,
}

/// The most addresses that are remembered. Beyond it, those are forgotten that did nothing of the kind lately, and if that is not
/// enough, all are over the limit.
const MOST_ADDRESSES: usize = 65_536;
/// The shortest time between two attempts to forget addresses, each of which looks at all of them.
const SWEEP: Duration = Duration::from_secs(1);
/// The wait that is named if no more addresses can be remembered.
const FULL: Duration = Duration::from_secs(60);

impl AddressLimit {
    /// Lets each address do it so many times a minute, and as many at once.
    pub fn per_minute(times: NonZeroU32) -> Self {
        Self::of(governor::Quota::per_minute(times))
    }

    /// Lets each address do it so often.
    pub fn new(quota: Quota) -> Self {
        Self::of(governor::Quota::per_second(quota.per_second).allow_burst(quota.burst))
    }

    fn of(quota: governor::Quota) -> Self {
        AddressLimit { limiter: RateLimiter::keyed(quota), swept: Mutex::new(Instant::now()) }
    }

    /// Counts that this address has done it.
    ///
    /// # Errors
    /// If it has done it too often. That is not counted.
    pub fn count(&self, address: IpAddr) -> Result<(), RateLimited> {
        if self.limiter.len() >= MOST_ADDRESSES && !self.sweep() {
            return Err(RateLimited(FULL));
        }
        let now = self.limiter.clock().now();
        self.limiter.check_key(&address).map_err(|until| RateLimited(until.wait_time_from(now)))
    }

    /// Forgets the addresses that did nothing of the kind lately. Returns whether there is room then.
    fn sweep(&self) -> bool {
        let mut swept = self.swept.lock();
        if swept.elapsed() < SWEEP {
            return false;
        }
        *swept = Instant::now();
        self.limiter.retain_recent();
        self.limiter.shrink_to_fit();
        self.limiter.len() < MOST_ADDRESSES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_limit() {
        let guesses = AddressLimit::per_minute(NonZeroU32::new(3).unwrap());
        let [first, second] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        for _ in 0..3 {
            assert_eq!(guesses.count(first), Ok(()));
        }
        assert!(guesses.count(first).is_err_and(|wait| (1..=20).contains(&wait.seconds())));
        assert_eq!(guesses.count(second), Ok(()));
    }
}
