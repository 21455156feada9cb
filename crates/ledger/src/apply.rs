//! What a write makes of the entries that one person has on a list: whatever store keeps them.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::changes::Seq;
use crate::entry::Entry;
use crate::hold::{Coverage, Hold, HoldKind, Holds};
use crate::source::Source;
use crate::text::DisplayForm;
use crate::time::{is_older, whole_milliseconds};
use crate::write::{Block, Outcome, Unblock, Write};

/// What became of a write.
pub(crate) struct Applied {
    pub(crate) outcome: Outcome,
    /// The place, among those of the person, of the entry that speaks for the person.
    pub(crate) home: usize,
    /// What is to be stored, and where it is recorded, what the trail is to say.
    pub(crate) steps: Vec<Step>,
    pub(crate) before: Directions,
    pub(crate) after: Directions,
}

/// What became of one of the entries.
pub(crate) struct Step {
    pub(crate) place: usize,
    /// [`Outcome::Already`] where only the time of the wish is another.
    pub(crate) outcome: Outcome,
    pub(crate) before: Coverage,
    pub(crate) after: Coverage,
}

/// Makes of the entries, one for each of the person's subjects where there is one, what they are after this write. Those that
/// changed are to be numbered by the caller.
pub(crate) fn apply(
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

    /// Where the person's entry stands: under the subject that was given, unless another one is in force.
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

    /// The entry with a wish of this kind that is newer than `requested`.
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

    /// Remembers when the person asked for no such hold.
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

/// What became of an entry whose holds were to be lifted.
#[derive(Default)]
struct Lifted {
    /// Where one was.
    outcome: Option<Outcome>,
    /// Whether there is one of the kind, in force or not.
    known: bool,
    /// Whether one was set or lifted by a newer wish.
    outdated: bool,
    /// Whether only the time of the wish is another.
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
        entry.weigh(now);
        entry
    }

    /// Puts a new block on what there is, and tells whether there is something to be stored.
    fn block(
        &mut self,
        mut hold: Hold,
        display: Option<&DisplayForm>,
        is_dated: bool,
        now: Timestamp,
    ) -> (Outcome, bool) {
        let before = self.directions;
        let mut told = display.is_some() && display != self.display.as_ref();
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
                    // What a person wants ends when they say so, and not before as somebody else says.
                    hold.expires = there.expires.and_then(|end| Some(end.max(hold.expires?)));
                }
                told |=
                    (&hold.reason, &hold.label, hold.expires) != (&there.reason, &there.label, there.expires);
                told |= is_dated && is_newer;
                if !told && hold.directions == there.directions {
                    // Asked for again: what was asked for in between, and is not here yet, is older than this.
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
            // What was said of an entry that is over does not describe the new one.
            self.display = display.cloned();
        } else if let Some(display) = display {
            self.display = Some(display.clone());
        }
        self.updated = now;
        self.weigh(now);
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
            // Of two wishes of one time, the one to be left alone counts: nobody is lost by it.
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
            self.weigh(now);
            done.outcome = Some(match (self.directions.is_none(), self.directions == before) {
                (_, true) => Outcome::Lifted,
                (true, false) => Outcome::Removed,
                (false, false) => Outcome::Narrowed,
            });
        }
        done
    }

    /// Finds out what is blocked now.
    fn weigh(&mut self, now: Timestamp) {
        self.directions = self.holds.coverage().blocked();
        self.ever = self.ever | self.directions;
        self.deactivated = match self.directions.is_none() {
            true => self.deactivated.or(Some(now)),
            false => None,
        };
    }
}
