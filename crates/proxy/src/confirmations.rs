//! Opt-out confirmations: the one message that may still be sent to a person who has just opted out.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_edge::tenant::Tenant;
use portcullis_edge::visits::Visits;
use portcullis_ledger::{SenderId, TenantId};
use portcullis_msisdn::Subject;

/// Maximum number of people with a pending confirmation, per sender. Beyond it, an opt-out allows no confirmation, which is the
/// safe side.
const MOST: usize = 100_000;
/// Maximum number of opt-ins remembered per sender, to recognize redeliveries. A redelivery of one that was evicted lifts the
/// opt-out again.
const MOST_SEEN: usize = 10_000;

/// The confirmations of all senders.
#[derive(Default)]
pub(crate) struct AllConfirmations(Mutex<HashMap<(TenantId, SenderId), OfSender>>);

/// The confirmations of one sender, for as long as that is set up: one that is removed and added again begins without any.
struct OfSender {
    /// What the sender has for as long as it is set up.
    sender: Weak<Visits>,
    confirmations: Arc<Confirmations>,
}

impl AllConfirmations {
    /// Returns the confirmations of one sender, creating them if needed.
    pub(crate) fn of(&self, tenant: &Tenant, sender: &SenderId) -> Arc<Confirmations> {
        let Some(current) = tenant.senders.get(sender.as_str()) else { return Arc::default() };
        let key = (tenant.config.id.clone(), sender.clone());
        let mut all = self.0.lock();
        if let Some(known) = all.get(&key)
            && std::ptr::eq(known.sender.as_ptr(), Arc::as_ptr(&current.visits))
        {
            return Arc::clone(&known.confirmations);
        }
        if all.len().is_power_of_two() {
            all.retain(|_, known| known.sender.strong_count() > 0);
        }
        let confirmations = Arc::<Confirmations>::default();
        let sender = Arc::downgrade(&current.visits);
        all.insert(key, OfSender { sender, confirmations: Arc::clone(&confirmations) });
        confirmations
    }
}

/// The people to whom one sender may still send one message, and until when.
///
/// Kept in memory only: a restart loses pending confirmations, but no opt-outs.
#[derive(Default)]
pub(crate) struct Confirmations(Mutex<Book>);

#[derive(Default)]
struct Book {
    allowed: HashMap<Subject, Allowed>,
    seen: HashSet<Mark>,
    /// The same marks as `seen`, oldest first.
    in_order: VecDeque<Mark>,
    hashers: [RandomState; 2],
}

struct Allowed {
    until: Instant,
    is_used: bool,
}

/// A hash of a message id and its author. Its keys are random per sender and process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark([u64; 2]);

impl Confirmations {
    /// Allows one message within this time. A zero duration allows none.
    pub(crate) fn allow(&self, to: Subject, within: Duration) {
        if within.is_zero() {
            return;
        }
        let now = Instant::now();
        let allowed = &mut self.0.lock().allowed;
        if allowed.len() >= MOST {
            allowed.retain(|_, allowed| allowed.until > now);
        }
        if allowed.len() < MOST {
            allowed.insert(to, Allowed { until: now + within, is_used: false });
        }
    }

    /// Restarts the time window of a known person. Has no effect if the confirmation was already used.
    pub(crate) fn renew(&self, to: Subject, within: Duration) {
        if let Some(allowed) = self.0.lock().allowed.get_mut(&to) {
            allowed.until = Instant::now() + within;
        }
    }

    /// Uses up the confirmation. Returns whether the message may be sent.
    pub(crate) fn take(&self, to: Subject) -> bool {
        let mut book = self.0.lock();
        let allowed = book.allowed.get_mut(&to);
        allowed.is_some_and(|allowed| {
            let is_due = !allowed.is_used && allowed.until > Instant::now();
            allowed.is_used |= is_due;
            is_due
        })
    }

    /// Discards the confirmation of a person who has opted in again.
    pub(crate) fn forget(&self, to: Subject) {
        self.0.lock().allowed.remove(&to);
    }

    /// Computes the mark of the message with this id from this person.
    pub(crate) fn mark_of(&self, from: Subject, id: &str) -> Mark {
        Mark(self.0.lock().hashers.each_ref().map(|hasher| hasher.hash_one((from, id))))
    }

    /// Whether this message was already received.
    pub(crate) fn has_come(&self, mark: Mark) -> bool {
        self.0.lock().seen.contains(&mark)
    }

    /// Records that this message was received. Evicts the oldest mark beyond the limit.
    pub(crate) fn remember(&self, mark: Mark) {
        let book = &mut *self.0.lock();
        if !book.seen.insert(mark) {
            return;
        }
        book.in_order.push_back(mark);
        if book.in_order.len() > MOST_SEEN
            && let Some(oldest) = book.in_order.pop_front()
        {
            book.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_goes_out_in_time_and_no_second() {
        let who = Subject::new(7).unwrap();
        let confirmations = Confirmations::default();
        assert!(!confirmations.take(who));
        confirmations.allow(who, Duration::from_hours(1));
        assert!(!confirmations.take(Subject::new(8).unwrap()));
        assert!(confirmations.take(who));
        assert!(!confirmations.take(who));
        confirmations.renew(who, Duration::from_hours(1));
        assert!(!confirmations.take(who), "one has gone out");
        confirmations.allow(who, Duration::from_nanos(1));
        std::thread::yield_now();
        assert!(!confirmations.take(who), "it is too late");
        confirmations.renew(who, Duration::from_hours(1));
        assert!(confirmations.take(who), "nobody had heard of it in time");
        confirmations.allow(who, Duration::ZERO);
        assert!(!confirmations.take(who));
        confirmations.allow(who, Duration::from_hours(1));
        confirmations.forget(who);
        assert!(!confirmations.take(who));
    }

    #[test]
    fn messages_are_known_by_id_and_by_who_wrote_them() {
        let confirmations = Confirmations::default();
        let who = Subject::new(7).unwrap();
        let mark = |id: usize| confirmations.mark_of(who, &id.to_string());
        confirmations.remember(mark(1));
        assert!(confirmations.has_come(mark(1)));
        assert!(!confirmations.has_come(confirmations.mark_of(Subject::new(8).unwrap(), "1")));
        (2..=MOST_SEEN).for_each(|id| confirmations.remember(mark(id)));
        assert!(confirmations.has_come(mark(1)));
        confirmations.remember(mark(MOST_SEEN + 1));
        assert!(!confirmations.has_come(mark(1)), "the oldest is forgotten");
        assert!(confirmations.has_come(mark(3)));
    }
}
