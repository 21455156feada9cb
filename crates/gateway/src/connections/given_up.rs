//! Requests that clients gave up before they were answered, and the addresses that do so again and again.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_admission::{AddressLimit, LogLimit, Quota};
use tracing::warn;

/// How many requests an address may give up, before its next connections have to wait.
const QUOTA: Quota = Quota { per_second: NonZeroU32::new(50).unwrap(), burst: NonZeroU32::new(200).unwrap() };
/// How long its connections wait before they are served. A client that has lost patience by then has cost next to nothing.
pub(crate) const WAIT: Duration = Duration::from_millis(100);
/// How long new connections of such an address wait from then on.
const LASTING: Duration = Duration::from_secs(1);
/// The most addresses that wait. Beyond it, others don't.
const MOST_ADDRESSES: usize = 4096;

static SLOWED: LogLimit = LogLimit::new(5);

/// Which addresses give up too many requests.
///
/// A request that its client gives up costs a connection, and work that was begun. Whether the next one will be given up, too, shows if it has to
/// wait for a moment: a patient client hardly notices.
pub(super) struct GivenUp {
    limit: AddressLimit,
    /// Until when the connections of an address wait.
    until: Mutex<HashMap<IpAddr, Instant>>,
    /// Whether there are any, so that others need not look.
    is_any: AtomicBool,
}

impl GivenUp {
    pub(super) fn new() -> Self {
        GivenUp { limit: AddressLimit::new(QUOTA), until: Mutex::default(), is_any: AtomicBool::new(false) }
    }

    /// Counts a request of this address that was given up.
    pub(super) fn count(&self, address: IpAddr) {
        if self.limit.count(address).is_ok() {
            return;
        }
        let now = Instant::now();
        let mut until = self.until.lock();
        if until.len() >= MOST_ADDRESSES {
            until.retain(|_, until| *until > now);
        }
        if until.len() < MOST_ADDRESSES || until.contains_key(&address) {
            until.insert(address, now + LASTING);
            self.is_any.store(true, Ordering::Relaxed);
        }
        drop(until);
        if SLOWED.admits() {
            warn!(
                suppressed = SLOWED.suppressed(),
                "an address gives up many requests before they are answered: its next connections wait for {} ms each. If it is a proxy, name it \
                 in server.trusted_proxies",
                WAIT.as_millis()
            );
        }
    }

    /// Whether a new connection of this address has to wait.
    pub(super) fn is_slowed(&self, address: IpAddr) -> bool {
        if !self.is_any.load(Ordering::Relaxed) {
            return false;
        }
        let mut until = self.until.lock();
        let now = Instant::now();
        let is_slowed = until.get(&address).is_some_and(|until| *until > now);
        if !is_slowed {
            until.remove(&address);
            self.is_any.store(!until.is_empty(), Ordering::Relaxed);
        }
        is_slowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_gives_up_many_requests_waits_and_others_do_not() {
        let given_up = GivenUp::new();
        let [bad, good] = [[192, 0, 2, 1], [192, 0, 2, 2]].map(IpAddr::from);
        (0..150).for_each(|_| given_up.count(bad));
        assert!(!given_up.is_slowed(bad), "it may do so now and then");
        (0..150).for_each(|_| given_up.count(bad));
        assert!(given_up.is_slowed(bad) && !given_up.is_slowed(good));
    }
}
