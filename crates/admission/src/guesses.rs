//! Tokens that are guessed: how many unknown ones an address may send.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::Clock as _;
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use parking_lot::Mutex;

use crate::rate_limit::RateLimited;

/// Limits the requests with an unknown token per address.
///
/// Only failing requests are counted and limited, so that a valid token works whatever its neighbours behind the same NAT
/// send. A guess costs a connection beyond the limit, because the response closes it; the protection against guessing is the
/// length of the tokens.
pub struct Guesses {
    limiter: DefaultKeyedRateLimiter<IpAddr>,
    /// When addresses were last forgotten.
    swept: Mutex<Instant>,
}

/// The most addresses that are remembered. Beyond it, those are forgotten that sent no unknown token lately, and if that is not
/// enough, all requests with one are refused.
const MOST_ADDRESSES: usize = 65_536;
/// The shortest time between two attempts to forget addresses, each of which looks at all of them.
const SWEEP: Duration = Duration::from_secs(1);
/// The wait that is named if no more addresses can be remembered.
const FULL: Duration = Duration::from_secs(60);

impl Guesses {
    /// Lets each address send so many unknown tokens a minute.
    pub fn new(per_minute: NonZeroU32) -> Self {
        Guesses {
            limiter: RateLimiter::keyed(Quota::per_minute(per_minute)),
            swept: Mutex::new(Instant::now()),
        }
    }

    /// Counts a request with an unknown token from this address.
    ///
    /// # Errors
    /// If it has sent too many.
    pub fn count(&self, address: IpAddr) -> Result<(), RateLimited> {
        if self.limiter.len() >= MOST_ADDRESSES && !self.sweep() {
            return Err(RateLimited(FULL));
        }
        let now = self.limiter.clock().now();
        self.limiter.check_key(&address).map_err(|until| RateLimited(until.wait_time_from(now)))
    }

    /// Forgets the addresses that sent no unknown token lately. Returns whether there is room then.
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
        let guesses = Guesses::new(NonZeroU32::new(3).unwrap());
        let [first, second] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        for _ in 0..3 {
            assert_eq!(guesses.count(first), Ok(()));
        }
        assert!(guesses.count(first).is_err_and(|wait| (1..=20).contains(&wait.seconds())));
        assert_eq!(guesses.count(second), Ok(()));
    }
}
