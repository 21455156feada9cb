//! Changes of one person's entry.

use jiff::Timestamp;
use portcullis_entries::Identity;
use portcullis_ledger::{Actor, Block, DisplayForm, HoldKind, Label, Reason, Source, Unblock, Whom, Write};
use portcullis_msisdn::Directions;

use super::List;

/// A change of one person's entry: a block or an unblock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// See [`Change::block`].
    Block(BlockChange),
    /// See [`Change::unblock`].
    Unblock(UnblockChange),
}

impl Change {
    /// Blocks a person: by default in both directions, with the operator's hold, without an end.
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

    /// Unblocks a person: by default in both directions, from holds of every kind.
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

/// A block, built with [`Change::block`].
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
    /// Sets the kind of hold: the operator's by default.
    pub fn hold(mut self, hold: HoldKind) -> Self {
        self.hold = hold;
        self
    }

    /// Sets the directions to block: both by default. A write without any is an error.
    pub fn directions(mut self, directions: Directions) -> Self {
        self.directions = directions;
        self
    }

    /// Sets the interface that the block came through: [`Source::Api`] by default.
    pub fn source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// Sets the client's own name of the source.
    pub fn label(mut self, label: Option<Label>) -> Self {
        self.label = label;
        self
    }

    /// Sets the reason.
    pub fn reason(mut self, reason: impl Into<Option<Reason>>) -> Self {
        self.reason = reason.into();
        self
    }

    /// Sets the number as the client wrote it, to be displayed.
    pub fn display(mut self, display: Option<DisplayForm>) -> Self {
        self.display = display;
        self
    }

    /// Sets when the hold expires: never by default. By the wall clock, to within about a second; up to a minute late if that
    /// clock is set forward.
    pub fn expires(mut self, expires: Option<Timestamp>) -> Self {
        self.expires = expires;
        self
    }

    /// Sets when the person asked for the block: now by default. A person's requests take effect in the order of these times: one
    /// that is older than the request in the ledger changes nothing.
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

/// An unblock, built with [`Change::unblock`].
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
    /// Lifts the hold of this kind only.
    pub fn hold(mut self, hold: impl Into<Option<HoldKind>>) -> Self {
        self.hold = hold.into();
        self
    }

    /// Sets the directions to unblock: both by default.
    pub fn directions(mut self, directions: Directions) -> Self {
        self.directions = directions;
        self
    }

    /// Does nothing unless all of these directions are blocked.
    pub fn covering(mut self, covering: Directions) -> Self {
        self.covering = covering;
        self
    }

    /// Sets when the person asked for the unblock: see [`BlockChange::requested`].
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
