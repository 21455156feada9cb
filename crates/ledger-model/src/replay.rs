//! What a person's requests up to a moment come to, by the trail of their entry.
//!
//! A person may give up a number, and its next owner make requests before that is known. What followed from the requests of the one
//! can't be told from the entry any more, so the requests up to that moment are applied again, in the order in which they arrived.

use jiff::Timestamp;
use portcullis_msisdn::Directions;

use crate::actor::Actor;
use crate::apply::{apply, is_credible};
use crate::entry::Entry;
use crate::hold::{Hold, HoldKind};
use crate::record::Record;
use crate::time::is_older;
use crate::write::{Block, Outcome, Unblock, Write};

/// The hold of this kind that the requests made at or before `until` come to; `None` if there was none. `records` are all those of one
/// entry, the latest first, and `now` is the time at which they are read.
pub fn replay(
    records: impl IntoIterator<Item = Record>,
    kind: HoldKind,
    until: Timestamp,
    now: Timestamp,
) -> Option<Hold> {
    let mut arrived_by = now;
    let mut counted: Vec<Record> = Vec::new();
    for record in records {
        let opts_out = record.source.is_some();
        arrived_by = arrived_by.min(record.at);
        // An opt-out of a time to come may have been made at any time before it arrived.
        let is_undated = opts_out && !is_credible(record.requested, arrived_by);
        let is_of_kind = record.hold == Some(kind) || record.hold.is_none() && !opts_out;
        if is_of_kind && (is_undated || !is_older(until, record.requested)) {
            counted.push(record);
        }
    }
    let mut entries = [None];
    while let Some(record) = counted.pop() {
        apply_again(record, kind, &mut entries);
    }
    let [entry] = entries;
    held(entry.as_ref(), kind).cloned()
}

fn held(entry: Option<&Entry>, kind: HoldKind) -> Option<&Hold> {
    entry.and_then(|entry| entry.holds.get(kind))
}

/// Applies a request again, at the time at which it arrived.
fn apply_again(record: Record, kind: HoldKind, entries: &mut [Option<Entry>; 1]) {
    let (subject, directions) = (record.subject, covered_by(&record, kind));
    let there = held(entries[0].as_ref(), kind);
    // What has no date is newer than any hold in force. Otherwise it counts as made when it arrived.
    let is_in_force = there.is_some_and(|hold| !hold.directions.is_none());
    let is_undated = record.requested == record.at && record.outcome != Outcome::Outdated && is_in_force;
    let mut requested = (!is_undated).then_some(record.requested);
    let mut now = record.at;
    if record.actor == Actor::expiry() {
        // Perhaps it was the hold of a request that does not count.
        let ended = there.and_then(|hold| hold.expires).filter(|&end| is_in_force && end <= now);
        let Some(ended) = ended else { return };
        // Requests are compared with the end of the hold, and not with when the ledger lifted it.
        (now, requested) = (ended, None);
    }
    let write = match record.source {
        Some(source) => Write::Block(Block {
            hold: kind,
            source,
            label: record.label,
            reason: record.reason,
            expires: record.expires,
            requested,
            ..Block::new(subject, directions, record.actor)
        }),
        None => Write::Unblock(Unblock {
            hold: Some(kind),
            requested,
            ..Unblock::new(subject, directions, record.actor)
        }),
    };
    apply(&write, &[subject], entries, false, now);
}

/// The directions that a request was about.
fn covered_by(record: &Record, kind: HoldKind) -> Directions {
    let (before, after) = (record.before.of(kind), record.after.of(kind));
    match record.source {
        // Those of an outdated request are not recorded. People ask not to be written to.
        Some(_) if record.outcome == Outcome::Outdated || after.is_none() => after | Directions::OUTBOUND,
        Some(_) => after,
        None if (before & !after).is_none() => Directions::BOTH,
        None => before & !after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::changes::Seq;
    use crate::hold::Coverage;
    use portcullis_msisdn::Subject;

    /// Seconds after this moment.
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    /// The records of an entry, the oldest first.
    #[derive(Default)]
    struct Trail {
        entries: [Option<Entry>; 1],
        records: Vec<Record>,
    }

    impl Trail {
        fn hears(&mut self, write: Write, now: i64) {
            let applied = apply(&write, &[Subject::new(7).unwrap()], &mut self.entries, false, at(now));
            for step in applied.steps {
                self.record(write.clone(), now, step.outcome, (step.before, step.after));
            }
        }

        fn record(&mut self, write: Write, now: i64, outcome: Outcome, covered: (Coverage, Coverage)) {
            let block = match &write {
                Write::Block(block) => Some(block),
                Write::Unblock(_) => None,
            };
            self.records.push(Record {
                subject: Subject::new(7).unwrap(),
                sequence: Seq::START,
                step: 0,
                previous: Seq::START,
                at: at(now),
                requested: write.requested().unwrap_or(at(now)),
                actor: write.actor().clone(),
                hold: write.hold(),
                outcome,
                source: block.map(|block| block.source),
                before: covered.0,
                after: covered.1,
                expires: block.and_then(|block| block.expires),
                reason: None,
                display: None,
                label: None,
            });
        }

        /// Whether an opt-out was in force, by what was requested until then.
        fn held(&self, until: i64, now: i64) -> bool {
            let records = self.records.iter().rev().cloned();
            let hold = replay(records, HoldKind::OptOut, at(until), at(now));
            hold.is_some_and(|hold| !hold.directions.is_none())
        }
    }

    fn actor() -> Actor {
        Actor::new("sms").unwrap()
    }

    fn stop(requested: Option<i64>, expires: Option<i64>) -> Write {
        Write::Block(Block {
            hold: HoldKind::OptOut,
            requested: requested.map(at),
            expires: expires.map(at),
            ..Block::new(Subject::new(7).unwrap(), Directions::OUTBOUND, actor())
        })
    }

    fn start(requested: Option<i64>) -> Write {
        Write::Unblock(Unblock {
            hold: Some(HoldKind::OptOut),
            requested: requested.map(at),
            ..Unblock::new(Subject::new(7).unwrap(), Directions::BOTH, actor())
        })
    }

    #[test]
    fn requests_count_if_they_were_made_by_then_whenever_they_arrived() {
        let mut trail = Trail::default();
        for (write, now) in [
            (start(Some(10)), 11),
            (start(Some(20)), 21),
            (stop(Some(40), None), 41),
            (stop(None, None), 60),
            (start(Some(50)), 61),
            (start(Some(70)), 71),
            (stop(Some(15), None), 72),
        ] {
            trail.hears(write, now);
        }
        let held = [5, 10, 15, 20, 40, 50, 60, 70].map(|until| trail.held(until, 100));
        assert_eq!(held, [false, false, true, false, true, false, true, false]);
    }

    #[test]
    fn an_opt_out_of_a_time_to_come_counts_by_any_time() {
        const AHEAD: i64 = 400 * 86_400;
        for (opt_out, arrived) in [(stop(Some(AHEAD), None), 0), (stop(None, None), AHEAD)] {
            let mut trail = Trail::default();
            trail.hears(opt_out, arrived);
            trail.hears(start(Some(9)), 10);
            trail.hears(start(Some(20)), 21);
            trail.hears(start(Some(30)), 31);
            assert!(trail.held(10, 40), "it withstood one opt-in");
            assert!(!trail.held(20, 40));
            // After that time, too.
            assert!(trail.held(10, 2 * AHEAD));
        }
    }

    #[test]
    fn a_hold_that_ended_outdates_what_was_requested_before_its_end() {
        let mut trail = Trail::default();
        trail.hears(stop(Some(0), Some(50)), 1);
        let covered = Coverage::default().with(HoldKind::OptOut, Directions::OUTBOUND);
        let expiry = Unblock {
            hold: Some(HoldKind::OptOut),
            ..Unblock::new(Subject::new(7).unwrap(), Directions::OUTBOUND, Actor::expiry())
        };
        // The ledger was closed when it ended.
        trail.record(expiry.into(), 100, Outcome::Removed, (covered, Coverage::default()));
        assert!(trail.held(99, 101) && !trail.held(100, 101));
        trail.hears(stop(Some(70), None), 110);
        assert!(trail.held(100, 120), "requested after the end");
    }
}
