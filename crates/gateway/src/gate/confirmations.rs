//! The one message that may still go out to somebody who just opted out.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_msisdn::Subject;

/// The most that are remembered at once. Who is not, gets no confirmation: nothing that was asked to stop goes out.
const MOST: usize = 100_000;

/// Who may still get one message, and until when. In memory only: a crash loses confirmations, and no opt-out.
#[derive(Default)]
pub(crate) struct Confirmations(Mutex<HashMap<Subject, Instant>>);

impl Confirmations {
    /// One message may go out within this time.
    pub(crate) fn allow(&self, to: Subject, within: Duration) {
        if within.is_zero() {
            return;
        }
        let now = Instant::now();
        let mut until = self.0.lock();
        if until.len() >= MOST {
            until.retain(|_, until| *until > now);
        }
        if until.len() < MOST {
            until.insert(to, now + within);
        }
    }

    /// Whether one may go out. It then has.
    pub(crate) fn take(&self, to: Subject) -> bool {
        self.0.lock().remove(&to).is_some_and(|until| until > Instant::now())
    }

    /// None may any more: the person is in again, and needs none.
    pub(crate) fn forget(&self, to: Subject) {
        self.0.lock().remove(&to);
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
        confirmations.allow(who, Duration::from_nanos(1));
        std::thread::yield_now();
        assert!(!confirmations.take(who), "it is too late");
        confirmations.allow(who, Duration::ZERO);
        assert!(!confirmations.take(who));
        confirmations.allow(who, Duration::from_hours(1));
        confirmations.forget(who);
        assert!(!confirmations.take(who));
    }
}
