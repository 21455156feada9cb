//! Writes and their outcomes.

use jiff::Timestamp;
use portcullis_keys::UserId;
use portcullis_msisdn::{Directions, Permutation, Person, Revealed, Subject};

use crate::actor::Actor;
use crate::changes::Seq;
#[cfg(doc)]
use crate::hold::Hold;
use crate::hold::HoldKind;
use crate::source::Source;
use crate::text::{DisplayForm, Label, Reason};

/// The person that a write is about.
///
/// The ledger knows which identities are the same person: the variants of a number, and user ids
/// [linked](crate::Link) to it. A write changes the person's existing entry, under any of these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// A number, or an entry's own subject.
    Subject(Subject),
    /// A person without a number. A block durably registers an id that is new.
    User(UserId),
}

impl From<Subject> for Whom {
    fn from(subject: Subject) -> Self {
        Whom::Subject(subject)
    }
}

/// A change of what is blocked for one person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// Adds a block to the existing ones.
    Block(Block),
    /// Removes directions from the person's holds. An entry without a hold in force becomes inactive and is kept for
    /// the record.
    Unblock(Unblock),
}

/// A request to block a person.
///
/// If the person has a hold of this kind in force, the given reason, label and display form replace the existing ones.
/// The expiry of an operator's block also replaces the existing one, even if it is `None`; of a person's own requests,
/// the latest expiry applies. A lifted hold is set anew. Holds of other kinds don't change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// The person to block.
    pub whom: Whom,
    /// On whose behalf.
    pub hold: HoldKind,
    /// The directions to block; at least one.
    pub directions: Directions,
    /// The origin of the block.
    pub source: Source,
    /// The client's own name for the source.
    pub label: Option<Label>,
    /// The author of the request.
    pub actor: Actor,
    /// The reason.
    pub reason: Option<Reason>,
    /// The number as the client wrote it, to be shown again.
    pub display: Option<DisplayForm>,
    /// When the hold expires, rounded to whole milliseconds. `None`: never.
    pub expires: Option<Timestamp>,
    /// When the person made the request, if known: see [`Hold::requested`]. `None`: now.
    pub requested: Option<Timestamp>,
    /// Whether a shared ledger may just have lost writes that others make again, or this is such a write: see
    /// [`Write::set_after_loss`].
    pub after_loss: bool,
}

impl Block {
    /// Creates an operator's block through an API, requested now, without texts or expiry.
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
            after_loss: false,
        }
    }
}

/// A request to lift holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unblock {
    /// The person to unblock.
    pub whom: Whom,
    /// The request has no effect unless the person is blocked in all of these directions.
    pub covering: Directions,
    /// The kind of hold to lift; `None` lifts all.
    pub hold: Option<HoldKind>,
    /// The directions to unblock.
    pub directions: Directions,
    /// The author of the request.
    pub actor: Actor,
    /// When the person made the request, if known: see [`Hold::requested`]. `None`: now.
    ///
    /// A request with a known time is recorded even if there is nothing to lift, so that an older request that arrives
    /// later changes nothing.
    pub requested: Option<Timestamp>,
    /// Whether a shared ledger may just have lost writes that others make again, or this is such a write: see
    /// [`Write::set_after_loss`].
    pub after_loss: bool,
}

impl Unblock {
    /// Creates a request to lift all holds in these directions.
    pub fn new(whom: impl Into<Whom>, directions: Directions, actor: Actor) -> Self {
        Unblock {
            whom: whom.into(),
            covering: Directions::NONE,
            hold: None,
            directions,
            actor,
            requested: None,
            after_loss: false,
        }
    }
}

/// The outcome of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Blocked for the first time on this list.
    Added,
    /// Blocked again; the entry was inactive.
    Reactivated,
    /// Blocked in more directions than before.
    Widened,
    /// The blocked directions did not change. A further hold was set, or the reason, label, display form, expiry or
    /// request time of a hold changed.
    Updated,
    /// Already blocked like this; nothing changed, except that a person's own request counts from now on, which is recorded as
    /// [`Updated`](Outcome::Updated).
    Already,
    /// No longer blocked in any direction.
    Removed,
    /// Still blocked, in fewer directions.
    Narrowed,
    /// The hold was lifted, but others block the same directions.
    Lifted,
    /// Only blocked by holds of other kinds; nothing changed.
    Held,
    /// Not blocked in any of the given directions; nothing changed.
    Absent,
    /// Not blocked, because the list has reached its maximum number of entries; nothing changed.
    Full,
    /// The person made a newer request: nothing changed, but the request is recorded.
    Outdated,
    /// There was nothing to lift, but the time of the request, which is the newest one, is recorded, so that an older request
    /// changes nothing.
    Noted,
}

impl Outcome {
    /// Whether the entry changed.
    pub const fn changed(self) -> bool {
        !matches!(
            self,
            Outcome::Already | Outcome::Held | Outcome::Absent | Outcome::Full | Outcome::Outdated
        )
    }

    /// The outcome of lifting a hold that covered something, by what was blocked before and what is now.
    pub fn of_lifting(before: Directions, after: Directions) -> Self {
        match (after.is_none(), after == before) {
            (_, true) => Outcome::Lifted,
            (true, false) => Outcome::Removed,
            (false, false) => Outcome::Narrowed,
        }
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

    /// The code stored on disk. Never renumber.
    pub fn code(self) -> i64 {
        self as i64
    }

    /// The outcome with this code.
    pub fn from_code(code: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.code() == code)
    }
}

/// The result of a [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// The outcome.
    pub outcome: Outcome,
    /// The subject that the person's entry has, or would have; `None` for a user id that was never used.
    pub subject: Option<Subject>,
    /// The directions blocked before.
    pub before: Directions,
    /// The directions blocked now.
    pub after: Directions,
    /// A reader of the feed that has reached this sequence number has seen the write: the entry's own if the call
    /// changed it, otherwise the list's latest.
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
    /// The person that the write is about, if a number says so by itself. `None` if it takes the tenant's tables to know: for an id,
    /// and for a request that was made earlier, as the person may have changed numbers since.
    pub fn person_by_number(&self, permutation: &Permutation) -> Option<Person> {
        let Whom::Subject(subject) = self.whom() else { return None };
        if self.requested().is_some() {
            return None;
        }
        match permutation.reveal(*subject) {
            Revealed::Number(number) => Some(permutation.person(number)),
            Revealed::Reserved(_) => None,
            Revealed::Neither => Some(permutation.person_of(*subject)),
        }
    }

    /// The person that the write is about.
    pub fn whom(&self) -> &Whom {
        match self {
            Write::Block(block) => &block.whom,
            Write::Unblock(unblock) => &unblock.whom,
        }
    }

    /// The kind of hold that is set or lifted; `None` if all are lifted.
    pub fn hold(&self) -> Option<HoldKind> {
        match self {
            Write::Block(block) => Some(block.hold),
            Write::Unblock(unblock) => unblock.hold,
        }
    }

    /// The author of the request.
    pub fn actor(&self) -> &Actor {
        match self {
            Write::Block(block) => &block.actor,
            Write::Unblock(unblock) => &unblock.actor,
        }
    }

    /// When the request was made, if known.
    pub fn requested(&self) -> Option<Timestamp> {
        match self {
            Write::Block(block) => block.requested,
            Write::Unblock(unblock) => unblock.requested,
        }
    }

    /// Says that a shared ledger may just have lost writes that others make again, or that this is such a write. With a time of its request, it
    /// changes no hold that was changed later: so it is with people's own wishes anyway, but not with an operator's holds. And a
    /// request of now is recorded even if it changes nothing, so that an older one that is made again later does not undo it.
    pub fn set_after_loss(&mut self) {
        match self {
            Write::Block(block) => block.after_loss = true,
            Write::Unblock(unblock) => unblock.after_loss = true,
        }
    }
}
