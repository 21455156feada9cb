//! The effect of a write on a person's entries, independent of the store.
//!
//! Requests of a person apply in the order in which they were made, however they arrive. But a time later than now was not
//! when anything was requested: a clock was ahead, or a vendor dated a message wrongly. It says only that the request was
//! made before now. Where that leaves the order open, the opt-out wins:
//!
//! * An opt-in that was recorded with such a time makes no opt-out outdated.
//! * An opt-out that was recorded with such a time makes opt-ins outdated that were made before now, and counts as made now
//!   from then on: the next opt-in lifts it.
//! * An opt-in that arrives with such a time changes nothing: it may be delivered again after a later opt-out.
//! * An opt-out that arrives with such a time blocks.

use jiff::{SignedDuration, Timestamp};
use portcullis_msisdn::{Directions, Subject};

use crate::changes::Seq;
use crate::entry::Entry;
use crate::hold::{Coverage, Hold, HoldKind, Holds};
use crate::source::Source;
use crate::text::DisplayForm;
use crate::time::{is_older, whole_milliseconds};
use crate::write::{Block, Outcome, Unblock, Write};

/// How far an opt-in may be dated ahead: about as far as the clocks of vendors and gateways are apart. Within that, requests may
/// apply in the wrong order in any case.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_secs(60);

/// Whether an opt-in was made at this time, as far as its time can be believed.
pub(crate) fn is_credible(requested: Timestamp, now: Timestamp) -> bool {
    requested.duration_since(now) <= CLOCK_SKEW
}

/// The result of a write.
#[derive(Debug)]
pub struct Applied {
    /// The outcome.
    pub outcome: Outcome,
    /// The index, among the person's entries, of the entry that represents the person.
    pub home: usize,
    /// The entries to store, and what to add to the trail: all that changed is in it, so that it can be
    /// [replayed](crate::replay).
    pub steps: Vec<Step>,
    /// The directions blocked before, over all entries.
    pub before: Directions,
    /// The directions blocked now.
    pub after: Directions,
}

/// The change of one entry, or a request that changed nothing because it is outdated.
#[derive(Debug)]
pub struct Step {
    /// The index of the entry among the person's.
    pub place: usize,
    /// What the trail says of it.
    pub outcome: Outcome,
    /// What the entry covered before.
    pub before: Coverage,
    /// What it covers now.
    pub after: Coverage,
}

/// Applies a write to the person's entries: one per subject, or `None` for a subject without an entry. The caller
/// assigns sequence numbers to changed entries. `is_full` rejects a block of somebody who is not blocked yet.
pub fn apply(
    write: &Write,
    subjects: &[Subject],
    entries: &mut [Option<Entry>],
    is_full: bool,
    now: Timestamp,
) -> Applied {
    let before = blocked(entries);
    let mut work = Work { subjects, entries, steps: Vec::new(), now };
    let (outcome, home) = match write {
        Write::Block(block) if is_full && block.hold.blocks() && before.is_none() => (Outcome::Full, 0),
        Write::Block(block) => work.block(block),
        Write::Unblock(unblock) => work.unblock(unblock, before),
    };
    let Work { entries, steps, .. } = work;
    Applied { outcome, home, steps, before, after: blocked(entries) }
}

fn blocked(entries: &[Option<Entry>]) -> Directions {
    entries.iter().flatten().fold(Directions::NONE, |all, entry| all | entry.directions)
}

fn coverage(entry: Option<&Entry>) -> Coverage {
    entry.map(|entry| entry.holds.coverage()).unwrap_or_default()
}

struct Work<'a> {
    subjects: &'a [Subject],
    entries: &'a mut [Option<Entry>],
    steps: Vec<Step>,
    now: Timestamp,
}

impl Work<'_> {
    fn step(&mut self, place: usize, outcome: Outcome, before: Coverage) {
        let after = coverage(self.entries[place].as_ref());
        self.steps.push(Step { place, outcome, before, after });
    }

    /// The index of the person's entry: the one in force, preferably with a hold of this kind, else that of the given
    /// subject.
    fn home(&self, kind: HoldKind) -> usize {
        let in_force = |entry: &Option<Entry>, kind: Option<HoldKind>| {
            let holds = entry.iter().flat_map(|entry| entry.holds.iter());
            holds
                .filter(|hold| kind.is_none_or(|kind| hold.kind == kind))
                .any(|hold| !hold.directions.is_none())
        };
        let mut places = self.entries.iter();
        let of_kind = places.position(|entry| in_force(entry, Some(kind)));
        of_kind.or_else(|| self.entries.iter().position(|entry| in_force(entry, None))).unwrap_or(0)
    }

    /// The index of an entry with a request of the block's kind that is newer, and was made before now.
    fn newer_request(&self, block: &Block) -> Option<usize> {
        let kind = block.hold;
        let requested = block.requested.filter(|_| kind.is_wish() || block.after_loss)?;
        self.entries.iter().position(|entry| {
            let hold = entry.as_ref().and_then(|entry| entry.holds.get(kind));
            hold.is_some_and(|hold| {
                is_older(requested, hold.requested) && !is_older(self.now, hold.requested)
            })
        })
    }

    fn block(&mut self, block: &Block) -> (Outcome, usize) {
        if let Some(place) = self.newer_request(block) {
            let coverage = coverage(self.entries[place].as_ref());
            self.step(place, Outcome::Outdated, coverage);
            return (Outcome::Outdated, place);
        }
        let place = self.home(block.hold);
        let before = coverage(self.entries[place].as_ref());
        let hold = Hold {
            kind: block.hold,
            directions: block.directions,
            source: block.source,
            label: block.label.clone(),
            actor: block.actor.clone(),
            lifted_by: None,
            reason: block.reason.clone(),
            since: self.now,
            requested: block.requested.map_or(self.now, whole_milliseconds),
            expires: block.expires.map(whole_milliseconds),
        };
        let (outcome, recorded) = match &mut self.entries[place] {
            Some(entry) => entry.block(hold, block, self.now),
            none => {
                let display = block.display.clone();
                *none = Some(Entry::made_by(hold, self.subjects[place], display, self.now));
                (Outcome::Added, Some(Outcome::Added))
            }
        };
        if let Some(recorded) = recorded {
            self.step(place, recorded, before);
        }
        (outcome, place)
    }

    fn unblock(&mut self, unblock: &Unblock, before: Directions) -> (Outcome, usize) {
        let first = self.entries.iter().position(Option::is_some);
        if !(unblock.covering & !before).is_none() {
            return (Outcome::Absent, first.unwrap_or(0));
        }
        let mut home = first.unwrap_or(0);
        let (mut lifted, mut outdated, mut noted) = (false, None, None);
        for place in 0..self.entries.len() {
            let was = coverage(self.entries[place].as_ref());
            let Some(entry) = &mut self.entries[place] else { continue };
            let of_entry = entry.lift(unblock, self.now);
            if let Some(outcome) = of_entry.outcome {
                (lifted, home) = (true, place);
                self.step(place, outcome, was);
            } else if of_entry.outdated {
                outdated = outdated.or(Some(place));
                self.step(place, Outcome::Outdated, was);
            } else if of_entry.noted {
                noted = noted.or(Some(place));
                self.step(place, Outcome::Noted, was);
            }
        }
        let kind = match unblock.hold {
            // An operator's block may yet be made again that this lifted, or would have.
            None => Some(HoldKind::Operator).filter(|_| unblock.after_loss),
            Some(kind) => Some(kind).filter(|kind| kind.is_wish() || unblock.after_loss),
        };
        let is_known =
            |kind| self.entries.iter().flatten().any(|entry: &Entry| entry.holds.get(kind).is_some());
        let requested = unblock.requested.or(unblock.after_loss.then_some(self.now));
        let to_note = kind.filter(|&kind| !is_known(kind)).zip(requested);
        if let Some((kind, requested)) = to_note
            && is_credible(requested, self.now)
        {
            self.note(home, kind, unblock, requested);
            noted = noted.or(Some(home));
        }
        let after = blocked(self.entries);
        let outcome = match (lifted, outdated.or(noted)) {
            (true, _) if after == before => Outcome::Lifted,
            (true, _) if after.is_none() => Outcome::Removed,
            (true, _) => Outcome::Narrowed,
            (false, Some(place)) if unblock.requested.is_some() => {
                let outcome = if outdated.is_some() { Outcome::Outdated } else { Outcome::Noted };
                return (outcome, place);
            }
            (false, place) => {
                home = place.unwrap_or(home);
                match (before & unblock.directions).is_none() {
                    true => Outcome::Absent,
                    false => Outcome::Held,
                }
            }
        };
        (outcome, home)
    }

    /// Records that a hold of this kind was to be lifted, although there is none.
    fn note(&mut self, place: usize, kind: HoldKind, unblock: &Unblock, requested: Timestamp) {
        let before = coverage(self.entries[place].as_ref());
        let hold = Hold {
            kind,
            directions: Directions::NONE,
            source: if kind.is_wish() { Source::OptOut } else { Source::Api },
            label: None,
            actor: unblock.actor.clone(),
            lifted_by: Some(unblock.actor.clone()),
            reason: None,
            since: self.now,
            requested: whole_milliseconds(requested),
            expires: None,
        };
        match &mut self.entries[place] {
            Some(entry) => {
                entry.holds.more.push(hold);
                entry.holds.more.sort_by_key(|hold| hold.kind);
                entry.updated = self.now;
            }
            none => *none = Some(Entry::made_by(hold, self.subjects[place], None, self.now)),
        }
        // One record of the request is enough.
        if !self.steps.iter().any(|step| step.place == place) {
            self.step(place, Outcome::Noted, before);
        }
    }
}

/// The result of lifting holds of one entry.
#[derive(Default)]
struct Lifted {
    /// The outcome, if a hold was lifted.
    outcome: Option<Outcome>,
    /// Whether a hold was set or lifted by a newer request.
    outdated: bool,
    /// Whether the request is a newer one to lift a hold that was lifted before.
    noted: bool,
}

impl Unblock {
    /// Whether the time of the request is recorded if there is a hold of this kind that was lifted before.
    fn notes(&self, kind: HoldKind) -> bool {
        match self.after_loss {
            // What lifts all holds says nothing of wishes that were lifted.
            true => self.hold == Some(kind) || !kind.is_wish(),
            false => self.requested.is_some() && kind.is_wish(),
        }
    }
}

impl Entry {
    fn made_by(hold: Hold, subject: Subject, display: Option<DisplayForm>, now: Timestamp) -> Self {
        let mut entry = Entry {
            subject,
            directions: Directions::NONE,
            ever: Directions::NONE,
            holds: Holds { first: hold, more: Vec::new() },
            display,
            created: now,
            updated: now,
            deactivated: None,
            sequence: Seq::START,
        };
        entry.recompute(now);
        entry
    }

    /// Adds a block to the entry. Also returns what is recorded of it; `None` if the entry did not change.
    fn block(&mut self, mut hold: Hold, block: &Block, now: Timestamp) -> (Outcome, Option<Outcome>) {
        let (display, is_dated) = (block.display.as_ref(), block.requested.is_some());
        let before = self.directions;
        let mut is_repeated = false;
        let mut has_news = display.is_some() && display != self.display.as_ref();
        let there = self.holds.iter_mut().find(|there| there.kind == hold.kind);
        match there {
            Some(there) if there.directions.is_none() => *there = hold,
            Some(there) => {
                hold.directions = hold.directions | there.directions;
                hold.reason = hold.reason.or_else(|| there.reason.clone());
                hold.label = hold.label.or_else(|| there.label.clone());
                hold.since = there.since;
                let is_newer = is_older(there.requested, hold.requested);
                if hold.kind.is_wish() {
                    hold.requested = hold.requested.max(there.requested);
                    // A person's own block ends when they say so. Another block can't shorten it.
                    hold.expires = there.expires.and_then(|end| Some(end.max(hold.expires?)));
                }
                has_news |=
                    (&hold.reason, &hold.label, hold.expires) != (&there.reason, &there.label, there.expires);
                has_news |= is_dated && is_newer;
                is_repeated = !has_news && hold.directions == there.directions;
                // A person's repeated request is recorded: those made in between that arrive later are older than it.
                if is_repeated && !((hold.kind.is_wish() || block.after_loss) && is_newer) {
                    return (Outcome::Already, None);
                }
                *there = hold;
            }
            None => self.holds.more.push(hold),
        }
        self.holds.more.sort_by_key(|hold| hold.kind);
        if before.is_none() && !is_repeated {
            // The display form of an ended block does not describe the new one.
            self.display = display.cloned();
        } else if let Some(display) = display {
            self.display = Some(display.clone());
        }
        self.updated = now;
        self.recompute(now);
        let outcome = match (before.is_none(), self.directions == before) {
            (true, false) => Outcome::Reactivated,
            (false, false) => Outcome::Widened,
            (_, true) => Outcome::Updated,
        };
        (if is_repeated { Outcome::Already } else { outcome }, Some(outcome))
    }

    fn lift(&mut self, unblock: &Unblock, now: Timestamp) -> Lifted {
        let before = self.directions;
        let requested = unblock.requested.map_or(now, whole_milliseconds);
        let is_credible = is_credible(requested, now);
        let mut done = Lifted::default();
        let mut lifted = false;
        for hold in self.holds.iter_mut().filter(|hold| unblock.hold.is_none_or(|kind| kind == hold.kind)) {
            // Of two requests at the same time the opt-out wins, so that none is lost.
            let is_newer = is_older(hold.requested, requested);
            let is_wish = hold.kind.is_wish();
            let is_late = match hold.directions.is_none() || !is_wish {
                true => is_older(requested, hold.requested),
                false => !is_newer,
            };
            let is_ordered = unblock.requested.is_some() && (is_wish || unblock.after_loss);
            if is_ordered && (is_late || !is_credible) {
                if is_credible && is_older(now, hold.requested) {
                    hold.requested = if hold.directions.is_none() { requested } else { now };
                }
                done.outdated = true;
                continue;
            }
            if !(hold.directions & unblock.directions).is_none() {
                hold.directions = hold.directions & !unblock.directions;
                hold.lifted_by = Some(unblock.actor.clone());
                hold.requested = requested;
                lifted = true;
            } else if unblock.notes(hold.kind) && is_newer && hold.directions.is_none() {
                hold.requested = requested;
                done.noted = true;
            }
        }
        if lifted || done.noted {
            self.updated = now;
        }
        if lifted {
            self.recompute(now);
            done.outcome = Some(Outcome::of_lifting(before, self.directions));
        }
        done
    }

    /// Recomputes what the entry blocks from its holds.
    fn recompute(&mut self, now: Timestamp) {
        self.directions = self.holds.coverage().blocked();
        self.ever = self.ever | self.directions;
        self.deactivated = match self.directions.is_none() {
            true => self.deactivated.or(Some(now)),
            false => None,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::actor::Actor;

    /// Seconds after this moment.
    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    const DAY: i64 = 86_400;

    /// A person's entry.
    #[derive(Default)]
    struct Person(Option<Entry>);

    impl Person {
        fn hears(&mut self, write: &Write, now: i64) -> Outcome {
            let subject = Subject::new(7).unwrap();
            let mut entries = [self.0.take()];
            let applied = apply(write, &[subject], &mut entries, false, at(now));
            let [entry] = entries;
            self.0 = entry;
            applied.outcome
        }

        fn is_blocked(&self) -> bool {
            self.0.as_ref().is_some_and(|entry| !entry.directions.is_none())
        }
    }

    fn actor() -> Actor {
        Actor::new("sms").unwrap()
    }

    fn stop(requested: Option<i64>) -> Write {
        let subject = Subject::new(7).unwrap();
        let mut block = Block::new(subject, Directions::BOTH, actor());
        (block.hold, block.requested) = (HoldKind::OptOut, requested.map(at));
        block.into()
    }

    fn start(requested: Option<i64>) -> Write {
        let subject = Subject::new(7).unwrap();
        let mut unblock = Unblock::new(subject, Directions::BOTH, actor());
        (unblock.hold, unblock.requested) = (Some(HoldKind::OptOut), requested.map(at));
        unblock.into()
    }

    #[test]
    fn an_opt_in_that_was_recorded_while_the_clock_was_ahead_makes_no_later_opt_out_outdated() {
        for ahead in [600, 400 * DAY] {
            for opt_in in [start(None), start(Some(ahead))] {
                let mut person = Person::default();
                person.hears(&stop(Some(-100)), -90);
                person.hears(&opt_in, ahead);
                assert!(!person.is_blocked());
                // The clock is right again.
                person.hears(&stop(Some(20)), 25);
                assert!(person.is_blocked(), "{ahead} {opt_in:?}");
            }
        }
    }

    #[test]
    fn an_opt_in_that_is_dated_ahead_neither_makes_an_opt_out_outdated_nor_lifts_it() {
        for ahead in [30, 61, DAY] {
            let mut person = Person::default();
            person.hears(&start(Some(ahead)), 0);
            person.hears(&stop(Some(10)), 12);
            assert!(person.is_blocked(), "{ahead}");
            if ahead > 60 {
                // It is delivered again.
                assert_eq!(person.hears(&start(Some(ahead + 20)), 15), Outcome::Outdated);
                assert!(person.is_blocked(), "{ahead}");
            }
            person.hears(&start(Some(ahead + 30)), ahead + 40);
            assert!(!person.is_blocked(), "an opt-in of today");
        }
    }

    #[test]
    fn an_opt_out_that_is_dated_ahead_is_lifted_by_the_second_opt_in_at_the_latest() {
        for (opt_out, now) in [(stop(Some(DAY)), 0), (stop(None), 400 * DAY)] {
            let mut person = Person::default();
            person.hears(&opt_out, now);
            assert_eq!(person.hears(&start(Some(-5)), 10), Outcome::Outdated, "it was made before");
            assert_eq!(person.hears(&start(Some(9)), 10), Outcome::Outdated, "it may have been");
            assert!(person.is_blocked());
            assert_eq!(person.hears(&start(Some(20)), 21), Outcome::Removed);
            assert_eq!(person.hears(&stop(Some(15)), 22), Outcome::Outdated, "the times are right again");
            assert!(!person.is_blocked());
        }
    }

    /// What an operator asks for, of a ledger that may just have lost writes.
    fn operators(mut write: Write, requested: Option<i64>) -> Write {
        match &mut write {
            Write::Block(block) => (block.hold, block.requested) = (HoldKind::Operator, requested.map(at)),
            Write::Unblock(unblock) => (unblock.hold, unblock.requested) = (None, requested.map(at)),
        }
        write.set_after_loss();
        write
    }

    #[test]
    fn an_operators_write_that_is_made_again_changes_nothing_that_was_written_later() {
        let (block, unblock) = (|at| operators(stop(None), at), |at| operators(start(None), at));
        // Nothing was lost but a lift of the block, and the block is repeated.
        let mut person = Person::default();
        person.hears(&block(None), 10);
        assert_eq!(person.hears(&block(None), 30), Outcome::Already);
        assert_eq!(person.hears(&unblock(Some(20)), 40), Outcome::Outdated);
        assert!(person.is_blocked());
        assert_eq!(person.hears(&unblock(Some(35)), 41), Outcome::Removed, "it was made later");
        assert_eq!(person.hears(&block(Some(34)), 42), Outcome::Outdated);
        assert!(!person.is_blocked());

        // A block was lost, and is lifted at a gateway that knows it.
        for lifts in [1, 2] {
            let mut person = Person::default();
            for lift in 0..lifts {
                assert_eq!(person.hears(&unblock(None), 30 + lift), Outcome::Absent);
            }
            assert_eq!(person.hears(&block(Some(28 + lifts)), 40), Outcome::Outdated);
            assert!(!person.is_blocked());
            person.hears(&block(Some(35)), 41);
            assert!(person.is_blocked());
        }
    }

    #[test]
    fn what_lifts_all_after_a_loss_makes_no_later_opt_out_outdated() {
        let mut person = Person::default();
        person.hears(&stop(Some(0)), 1);
        person.hears(&start(Some(10)), 11);
        person.hears(&operators(start(None), None), 30);
        person.hears(&operators(start(None), Some(31)), 32);
        assert_eq!(person.hears(&stop(Some(20)), 40), Outcome::Reactivated);
        assert!(person.is_blocked());
    }

    #[test]
    fn requests_of_right_clocks_apply_in_the_order_in_which_they_were_made() {
        let mut person = Person::default();
        person.hears(&start(Some(10)), 20);
        assert_eq!(person.hears(&stop(Some(5)), 21), Outcome::Outdated);
        person.hears(&stop(Some(30)), 31);
        assert_eq!(person.hears(&start(Some(25)), 32), Outcome::Outdated);
        // A vendor's clock is a little ahead.
        assert_eq!(person.hears(&start(Some(40)), 33), Outcome::Removed);
    }

    /// A request that is made in the first 500 seconds, and delivered some time later, perhaps more than once, with a date or without.
    #[derive(Clone, Debug)]
    struct Delivered {
        opts_out: bool,
        made: i64,
        at: i64,
        /// How far it is dated ahead. `None`: it has no date, and arrives at once.
        dated_ahead: Option<i64>,
        /// How far the clock of the gateway is ahead when it arrives.
        clock_ahead: i64,
    }

    fn delivered() -> impl Strategy<Value = Delivered> {
        let ahead = || prop_oneof![3 => Just(0), 1 => Just(1000), 1 => Just(DAY), 1 => Just(400 * DAY)];
        let when = (0..500_i64, 0..400_i64);
        (any::<bool>(), when, proptest::option::weighted(0.8, ahead()), ahead()).prop_map(
            |(opts_out, (made, late), dated_ahead, clock_ahead)| {
                let late = if dated_ahead.is_some() { late } else { 0 };
                // What opts out has the right time: the others are what may go wrong before it.
                let dated_ahead = dated_ahead.map(|ahead| if opts_out { 0 } else { ahead });
                Delivered { opts_out, made, at: made + late, dated_ahead, clock_ahead }
            },
        )
    }

    proptest! {
        /// In any order of arrival, and after any clocks that were ahead: if the latest request was an opt-out, and
        /// arrived while the clock was right, the person is blocked at the end.
        #[test]
        fn the_latest_opt_out_is_never_forgotten(
            mut others in proptest::collection::vec(delivered(), 0..8),
            late in 0..400_i64,
        ) {
            // Requests of the same second have no order.
            let last = Delivered { opts_out: true, made: 500, at: 500 + late, dated_ahead: Some(0), clock_ahead: 0 };
            for other in &mut others {
                if other.at >= 500 {
                    // The clock is right from the latest request on.
                    other.clock_ahead = 0;
                }
            }
            others.push(last);
            others.sort_by_key(|one| one.at);
            let mut person = Person::default();
            for one in &others {
                let requested = one.dated_ahead.map(|ahead| one.made + ahead);
                let write = if one.opts_out { stop(requested) } else { start(requested) };
                person.hears(&write, one.at + one.clock_ahead);
            }
            prop_assert!(person.is_blocked(), "{others:?}");
        }
    }
}
