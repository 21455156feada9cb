//! The trail: what was changed, when and by whom.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::actor::Actor;
use crate::changes::Seq;
use crate::hold::{Coverage, HoldKind};
use crate::source::Source;
use crate::text::{DisplayForm, Label, Reason};
use crate::write::Outcome;

/// One change of one entry. Records are only ever added; they go when their tenant is forgotten.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Whom it is about.
    pub subject: Subject,
    /// The number that the entry took with the change. Changes of one entry that reach the disk together share it.
    pub sequence: Seq,
    /// Which of the changes that share it, from 0 on.
    pub step: u32,
    /// The entry's change before these; [`Seq::START`] where there was none.
    pub previous: Seq,
    /// When.
    pub at: Timestamp,
    /// When it was asked for, as told with this change; else the same.
    pub requested: Timestamp,
    /// Who.
    pub actor: Actor,
    /// The hold that was made or lifted; none where all were lifted together.
    pub hold: Option<HoldKind>,
    /// What became of it.
    pub outcome: Outcome,
    /// How the block came about; none where it was lifted.
    pub source: Option<Source>,
    /// What the entry covered before.
    pub before: Coverage,
    /// What it covers since.
    pub after: Coverage,
    /// When the hold was to end by itself.
    pub expires: Option<Timestamp>,
    /// Why, as told with this change.
    pub reason: Option<Reason>,
    /// The number as written with this change.
    pub display: Option<DisplayForm>,
    /// What the client calls the source.
    pub label: Option<Label>,
}

impl Record {
    /// The directions that were blocked before.
    pub fn blocked_before(&self) -> Directions {
        self.before.blocked()
    }

    /// The directions that are blocked since.
    pub fn blocked_after(&self) -> Directions {
        self.after.blocked()
    }
}

/// A part of a trail, the newest record first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// The records.
    pub records: Vec<Record>,
    /// From where older ones are to be asked for, where there may be any.
    pub older: Option<Seq>,
}
