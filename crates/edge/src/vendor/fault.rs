//! The errors of requests in any dialect. Each dialect has its own status, code and body for them.

use portcullis_admission::RateLimited;
use portcullis_api::TokenScope;
use portcullis_ledger::LedgerError;

use crate::http::body::{BodyFault, Misread};
use crate::http::log_ledger_error;
use crate::ops::{LONGEST_READ, Refusal, RowProblem, Unfinished};
use crate::registry::Denied;

/// Why a request of a vendor's client failed.
#[derive(Debug)]
pub enum Fault {
    /// The request has no token.
    MissingCredential,
    /// The token is unknown, or does not match the rest of the request.
    WrongCredential,
    /// The token has expired.
    CredentialExpired,
    /// The token may not be used for this.
    OutOfScope(TokenScope),
    /// The request does not name a sender.
    SenderMissing,
    /// The token's tenant has no such sender.
    SenderUnknown,
    /// The sender is not `active`.
    SenderInactive,
    /// The token is valid for another sender only.
    SenderNotAllowed,
    /// The tenant's clients may not use this dialect: see `dialects.spoken`.
    FeatureOff,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body is too large.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The body or the query is malformed.
    Malformed {
        /// The field; empty for the request as a whole.
        place: String,
        /// What is wrong with it, without its value.
        what: String,
    },
    /// The request has too many or too few items.
    Count {
        /// The field that has the items.
        field: &'static str,
        /// The fewest items that are accepted.
        least: usize,
        /// The most items that are accepted.
        most: usize,
        /// The number of items in the request.
        given: usize,
    },
    /// These items are invalid or had no effect.
    Rows(Vec<RowProblem>),
    /// The list has changed since the cursor was issued.
    ConcurrentChange,
    /// The list has no such entry, or a hold of another kind blocks it.
    EntryNotFound,
    /// The token's rate limit is exceeded.
    RateLimited(RateLimited),
    /// The token is unknown, and too many unknown ones came from the client's address. The response closes the connection.
    TooManyGuesses(RateLimited),
    /// Nothing is at this path.
    NotFound,
    /// The path does not accept this method.
    MethodNotAllowed,
    /// The gateway can't answer now. The client may retry.
    Unavailable,
    /// The disk is full.
    StorageFull,
    /// A bug, which has been logged.
    Internal,
}

impl Fault {
    /// Creates a [`Malformed`](Self::Malformed) fault. `place` is the field, or empty for the request as a whole.
    pub fn malformed(place: &str, what: &str) -> Self {
        Fault::Malformed { place: place.to_owned(), what: what.to_owned() }
    }

    /// Its name in metrics and logs. Where the native API has the same error, its code.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Fault::MissingCredential => "missing_token",
            Fault::WrongCredential => "invalid_token",
            Fault::CredentialExpired => "token_expired",
            Fault::OutOfScope(_) => "scope_not_allowed",
            Fault::SenderMissing | Fault::SenderUnknown => "unknown_sender",
            Fault::SenderInactive => "sender_inactive",
            Fault::SenderNotAllowed => "sender_not_allowed",
            Fault::FeatureOff => "dialect_off",
            Fault::UnsupportedMediaType => "unsupported_media_type",
            Fault::TooLarge { .. } => "body_too_large",
            Fault::Malformed { .. } => "invalid_request",
            Fault::Count { .. } => "too_many_numbers",
            Fault::Rows(_) => "invalid_number",
            Fault::ConcurrentChange => "conflict",
            Fault::EntryNotFound => "entry_not_found",
            Fault::RateLimited(_) => "rate_limit",
            Fault::TooManyGuesses(_) => "wrong_tokens",
            Fault::NotFound => "not_found",
            Fault::MethodNotAllowed => "method_not_allowed",
            Fault::Unavailable => "unavailable",
            Fault::StorageFull => "storage_full",
            Fault::Internal => "internal",
        }
    }
}

impl From<BodyFault> for Fault {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge { limit } => Fault::TooLarge { limit },
            BodyFault::BrokenOff => Fault::malformed("", "the body broke off"),
            BodyFault::Late => Fault::malformed("", "the body did not arrive in time"),
            BodyFault::NoMemory => Fault::Unavailable,
        }
    }
}

impl From<Misread> for Fault {
    fn from(misread: Misread) -> Self {
        match misread {
            Misread::Empty => Fault::malformed("", "the body is empty, and must be JSON"),
            Misread::NotJson { line, column } => Fault::malformed(
                "",
                &format!("the body is not JSON: it goes wrong at line {line}, column {column}"),
            ),
            Misread::Wrong { place, what } => Fault::Malformed { place, what },
        }
    }
}

impl From<Unfinished> for Fault {
    fn from(unfinished: Unfinished) -> Self {
        Refusal::from(unfinished).into()
    }
}

impl From<Denied> for Fault {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::UnknownToken => Fault::WrongCredential,
            Denied::Loading => Fault::Unavailable,
            Denied::TooManyGuesses(wait) => Fault::TooManyGuesses(wait),
            Denied::Expired => Fault::CredentialExpired,
            Denied::OutOfScope(scope) => Fault::OutOfScope(scope),
            Denied::RateLimited(wait) => Fault::RateLimited(wait),
        }
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSender => Fault::SenderUnknown,
            Refusal::SenderNotAllowed => Fault::SenderNotAllowed,
            Refusal::EntryNotFound | Refusal::Held => Fault::EntryNotFound,
            Refusal::InvalidRow(error) => Fault::Rows(vec![RowProblem { index: 0, error }]),
            Refusal::InvalidRows(problems) => Fault::Rows(problems),
            // Every dialect has a lower limit, and checks it first.
            Refusal::TooManyNumbers { given, limit } => {
                Fault::Count { field: "", least: 1, most: limit, given }
            }
            Refusal::TooLong => Fault::malformed(
                "",
                &format!(
                    "the list is too long to be searched, or read to this page, within {} s: ask for a whole number, or an \
                     earlier page",
                    LONGEST_READ.as_secs()
                ),
            ),
            Refusal::TooLarge => {
                Fault::malformed("", "the answer would be larger than there is memory for answers")
            }
            Refusal::Overloaded | Refusal::Unread | Refusal::NotEverywhere => Fault::Unavailable,
            Refusal::Ledger(error) => error.into(),
            // Only the native API takes positions.
            Refusal::PositionLost | Refusal::Defect => Fault::Internal,
        }
    }
}

impl From<LedgerError> for Fault {
    fn from(error: LedgerError) -> Self {
        if let LedgerError::TenantForgotten = error {
            return Fault::SenderUnknown;
        }
        log_ledger_error(&error);
        match error {
            LedgerError::Full(_) => Fault::StorageFull,
            LedgerError::Io(_)
            | LedgerError::Locked(_)
            | LedgerError::Closed
            | LedgerError::LogInUse
            | LedgerError::Replaced { .. }
            | LedgerError::Unavailable(_)
            | LedgerError::HistoryLost
            | LedgerError::OutcomeUnknown
            | LedgerError::TooOld
            | LedgerError::AnotherMasterKey
            | LedgerError::Damaged { .. } => Fault::Unavailable,
            _ => Fault::Internal,
        }
    }
}
