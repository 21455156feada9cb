//! Deliveries that are made once by all processes that share a ledger.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::time;

/// How long a vendor delivers something again that was not accepted. A delivery that was made is remembered for as long.
pub const LONGEST_REDELIVERY: Duration = Duration::from_hours(7 * 24);

/// What a delivery is known by: a keyed hash, which tells nobody what was delivered, or to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryKey(
    /// The hash.
    pub [u8; 16],
);

/// Tells a claim from a later one of the same delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClaimId(
    /// The number.
    pub i64,
);

/// The answer to a claim of one delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's to make, until the claim ends.
    Granted,
    /// Somebody else has claimed it, and has not said what became of it.
    Pending,
    /// It was made.
    Done,
}

/// Claims of several deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// Tells those that were granted from others.
    pub id: ClaimId,
    /// The answers, in the order of the keys.
    pub each: Vec<Claim>,
}

/// The most deliveries that a [`DeliveryBook`] remembers: some 5 MB.
pub const MOST_DELIVERIES: usize = 100_000;
/// From how many claims on those that have ended are looked for.
const MANY_CLAIMS: usize = 1024;

/// The deliveries of a ledger that one process has open: claims end with the process, and what was made is stored from time to time.
#[derive(Debug, Default)]
pub struct DeliveryBook {
    claims: HashMap<DeliveryKey, Claimed>,
    latest_claim: i64,
    /// Until when each is remembered.
    done: HashMap<DeliveryKey, Timestamp>,
    /// The same, the first to be forgotten first. A delivery that was made twice is in it twice.
    in_order: VecDeque<Remembered>,
    /// Those that are not stored.
    unstored: Vec<DeliveryKey>,
    /// Whether some that are stored may be forgotten.
    has_forgotten: bool,
}

/// Until when a delivery is remembered.
pub type Remembered = (DeliveryKey, Timestamp);

#[derive(Debug)]
struct Claimed {
    id: ClaimId,
    until: Instant,
}

impl DeliveryBook {
    /// The deliveries that are stored, the first to be forgotten first. If there are more than [`MOST_DELIVERIES`], the latest are enough, and
    /// one more, which says that there are others to be deleted.
    pub fn of(stored: Vec<Remembered>) -> Self {
        let mut book = DeliveryBook::default();
        for (key, until) in stored {
            book.remember(key, until);
        }
        book.forget();
        book
    }

    /// Claims deliveries for this time.
    pub fn claim(&mut self, keys: &[DeliveryKey], lasting: Duration) -> Claims {
        let now = Instant::now();
        if self.claims.len() >= MANY_CLAIMS {
            self.claims.retain(|_, claimed| claimed.until > now);
        }
        self.latest_claim += 1;
        let id = ClaimId(self.latest_claim);
        let each = keys.iter().map(|&key| {
            if self.is_done(key) {
                return Claim::Done;
            }
            match self.claims.get(&key) {
                Some(claimed) if claimed.until > now && claimed.id != id => Claim::Pending,
                _ => {
                    self.claims.insert(key, Claimed { id, until: now + lasting });
                    Claim::Granted
                }
            }
        });
        Claims { each: each.collect(), id }
    }

    /// Remembers that deliveries were made.
    pub fn finish(&mut self, keys: &[DeliveryKey]) {
        let until = time::now() + LONGEST_REDELIVERY;
        for &key in keys {
            self.claims.remove(&key);
            self.remember(key, until);
            self.unstored.push(key);
        }
        self.forget();
    }

    /// Gives up claims of deliveries that were not made.
    pub fn release(&mut self, keys: &[DeliveryKey], id: ClaimId) {
        for key in keys {
            if self.claims.get(key).is_some_and(|claimed| claimed.id == id) {
                self.claims.remove(key);
            }
        }
    }

    /// Whether a delivery was made.
    pub fn is_done(&self, key: DeliveryKey) -> bool {
        self.done.get(&key).is_some_and(|until| *until > time::now())
    }

    fn remember(&mut self, key: DeliveryKey, until: Timestamp) {
        self.done.insert(key, until);
        self.in_order.push_back((key, until));
    }

    /// Forgets those that need not be remembered any longer, and the oldest of too many.
    pub fn forget(&mut self) {
        let now = time::now();
        while let Some(&(key, until)) = self.in_order.front()
            && (until <= now || self.in_order.len() > MOST_DELIVERIES)
        {
            self.in_order.pop_front();
            self.has_forgotten = true;
            if self.done.get(&key) == Some(&until) {
                self.done.remove(&key);
            }
        }
    }

    /// Takes what is to be stored. Those that are remembered until before the time returned are to be deleted. `None` if there is
    /// nothing to do.
    pub fn take_unstored(&mut self) -> Option<(Vec<Remembered>, Timestamp)> {
        if self.unstored.is_empty() && !self.has_forgotten {
            return None;
        }
        self.has_forgotten = false;
        let unstored = std::mem::take(&mut self.unstored).into_iter();
        // Some may be forgotten already.
        let unstored = unstored.filter_map(|key| Some((key, *self.done.get(&key)?))).collect();
        Some((unstored, self.in_order.front().map_or(Timestamp::MAX, |&(_, until)| until)))
    }

    /// What was [taken](Self::take_unstored) could not be stored.
    pub fn put_back(&mut self, unstored: Vec<Remembered>) {
        self.unstored.extend(unstored.into_iter().map(|(key, _)| key));
        self.has_forgotten = true;
    }
}
