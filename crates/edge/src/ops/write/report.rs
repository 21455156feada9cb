//! What became of the rows of a write.

use portcullis_engine::Identity;
use portcullis_ledger::{Outcome, Seq};
use portcullis_msisdn::Subject;

use crate::ops::refusal::{RowError, RowProblem};

/// The result of [`block`](super::block) or [`unblock`](super::unblock).
pub struct WriteReport {
    /// The results of the valid rows, in order.
    pub results: Vec<RowResult>,
    /// The rows that were skipped.
    pub invalid: Vec<RowProblem>,
    /// The list's sequence number after the write.
    pub sequence: Seq,
}

/// The result of a valid row.
pub struct RowResult {
    /// The number or user id in the row.
    pub identity: Identity,
    /// What happened to the entry; `None` in a dry run.
    pub outcome: Option<Outcome>,
    /// The subject of the person's entry; `None` in a dry run, and for a user id that was never used.
    pub subject: Option<Subject>,
}

impl RowResult {
    /// Returns why the row had no effect although it is valid: the list is full, or the person's own opt-out still blocks.
    pub fn failure(&self) -> Option<RowError> {
        match self.outcome? {
            Outcome::Full => Some(RowError::Full),
            // Two kinds of holds block. The operator's was lifted or absent, so the person's own is left.
            Outcome::Held | Outcome::Lifted => Some(RowError::OptedOut),
            _ => None,
        }
    }
}

impl WriteReport {
    /// The valid rows that had no effect. Their indices count [`results`](Self::results), not the rows of the request.
    pub fn failures(&self) -> Vec<RowProblem> {
        let failure = |(index, row): (usize, &RowResult)| Some(RowProblem { index, error: row.failure()? });
        self.results.iter().enumerate().filter_map(failure).collect()
    }
}
