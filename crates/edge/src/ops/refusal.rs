//! Why an operation was refused.

use portcullis_admission::Unfinished;
use portcullis_engine::{CheckError, NotServed, WriteError};
use portcullis_ledger::{LedgerError, TooLong};

use crate::identity::IdentityError;

/// Why an operation was refused. Nothing was changed, unless the variant says otherwise. Each interface maps this to its own codes and messages.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The tenant has no sender of this name, or the tenant was removed meanwhile.
    #[error("the tenant has no sender of this name")]
    UnknownSender,
    /// The token belongs to another sender, or to a sender where the tenant-wide list is requested.
    #[error("the token is valid for another sender only")]
    SenderNotAllowed,
    /// The list has no entry for this person or id.
    #[error("the list has no such entry")]
    EntryNotFound,
    /// The hold to lift is not in force, but one of another kind is.
    #[error("the number stays blocked by a hold of another kind")]
    Held,
    /// The only row of a request is invalid.
    #[error("the row is invalid: {0}")]
    InvalidRow(RowError),
    /// Some rows are invalid, so none was processed.
    #[error("some rows are invalid")]
    InvalidRows(Vec<RowProblem>),
    /// The request has too many rows.
    #[error("{given} numbers in one request are more than {limit}")]
    TooManyNumbers {
        /// The number of rows in the request.
        given: usize,
        /// The most rows that are accepted.
        limit: usize,
    },
    /// Reading that far into the list takes too long.
    #[error("the list is too long to be read that far within {} s", super::LONGEST_READ.as_secs())]
    TooLong,
    /// Too many requests of this tenant, or of all, are under way.
    #[error("too many requests are under way")]
    Overloaded,
    /// Answers that clients have not read yet take all memory that the tenant, or the sender, has for answers.
    #[error("answers that were not read yet take all memory for answers")]
    Unread,
    /// The answer is larger than the memory that the tenant, or the sender, has for answers.
    #[error("the answer is larger than all memory for answers")]
    TooLarge,
    /// The ledger failed.
    #[error(transparent)]
    Ledger(LedgerError),
    /// The change was stored, but not all gateways of the fleet had it in time. The same request again waits for them again.
    #[error("the change was stored, but not all gateways of the fleet had it in time")]
    NotEverywhere,
    /// The ledger does not have what was written up to the position that a check asks for.
    #[error("the ledger has lost what was written up to the position")]
    PositionLost,
    /// A bug in the gateway.
    #[error("a bug stopped the request")]
    Defect,
}

impl Refusal {
    /// Names the invalid row of a request that has a single row by nature, and therefore no index.
    pub fn without_index(self) -> Self {
        match self {
            Refusal::InvalidRows(mut problems) if problems.len() == 1 => problems
                .pop()
                .map_or(Refusal::InvalidRows(Vec::new()), |only| Refusal::InvalidRow(only.error)),
            other => other,
        }
    }
}

impl From<Unfinished> for Refusal {
    fn from(unfinished: Unfinished) -> Self {
        match unfinished {
            Unfinished::Panicked => Refusal::Defect,
            Unfinished::Overloaded => Refusal::Overloaded,
        }
    }
}

impl From<LedgerError> for Refusal {
    fn from(error: LedgerError) -> Self {
        match error {
            // The tenant was removed while this request was under way.
            LedgerError::TenantForgotten => Refusal::UnknownSender,
            LedgerError::TookTooLong => Refusal::TooLong,
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
            // A list is not too long for what a check looks up.
            CheckError::Ledger(error @ LedgerError::TookTooLong) => Refusal::Ledger(error),
            CheckError::Ledger(error) => error.into(),
            CheckError::Overdue => Refusal::Overloaded,
            CheckError::PositionLost => Refusal::PositionLost,
            _ => Refusal::Defect,
        }
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::NotServed(error) => error.into(),
            WriteError::Ledger(error @ LedgerError::TookTooLong) => Refusal::Ledger(error),
            WriteError::Ledger(error) => error.into(),
            WriteError::NotEverywhere(_) => Refusal::NotEverywhere,
            WriteError::Unseen(_) => Refusal::Ledger(LedgerError::OutcomeUnknown),
            _ => Refusal::Defect,
        }
    }
}

/// An invalid row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowProblem {
    /// The index of the row in the request, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub error: RowError,
}

/// Why a row is invalid. The messages never contain the number, except masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowError {
    /// The text is neither a number nor a user id.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The channel is not known.
    #[error("the channel is not known: write sms, mms, rcs, whatsapp, voice or other")]
    Channel,
    /// The purpose is not known.
    #[error("the purpose is not known: write authentication, utility, marketing, service or unknown")]
    Purpose,
    /// The number of segments is not one.
    #[error(
        "the number of segments is not from 1 to 65535: write how many parts are charged, or leave it out"
    )]
    Segments,
    /// The row names no direction.
    #[error("no direction is given: write inbound, outbound or both")]
    NoDirections,
    /// The reason is too long.
    #[error("{0}: shorten it")]
    Reason(TooLong),
    /// The expiry is not an RFC 3339 time.
    #[error("the expiry is not an RFC 3339 time: write it like 2030-01-31T12:00:00Z")]
    NotATime,
    /// The expiry is not in the future.
    #[error("the expiry is in the past: give a later time")]
    InThePast,
    /// The time of the person's request is not an RFC 3339 time.
    #[error("the time of the request is not an RFC 3339 time: write it like 2026-01-31T12:00:00Z")]
    RequestedNotATime,
    /// The time of the person's request is in the future.
    #[error("the time of the request is in the future")]
    RequestedInTheFuture,
    /// The time of the person's request is before [`EARLIEST`](portcullis_api::requested::EARLIEST).
    #[error(
        "the time of the request is before 1990, when nobody could have made it: leave it out if it is a placeholder for no time"
    )]
    RequestedBeforeMessages,
    /// The client's own name for the source is too long.
    #[error("the name of the source: {0}: shorten it")]
    Label(TooLong),
    /// A sender can't be blocked on its own list.
    #[error("it is the sender's own number")]
    OwnNumber,
    /// The person has not written to the sender within 24 hours, which the tenant's `within_24_hours` requires.
    #[error("the person did not write to the sender within 24 hours")]
    OutsideWindow,
    /// The list has reached its capacity.
    #[error("the list has reached its maximum number of entries")]
    Full,
    /// The next hop's URL has a placeholder for a number, but the person is known by a user id only.
    #[error(
        "it is a user id, and the next hop's URL has a placeholder for a number, so the hop could take the id for somebody's \
         number: write a number, or ask the operator to have messages posted to the hop, with neither {{sender}} nor \
         {{recipient}} in its URL"
    )]
    UserInUrl,
    /// The block was made through another interface.
    #[error("it was blocked through another interface, which has to lift the block")]
    Foreign,
    /// The person opted out, and the interface may not lift that.
    #[error("they opted out, and only they can lift that")]
    OptedOut,
    /// The person is blocked on the tenant-wide list.
    #[error("they are blocked for all senders: unblock them on the tenant-wide list")]
    TenantWide,
}
