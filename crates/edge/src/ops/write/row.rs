//! A person to block.

use jiff::Timestamp;
use portcullis_ledger::{HoldKind, Label, Reason, Source};
use portcullis_msisdn::Directions;

use super::named::Named;
use super::time::{end_after, requested_until};
use crate::ops::refusal::RowError;

/// A person to block, with fields as the client wrote them.
#[derive(Clone, Copy)]
pub struct BlockRow<'a> {
    /// Whom to block.
    pub whom: Named<'a>,
    /// The hold to set.
    pub hold: HoldKind,
    /// The directions to block; at least one.
    pub directions: Directions,
    /// How the block came about.
    pub source: Source,
    /// The client's own name for the source, at most 64 characters. Empty counts as none.
    pub label: Option<&'a str>,
    /// The reason, at most 500 characters. Empty counts as none.
    pub reason: Option<&'a str>,
    /// When the block expires: an RFC 3339 time in the future. `None`: never.
    pub expires: Option<&'a str>,
    /// When the person made the request: an RFC 3339 time in the past. `None`: now.
    pub requested: Option<&'a str>,
}

impl<'a> BlockRow<'a> {
    /// Creates an operator's block through an API, without texts, expiry or request time.
    pub fn of(whom: impl Into<Named<'a>>, directions: Directions) -> Self {
        BlockRow {
            whom: whom.into(),
            hold: HoldKind::Operator,
            directions,
            source: Source::Api,
            label: None,
            reason: None,
            expires: None,
            requested: None,
        }
    }

    /// Parses the texts and times, at `now`.
    pub(super) fn said(&self, now: Timestamp) -> Result<Said, RowError> {
        let reason = self.reason.filter(|reason| !reason.is_empty()).map(Reason::new).transpose();
        let label = self.label.filter(|label| !label.is_empty()).map(Label::new).transpose();
        let expires = self.expires.map(|end| end_after(end, now)).transpose()?;
        let requested = self.requested.map(|time| requested_until(time, now)).transpose()?;
        Ok(Said {
            reason: reason.map_err(RowError::Reason)?,
            label: label.map_err(RowError::Label)?,
            expires,
            requested,
        })
    }
}

/// The parsed texts and times of a row.
pub(super) struct Said {
    pub(super) reason: Option<Reason>,
    pub(super) label: Option<Label>,
    pub(super) expires: Option<Timestamp>,
    pub(super) requested: Option<Timestamp>,
}
