//! A change that somebody asks for, and what became of it.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::actor::Actor;
use crate::changes::Seq;
use crate::entry::Entry;
use crate::hold::{Hold, HoldKind, Holds};
use crate::source::Source;
use crate::text::{DisplayForm, Label, Reason};
use crate::time::whole_milliseconds;

/// A change of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Blocks `subject` in `directions`, in addition to what is blocked already.
    ///
    /// Where the entry has a hold of this kind in force, a reason, a label and a display form that are given replace those
    /// there were, and the newest block decides when the hold ends, also where that is never. A hold that was lifted is
    /// made anew; holds of other kinds stay as they are.
    Block {
        /// Whom.
        subject: Subject,
        /// Whose will it is.
        hold: HoldKind,
        /// Which ways: at least one.
        directions: Directions,
        /// How it came about.
        source: Source,
        /// What the client calls that.
        label: Option<Label>,
        /// Who asks for it.
        actor: Actor,
        /// Why.
        reason: Option<Reason>,
        /// The number as the client wrote it, where that is to be shown again.
        display: Option<DisplayForm>,
        /// When the hold ends; kept in whole milliseconds. `None`: not by itself.
        expires: Option<Timestamp>,
    },
    /// Takes `directions` away from the holds of the subject's entry. Without any in force it is inactive, and stays
    /// for the record.
    Unblock {
        /// An entry that does not block all of these directions is left as it is.
        covering: Directions,
        /// Whom.
        subject: Subject,
        /// From the hold of which kind; from all where none is named.
        hold: Option<HoldKind>,
        /// Which ways.
        directions: Directions,
        /// Who asks for it.
        actor: Actor,
    },
}

/// What became of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Blocked for the first time on this list.
    Added,
    /// Blocked again; the entry was inactive.
    Reactivated,
    /// Was blocked, now in more directions.
    Widened,
    /// Blocks as before; a further hold was made, or what is said of one changed: reason, label, display form, end.
    Updated,
    /// Was blocked like this already; nothing changed.
    Already,
    /// No longer blocked in any direction.
    Removed,
    /// Still blocked, in fewer directions.
    Narrowed,
    /// The hold was lifted, and others block as before.
    Lifted,
    /// Was blocked by holds of other kinds only; nothing changed.
    Held,
    /// Was not blocked in any of the directions to be taken away; nothing changed.
    Absent,
    /// Was not blocked, and would have been one more than the list was to have; nothing changed.
    Full,
}

impl Outcome {
    /// Whether the entry is another than before: it then has a new sequence number.
    pub const fn changed(self) -> bool {
        !matches!(self, Outcome::Already | Outcome::Held | Outcome::Absent | Outcome::Full)
    }

    const ALL: [Outcome; 11] = [
        Outcome::Added,
        Outcome::Reactivated,
        Outcome::Widened,
        Outcome::Updated,
        Outcome::Already,
        Outcome::Removed,
        Outcome::Narrowed,
        Outcome::Lifted,
        Outcome::Held,
        Outcome::Absent,
        Outcome::Full,
    ];

    /// What stands for it on disk: never renumber.
    pub(crate) fn code(self) -> i64 {
        self as i64
    }

    pub(crate) fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }
}

/// What became of a [`Write`], and where that stands in the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What became of it.
    pub outcome: Outcome,
    /// The directions that were blocked before.
    pub before: Directions,
    /// The directions that are blocked now.
    pub after: Directions,
    /// Whoever has followed the feed up to here has seen the write: the entry's own sequence number
    /// where the call changed it, else the list's newest.
    pub sequence: Seq,
}

impl Write {
    /// Whom it is about.
    pub fn subject(&self) -> Subject {
        match self {
            Write::Block { subject, .. } | Write::Unblock { subject, .. } => *subject,
        }
    }

    /// The hold that it makes or lifts; `None` where it lifts all.
    pub(crate) fn hold(&self) -> Option<HoldKind> {
        match self {
            Write::Block { hold, .. } => Some(*hold),
            Write::Unblock { hold, .. } => *hold,
        }
    }

    /// Who asks for it.
    pub(crate) fn actor(&self) -> &Actor {
        match self {
            Write::Block { actor, .. } | Write::Unblock { actor, .. } => actor,
        }
    }

    /// Makes of the subject's `entry`, if there is one, what it is after this write. What changed is
    /// to be numbered by the caller.
    pub(crate) fn apply(&self, entry: &mut Option<Entry>, now: Timestamp) -> Outcome {
        match self {
            Write::Block { subject, hold, directions, source, label, actor, reason, display, expires } => {
                let hold = Hold {
                    kind: *hold,
                    directions: *directions,
                    source: *source,
                    label: label.clone(),
                    actor: actor.clone(),
                    lifted_by: None,
                    reason: reason.clone(),
                    since: now,
                    expires: expires.map(whole_milliseconds),
                };
                match entry {
                    None => {
                        *entry = Some(Entry::made_by(hold, *subject, display.clone(), now));
                        Outcome::Added
                    }
                    Some(entry) => entry.block(hold, display.as_ref(), now),
                }
            }
            Write::Unblock { covering, hold, directions, actor, .. } => match entry {
                Some(entry) if (*covering & !entry.directions).is_none() => {
                    entry.lift(*hold, *directions, actor, now)
                }
                _ => Outcome::Absent,
            },
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
        entry.weigh(now);
        entry
    }

    /// Puts a new block on what there is.
    fn block(&mut self, mut hold: Hold, display: Option<&DisplayForm>, now: Timestamp) -> Outcome {
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
                told |=
                    (&hold.reason, &hold.label, hold.expires) != (&there.reason, &there.label, there.expires);
                if !told && hold.directions == there.directions {
                    return Outcome::Already;
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
        match (before.is_none(), self.directions == before) {
            (true, false) => Outcome::Reactivated,
            (false, false) => Outcome::Widened,
            (_, true) => Outcome::Updated,
        }
    }

    fn lift(
        &mut self,
        kind: Option<HoldKind>,
        directions: Directions,
        actor: &Actor,
        now: Timestamp,
    ) -> Outcome {
        let before = self.directions;
        let meant = |hold: &&mut Hold| {
            kind.is_none_or(|kind| kind == hold.kind) && !(hold.directions & directions).is_none()
        };
        let mut lifted = false;
        for hold in self.holds.iter_mut().filter(meant) {
            hold.directions = hold.directions & !directions;
            hold.lifted_by = Some(actor.clone());
            lifted = true;
        }
        if !lifted {
            return if (before & directions).is_none() { Outcome::Absent } else { Outcome::Held };
        }
        self.updated = now;
        self.weigh(now);
        match (self.directions.is_none(), self.directions == before) {
            (_, true) => Outcome::Lifted,
            (true, false) => Outcome::Removed,
            (false, false) => Outcome::Narrowed,
        }
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
