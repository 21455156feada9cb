//! What is to be changed about one person.

use jiff::Timestamp;
use portcullis_ledger::{Actor, Block, DisplayForm, HoldKind, Label, Reason, Source, Unblock, Whom, Write};
use portcullis_msisdn::Directions;

use super::List;
use crate::identity::Identity;

/// A block that is to be made, or to be lifted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// To be made.
    Block(BlockChange),
    /// To be lifted.
    Unblock(UnblockChange),
}

impl Change {
    /// Blocks somebody in both directions, as the operator's will.
    pub fn block(identity: impl Into<Identity>) -> BlockChange {
        BlockChange {
            identity: identity.into(),
            hold: HoldKind::Operator,
            directions: Directions::BOTH,
            source: Source::Api,
            label: None,
            reason: None,
            display: None,
            expires: None,
            requested: None,
        }
    }

    /// Lifts all of somebody's holds in both directions.
    pub fn unblock(identity: impl Into<Identity>) -> UnblockChange {
        UnblockChange {
            identity: identity.into(),
            hold: None,
            directions: Directions::BOTH,
            covering: Directions::NONE,
            requested: None,
        }
    }

    pub(super) fn into_write(self, list: &List, actor: &Actor) -> Write {
        match self {
            Change::Block(block) => block.into_block(list, actor).into(),
            Change::Unblock(unblock) => unblock.into_unblock(list, actor).into(),
        }
    }
}

/// A block that is to be made: see [`Change::block`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct BlockChange {
    identity: Identity,
    hold: HoldKind,
    directions: Directions,
    source: Source,
    label: Option<Label>,
    reason: Option<Reason>,
    display: Option<DisplayForm>,
    expires: Option<Timestamp>,
    requested: Option<Timestamp>,
}

impl BlockChange {
    /// Whose will it is: the operator's unless this is called.
    pub fn hold(mut self, hold: HoldKind) -> Self {
        self.hold = hold;
        self
    }

    /// Which ways: both unless this is called.
    pub fn directions(mut self, directions: Directions) -> Self {
        self.directions = directions;
        self
    }

    /// How it came about: an API unless this is called.
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// What the client calls the source.
    pub fn label(mut self, label: Option<Label>) -> Self {
        self.label = label;
        self
    }

    /// Why.
    pub fn reason(mut self, reason: impl Into<Option<Reason>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// The number as the client wrote it, to be shown again.
    pub fn display(mut self, display: Option<DisplayForm>) -> Self {
        self.display = display;
        self
    }

    /// When it ends by itself: never unless this is called.
    pub fn expires(mut self, expires: Option<Timestamp>) -> Self {
        self.expires = expires;
        self
    }

    /// When the person asked for it: now unless this is called. A person's own wish counts by this time; an older one than that on
    /// record changes nothing.
    pub fn requested(mut self, requested: Option<Timestamp>) -> Self {
        self.requested = requested;
        self
    }

    fn into_block(self, list: &List, actor: &Actor) -> Block {
        Block {
            hold: self.hold,
            source: self.source,
            label: self.label,
            reason: self.reason,
            display: self.display,
            expires: self.expires,
            requested: self.requested,
            ..Block::new(list.whom(&self.identity), self.directions, actor.clone())
        }
    }
}

impl From<BlockChange> for Change {
    fn from(block: BlockChange) -> Self {
        Change::Block(block)
    }
}

/// A block that is to be lifted: see [`Change::unblock`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct UnblockChange {
    identity: Identity,
    hold: Option<HoldKind>,
    directions: Directions,
    covering: Directions,
    requested: Option<Timestamp>,
}

impl UnblockChange {
    /// The hold of this kind only.
    pub fn hold(mut self, hold: impl Into<Option<HoldKind>>) -> Self {
        self.hold = hold.into();
        self
    }

    /// Which ways: both unless this is called.
    pub fn directions(mut self, directions: Directions) -> Self {
        self.directions = directions;
        self
    }

    /// Only where all of these directions are blocked.
    pub fn covering(mut self, covering: Directions) -> Self {
        self.covering = covering;
        self
    }

    /// When the person asked for it: see [`BlockChange::requested`].
    pub fn requested(mut self, requested: Option<Timestamp>) -> Self {
        self.requested = requested;
        self
    }

    fn into_unblock(self, list: &List, actor: &Actor) -> Unblock {
        let whom: Whom = list.whom(&self.identity);
        Unblock {
            hold: self.hold,
            covering: self.covering,
            requested: self.requested,
            ..Unblock::new(whom, self.directions, actor.clone())
        }
    }
}

impl From<UnblockChange> for Change {
    fn from(unblock: UnblockChange) -> Self {
        Change::Unblock(unblock)
    }
}
