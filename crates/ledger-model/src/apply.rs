//! The effect of a write on a person's entries, independent of the store.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::changes::Seq;
use crate::entry::Entry;
use crate::hold::{Coverage, Hold, HoldKind, Holds};
use crate::source::Source;
use crate::text::DisplayForm;
use crate::time::{is_older, whole_milliseconds};
use crate::write::{Block, Outcome, Unblock, Write};

/// The result of a write.
#[derive(Debug)]
pub struct Applied {
    /// The outcome.
    pub outcome: Outcome,
    /// The index, among the person's entries, of the entry that represents the person.
    pub home: usize,
    /// The entries to store. Where the outcome is recorded, also what to add to the trail.
    pub steps: Vec<Step>,
    /// The directions blocked before, over all entries.
    pub before: Directions,
    /// The directions blocked now.
    pub after: Directions,
}

/// The change of one entry.
#[derive(Debug)]
pub struct Step {
    /// The index of the entry among the person's.
    pub place: usize,
    /// [`Outcome::Already`] if only the time of the request changed.
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

    /// The index of an entry with a request of this kind that is newer than `requested`.
    fn newer_wish(&self, kind: HoldKind, requested: Option<Timestamp>) -> Option<usize> {
        let requested = requested.filter(|_| kind.is_wish())?;
        self.entries.iter().position(|entry| {
            let hold = entry.as_ref().and_then(|entry| entry.holds.get(kind));
            hold.is_some_and(|hold| is_older(requested, hold.requested))
        })
    }

    fn block(&mut self, block: &Block) -> (Outcome, usize) {
        if let Some(place) = self.newer_wish(block.hold, block.requested) {
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
        let (outcome, stored) = match &mut self.entries[place] {
            Some(entry) => entry.block(hold, block.display.as_ref(), block.requested.is_some(), self.now),
            none => {
                let display = block.display.clone();
                *none = Some(Entry::made_by(hold, self.subjects[place], display, self.now));
                (Outcome::Added, true)
            }
        };
        if stored {
            self.step(place, outcome, before);
        }
        (outcome, place)
    }

    fn unblock(&mut self, unblock: &Unblock, before: Directions) -> (Outcome, usize) {
        let first = self.entries.iter().position(Option::is_some);
        if !(unblock.covering & !before).is_none() {
            return (Outcome::Absent, first.unwrap_or(0));
        }
        let mut home = first.unwrap_or(0);
        let (mut lifted, mut known, mut outdated) = (false, false, None);
        for place in 0..self.entries.len() {
            let was = coverage(self.entries[place].as_ref());
            let Some(entry) = &mut self.entries[place] else { continue };
            let of_entry = entry.lift(unblock, self.now);
            known |= of_entry.known;
            if of_entry.outdated {
                outdated = outdated.or(Some(place));
            }
            if let Some(outcome) = of_entry.outcome {
                (lifted, home) = (true, place);
                self.step(place, outcome, was);
            } else if of_entry.touched {
                self.step(place, Outcome::Already, was);
            }
        }
        let after = blocked(self.entries);
        let outcome = match (lifted, outdated) {
            (true, _) if after == before => Outcome::Lifted,
            (true, _) if after.is_none() => Outcome::Removed,
            (true, _) => Outcome::Narrowed,
            (false, Some(place)) => {
                let coverage = coverage(self.entries[place].as_ref());
                self.step(place, Outcome::Outdated, coverage);
                return (Outcome::Outdated, place);
            }
            (false, None) => match (unblock.hold.filter(|kind| kind.is_wish()), unblock.requested) {
                (Some(kind), Some(requested)) if !known => {
                    self.note(home, kind, unblock, requested);
                    Outcome::Noted
                }
                _ if (before & unblock.directions).is_none() => Outcome::Absent,
                _ => Outcome::Held,
            },
        };
        (outcome, home)
    }

    /// Records that the person asked for a hold of this kind to be lifted, although there is none.
    fn note(&mut self, place: usize, kind: HoldKind, unblock: &Unblock, requested: Timestamp) {
        let before = coverage(self.entries[place].as_ref());
        let hold = Hold {
            kind,
            directions: Directions::NONE,
            source: Source::OptOut,
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
        self.step(place, Outcome::Noted, before);
    }
}

/// The result of lifting holds of one entry.
#[derive(Default)]
struct Lifted {
    /// The outcome, if a hold was lifted.
    outcome: Option<Outcome>,
    /// Whether there is a hold of the kind, in force or lifted.
    known: bool,
    /// Whether a hold was set or lifted by a newer request.
    outdated: bool,
    /// Whether only the time of the request changed.
    touched: bool,
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

    /// Adds a block to the entry. Also returns whether the entry must be stored.
    fn block(
        &mut self,
        mut hold: Hold,
        display: Option<&DisplayForm>,
        is_dated: bool,
        now: Timestamp,
    ) -> (Outcome, bool) {
        let before = self.directions;
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
                if !has_news && hold.directions == there.directions {
                    // A repeated request. Requests made in between that arrive later are older than this one.
                    let is_touched = hold.kind.is_wish() && is_newer;
                    if is_touched {
                        there.requested = hold.requested;
                    }
                    return (Outcome::Already, is_touched);
                }
                *there = hold;
            }
            None => self.holds.more.push(hold),
        }
        self.holds.more.sort_by_key(|hold| hold.kind);
        if before.is_none() {
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
        (outcome, true)
    }

    fn lift(&mut self, unblock: &Unblock, now: Timestamp) -> Lifted {
        let before = self.directions;
        let requested = unblock.requested.map_or(now, whole_milliseconds);
        let mut done = Lifted::default();
        let mut lifted = false;
        for hold in self.holds.iter_mut().filter(|hold| unblock.hold.is_none_or(|kind| kind == hold.kind)) {
            done.known = true;
            // Of two requests at the same time the opt-out wins, so that none is lost.
            let is_newer = is_older(hold.requested, requested);
            let is_late =
                if hold.directions.is_none() { is_older(requested, hold.requested) } else { !is_newer };
            if unblock.requested.is_some() && hold.kind.is_wish() && is_late {
                done.outdated = true;
                continue;
            }
            if !(hold.directions & unblock.directions).is_none() {
                hold.directions = hold.directions & !unblock.directions;
                hold.lifted_by = Some(unblock.actor.clone());
                hold.requested = requested;
                lifted = true;
            } else if unblock.requested.is_some()
                && hold.kind.is_wish()
                && is_newer
                && hold.directions.is_none()
            {
                hold.requested = requested;
                done.touched = true;
            }
        }
        if lifted {
            self.updated = now;
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
