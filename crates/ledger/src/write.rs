//! A change that somebody asks for, and what became of it.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::actor::Actor;
use crate::changes::Seq;
use crate::entry::Entry;
use crate::source::Source;
use crate::text::{DisplayForm, Reason};
use crate::time::whole_milliseconds;

/// A change of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Blocks `subject` in `directions`, in addition to what is blocked already.
    ///
    /// On an active entry, a reason and a display form that are given replace those there were, and
    /// the newest block decides when the entry ends, also where that is never. An inactive entry
    /// keeps only its time of creation; everything else is the new block's.
    Block {
        /// Whom.
        subject: Subject,
        /// Which ways: at least one.
        directions: Directions,
        /// How it came about.
        source: Source,
        /// Who asks for it.
        actor: Actor,
        /// Why.
        reason: Option<Reason>,
        /// The number as the client wrote it, where that is to be shown again.
        display: Option<DisplayForm>,
        /// When the entry ends; kept in whole milliseconds. `None`: not by itself.
        expires: Option<Timestamp>,
    },
    /// Takes `directions` away from the subject's entry. With none left it is inactive, and stays
    /// for the record.
    Unblock {
        /// Whom.
        subject: Subject,
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
    /// Was blocked in these directions; the reason, the display form or the end changed.
    Updated,
    /// Was blocked like this already; nothing changed.
    Already,
    /// No longer blocked in any direction.
    Removed,
    /// Still blocked, in fewer directions.
    Narrowed,
    /// Was not blocked in any of the directions to be taken away; nothing changed.
    Absent,
}

impl Outcome {
    /// Whether the entry is another than before: it then has a new sequence number.
    pub const fn changed(self) -> bool {
        !matches!(self, Outcome::Already | Outcome::Absent)
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

    /// Makes of the subject's `entry`, if there is one, what it is after this write. What changed is
    /// to be numbered by the caller.
    pub(crate) fn apply(&self, entry: &mut Option<Entry>, now: Timestamp) -> Outcome {
        match self {
            Write::Block { directions, source, actor, reason, display, expires, subject } => {
                let block = Entry {
                    subject: *subject,
                    directions: *directions,
                    source: *source,
                    actor: actor.clone(),
                    lifted_by: None,
                    reason: reason.clone(),
                    display: display.clone(),
                    created: now,
                    updated: now,
                    deactivated: None,
                    expires: expires.map(whole_milliseconds),
                    sequence: Seq::START,
                };
                block.put_on(entry)
            }
            Write::Unblock { directions, actor, .. } => match entry {
                Some(entry) => entry.lift(*directions, actor, now),
                None => Outcome::Absent,
            },
        }
    }
}

impl Entry {
    /// Merges this new block into what there is.
    fn put_on(mut self, there: &mut Option<Entry>) -> Outcome {
        let outcome = match there {
            None => Outcome::Added,
            Some(old) if old.directions.is_none() => {
                self.created = old.created;
                Outcome::Reactivated
            }
            Some(old) => {
                self.created = old.created;
                self.directions = self.directions | old.directions;
                self.reason = self.reason.or_else(|| old.reason.clone());
                self.display = self.display.or_else(|| old.display.clone());
                if self.directions != old.directions {
                    Outcome::Widened
                } else if (&self.reason, &self.display, self.expires)
                    != (&old.reason, &old.display, old.expires)
                {
                    Outcome::Updated
                } else {
                    return Outcome::Already;
                }
            }
        };
        *there = Some(self);
        outcome
    }

    fn lift(&mut self, directions: Directions, actor: &Actor, now: Timestamp) -> Outcome {
        if (self.directions & directions).is_none() {
            return Outcome::Absent;
        }
        self.directions = self.directions & !directions;
        self.lifted_by = Some(actor.clone());
        self.updated = now;
        if self.directions.is_none() {
            self.deactivated = Some(now);
            Outcome::Removed
        } else {
            Outcome::Narrowed
        }
    }
}
