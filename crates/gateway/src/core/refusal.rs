//! Why a request is not done.

use portcullis_engine::{CheckError, NotServed, WriteError};
use portcullis_ledger::{LedgerError, TooLong};

use crate::identity::IdentityError;

/// Why a request is not done. Each interface says it in its own words and codes.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("the tenant has no sender of this name")]
    UnknownSender,
    #[error("the token is good for another sender only")]
    SenderNotAllowed,
    #[error("the list has no such entry")]
    EntryNotFound,
    /// Another hold than the one to be lifted.
    #[error("the number stays blocked by a hold of another kind")]
    Held,
    /// Nothing of the request was done.
    #[error("some rows can't be taken")]
    InvalidRows(Vec<RowProblem>),
    #[error("{given} numbers at once are more than {limit}")]
    TooManyNumbers { given: usize, limit: usize },
    #[error(transparent)]
    Ledger(LedgerError),
    /// A defect of the gateway.
    #[error("a defect stopped the request")]
    Defect,
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        match error {
            // The tenant was removed while this request was under way.
            LedgerError::TenantForgotten => Refusal::UnknownSender,
            error => Refusal::Ledger(error),
        }
    }
}

impl From<NotServed> for Refusal {
    fn from(error: NotServed) -> Self {
        match error {
            NotServed::Closed => Refusal::Ledger(LedgerError::Closed),
            // It was removed while this request was under way.
            _ => Refusal::UnknownSender,
        }
    }
}

impl From<CheckError> for Refusal {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::NotServed(error) => error.into(),
            CheckError::Ledger(error) => error.into(),
            _ => Refusal::Defect,
        }
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotServed(error) => error.into(),
            WriteError::Ledger(error) => error.into(),
            _ => Refusal::Defect,
        }
    }
}

/// A row that can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowProblem {
    /// Which row, from 0 on.
    pub(crate) index: usize,
    pub(crate) error: RowError,
}

/// Why a row can't be taken. Tells nothing about the number itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RowError {
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("no direction is named: name inbound, outbound or both")]
    NoDirections,
    #[error("{0}: shorten it")]
    Reason(TooLong),
    #[error("the end is not a time of RFC 3339: write it like 2030-01-31T12:00:00Z")]
    NotATime,
    #[error("the end lies in the past: name a later one")]
    InThePast,
    #[error("the time of the request is not a time of RFC 3339: write it like 2026-01-31T12:00:00Z")]
    RequestedNotATime,
    #[error("the time of the request lies in the future")]
    RequestedInTheFuture,
    #[error(
        "the time of the request lies before 1990, when nobody could ask for that: does it stand for no time at all? leave it out"
    )]
    RequestedBeforeMessages,
    #[error("the name of the source: {0}: shorten it")]
    Label(TooLong),
    #[error("it is the sender's own number")]
    OwnNumber,
    #[error("no message of theirs came in within 24 hours")]
    OutsideWindow,
    #[error("the list has as many entries as it may have")]
    Full,
    #[error(
        "it is a user id, and the next hop's URL has a place for a number, of which the hop could make somebody's: write a \
         number, or let the operator have the message posted to the hop, without {{sender}} and {{recipient}} in its URL"
    )]
    UserInUrl,
    #[error("it was blocked through something else, which has to lift it")]
    Foreign,
    #[error("they opted out, and only they can lift that")]
    OptedOut,
    #[error("they are blocked for all senders: unblock them on the tenant-wide list")]
    TenantWide,
}
