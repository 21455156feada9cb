//! The one message that may still go out to somebody who just opted out.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_ledger::{SenderId, TenantId};
use portcullis_msisdn::Subject;

/// The most that are remembered at once. Who is not, gets no confirmation: nothing that was asked to stop goes out.
const MOST: usize = 100_000;
/// The most messages that are known to have come. One that is not lifts an opt-out again, as one of now does.
const MOST_SEEN: usize = 10_000;

/// The confirmations of all senders.
#[derive(Default)]
pub(crate) struct AllConfirmations(Mutex<HashMap<(TenantId, SenderId), Arc<Confirmations>>>);

/// With so many senders, those that nobody waits for are dropped.
const MANY_SENDERS: usize = 10_000;

impl AllConfirmations {
    /// Those of one sender.
    pub(crate) fn of(&self, tenant: &TenantId, sender: &SenderId) -> Arc<Confirmations> {
        let mut all = self.0.lock();
        if let Some(known) = all.get(&(tenant.clone(), sender.clone())) {
            return Arc::clone(known);
        }
        if all.len() >= MANY_SENDERS && all.len().is_power_of_two() {
            all.retain(|_, one| Arc::strong_count(one) > 1 || one.is_needed());
        }
        Arc::clone(all.entry((tenant.clone(), sender.clone())).or_default())
    }
}

/// Who may still get one message, and until when. In memory only: a crash loses confirmations, and no opt-out.
#[derive(Default)]
pub(crate) struct Confirmations(Mutex<Book>);

#[derive(Default)]
struct Book {
    allowed: HashMap<Subject, Allowed>,
    seen: HashSet<Mark>,
    /// The same, the oldest first.
    in_order: VecDeque<Mark>,
    hashers: [RandomState; 2],
}

struct Allowed {
    until: Instant,
    is_used: bool,
}

/// What stands for a message and whoever wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Mark([u64; 2]);

impl Confirmations {
    /// Whether somebody may still get one, or it matters what has come.
    fn is_needed(&self) -> bool {
        let now = Instant::now();
        let book = self.0.lock();
        !book.seen.is_empty() || book.allowed.values().any(|allowed| allowed.until > now)
    }

    /// One message may go out within this time.
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

    /// The time begins anew, unless one has gone out.
    pub(crate) fn renew(&self, to: Subject, within: Duration) {
        if let Some(allowed) = self.0.lock().allowed.get_mut(&to) {
            allowed.until = Instant::now() + within;
        }
    }

    /// Whether one may go out. It then has.
    pub(crate) fn take(&self, to: Subject) -> bool {
        let mut book = self.0.lock();
        let allowed = book.allowed.get_mut(&to);
        allowed.is_some_and(|allowed| {
            let is_due = !allowed.is_used && allowed.until > Instant::now();
            allowed.is_used |= is_due;
            is_due
        })
    }

    /// None may any more: the person is in again, and needs none.
    pub(crate) fn forget(&self, to: Subject) {
        self.0.lock().allowed.remove(&to);
    }

    /// What stands for somebody's message of this id.
    pub(crate) fn mark_of(&self, from: Subject, id: &str) -> Mark {
        Mark(self.0.lock().hashers.each_ref().map(|hasher| hasher.hash_one((from, id))))
    }

    /// Whether it has come.
    pub(crate) fn has_come(&self, mark: Mark) -> bool {
        self.0.lock().seen.contains(&mark)
    }

    /// That it has come.
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
