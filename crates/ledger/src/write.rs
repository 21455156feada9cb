//! A change that somebody asks for, and what became of it.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::actor::Actor;
use crate::changes::Seq;
#[cfg(doc)]
use crate::hold::Hold;
use crate::hold::HoldKind;
use crate::identity::UserId;
use crate::source::Source;
use crate::text::{DisplayForm, Label, Reason};

/// Whom a write is about.
///
/// The ledger knows who is one person: a number in each of its spellings, and a user id that is
/// [tied](crate::List::tie) to a number. A write changes the entry that the person has, under
/// whichever of these it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A number, or an entry's own subject.
    Subject(Subject),
    /// A person without a number. One who was never named is remembered, durably, by a block.
    User(UserId),
}

impl From<Subject> for Whom {
    fn from(subject: Subject) -> Self {
        Whom::Subject(subject)
    }
}

/// A change of what is blocked of one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Blocks somebody, in addition to what is blocked already.
    Block(Block),
    /// Takes directions away from the holds of somebody's entry. Without any in force it is inactive, and stays
    /// for the record.
    Unblock(Unblock),
}

/// A block that is asked for.
///
/// Where the person's entry has a hold of this kind in force, a reason, a label and a display form that are given replace
/// those there were. Of the operator's blocks the newest decides when the hold ends, also where that is never; of a person's
/// wishes, the one that ends last. A hold that was lifted is
/// made anew; holds of other kinds stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Whom.
    pub whom: Whom,
    /// Whose will it is.
    pub hold: HoldKind,
    /// Which ways: at least one.
    pub directions: Directions,
    /// How it came about.
    pub source: Source,
    /// What the client calls that.
    pub label: Option<Label>,
    /// Who asks for it.
    pub actor: Actor,
    /// Why.
    pub reason: Option<Reason>,
    /// The number as the client wrote it, where that is to be shown again.
    pub display: Option<DisplayForm>,
    /// When the hold ends; kept in whole milliseconds. `None`: not by itself.
    pub expires: Option<Timestamp>,
    /// When the person asked for it, where that is known: see [`Hold::requested`]. `None`: now.
    pub requested: Option<Timestamp>,
}

impl Block {
    /// The operator's block through an API: without texts, end, or another time than now.
    pub fn new(whom: impl Into<Whom>, directions: Directions, actor: Actor) -> Self {
        Block {
            whom: whom.into(),
            hold: HoldKind::Operator,
            directions,
            source: Source::Api,
            label: None,
            actor,
            reason: None,
            display: None,
            expires: None,
            requested: None,
        }
    }
}

/// A block that is to be lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unblock {
    /// Whom.
    pub whom: Whom,
    /// Somebody who is not blocked in all of these directions is left as they are.
    pub covering: Directions,
    /// The hold of which kind; all where none is named.
    pub hold: Option<HoldKind>,
    /// Which ways.
    pub directions: Directions,
    /// Who asks for it.
    pub actor: Actor,
    /// When the person asked for it, where that is known: see [`Hold::requested`]. `None`: now.
    ///
    /// A wish of a known time is remembered also where there is nothing to lift, so that an older one that arrives later
    /// changes nothing.
    pub requested: Option<Timestamp>,
}

impl Unblock {
    /// Lifts all holds of these directions.
    pub fn new(whom: impl Into<Whom>, directions: Directions, actor: Actor) -> Self {
        Unblock {
            whom: whom.into(),
            covering: Directions::NONE,
            hold: None,
            directions,
            actor,
            requested: None,
        }
    }
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
    /// Blocks as before; a further hold was made, or what is said of one changed: reason, label, display form, end, or when
    /// the person asked for it.
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
    /// The person asked for something else later: nothing changed, and the wish is on record.
    Outdated,
    /// There was nothing to lift. When the person asked is remembered, so that an older wish changes nothing.
    Noted,
}

impl Outcome {
    /// Whether the entry is another than before: it then has a new sequence number.
    pub const fn changed(self) -> bool {
        !matches!(
            self,
            Outcome::Already | Outcome::Held | Outcome::Absent | Outcome::Full | Outcome::Outdated
        )
    }

    /// Whether it stands in the trail, under a sequence number of its own.
    pub(crate) const fn is_recorded(self) -> bool {
        self.changed() || matches!(self, Outcome::Outdated)
    }

    const ALL: [Outcome; 13] = [
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
        Outcome::Outdated,
        Outcome::Noted,
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
    /// Under which subject the person's entry stands, or would; `None` for a user id that nobody ever named.
    pub subject: Option<Subject>,
    /// The directions in which the person was blocked before.
    pub before: Directions,
    /// The directions in which the person is blocked now.
    pub after: Directions,
    /// Whoever has followed the feed up to here has seen the write: the entry's own sequence number
    /// where the call changed it, else the list's newest.
    pub sequence: Seq,
}

impl From<Block> for Write {
    fn from(block: Block) -> Self {
        Write::Block(block)
    }
}

impl From<Unblock> for Write {
    fn from(unblock: Unblock) -> Self {
        Write::Unblock(unblock)
    }
}

impl Write {
    /// Whom it is about.
    pub fn whom(&self) -> &Whom {
        match self {
            Write::Block(block) => &block.whom,
            Write::Unblock(unblock) => &unblock.whom,
        }
    }

    /// The hold that it makes or lifts; `None` where it lifts all.
    pub(crate) fn hold(&self) -> Option<HoldKind> {
        match self {
            Write::Block(block) => Some(block.hold),
            Write::Unblock(unblock) => unblock.hold,
        }
    }

    /// Who asks for it.
    pub(crate) fn actor(&self) -> &Actor {
        match self {
            Write::Block(block) => &block.actor,
            Write::Unblock(unblock) => &unblock.actor,
        }
    }

    /// When it was asked for, where that is known.
    pub(crate) fn requested(&self) -> Option<Timestamp> {
        match self {
            Write::Block(block) => block.requested,
            Write::Unblock(unblock) => unblock.requested,
        }
    }
}
