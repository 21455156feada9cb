//! The audit trail.

use jiff::Timestamp;
use portcullis_msisdn::{Directions, Subject};

use crate::actor::Actor;
use crate::changes::Seq;
use crate::hold::{Coverage, HoldKind};
use crate::source::Source;
use crate::text::{DisplayForm, Label, Reason};
use crate::write::Outcome;

/// A record of the audit trail: one change of one entry. Records are append-only, and are deleted only with their
/// tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The subject of the entry.
    pub subject: Subject,
    /// The entry's sequence number after the change. Changes of an entry that are committed together share it.
    pub sequence: Seq,
    /// The index among the changes that share the sequence number, from 0.
    pub step: u32,
    /// The sequence number of the entry's previous change; [`Seq::START`] if there is none.
    pub previous: Seq,
    /// When the change was made.
    pub at: Timestamp,
    /// When the change was requested, if that was given; otherwise the same as `at`.
    pub requested: Timestamp,
    /// The author of the change.
    pub actor: Actor,
    /// The kind of hold that was set or lifted; `None` if all were lifted together.
    pub hold: Option<HoldKind>,
    /// The outcome of the change.
    pub outcome: Outcome,
    /// The origin of the block; `None` if a hold was lifted.
    pub source: Option<Source>,
    /// What the entry covered before.
    pub before: Coverage,
    /// What the entry covered afterwards.
    pub after: Coverage,
    /// The hold's expiry, as given with this change.
    pub expires: Option<Timestamp>,
    /// The reason, as given with this change.
    pub reason: Option<Reason>,
    /// The number as written in this change.
    pub display: Option<DisplayForm>,
    /// The client's own name for the source.
    pub label: Option<Label>,
}

impl Record {
    /// The directions that were blocked before the change.
    pub fn blocked_before(&self) -> Directions {
        self.before.blocked()
    }

    /// The directions that were blocked after the change.
    pub fn blocked_after(&self) -> Directions {
        self.after.blocked()
    }
}

/// A page of the audit trail, the latest record first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trail {
    /// The records.
    pub records: Vec<Record>,
    /// The `before` argument for the next page; `None` on the last page.
    pub older: Option<Seq>,
}
