//! What any dialect may run into. Each says it in its own status, code and body.

use portcullis_ledger::LedgerError;

use crate::http::body::{BodyFault, Misread};
use crate::http::log_ledger_error;
use crate::ops::Panicked;
use crate::ops::{Refusal, RowProblem};
use crate::registry::RateLimited;

/// Why a request of a vendor's client is not done.
#[derive(Debug)]
pub enum Fault {
    /// No token was sent.
    MissingCredential,
    /// The token is not known, or not for what it was sent with.
    WrongCredential,
    /// The request does not say which sender it is about.
    SenderMissing,
    /// The token's tenant has no such sender.
    SenderUnknown,
    /// The sender is switched off.
    SenderInactive,
    /// The token is good for another sender only.
    SenderNotAllowed,
    /// The tenant does not speak this dialect.
    FeatureOff,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    TooLarge {
        limit: usize,
    },
    /// The body or the query is not what it must be: which field, or nothing; and what is wrong with it.
    Malformed {
        place: String,
        what: String,
    },
    /// More or fewer items than may be.
    Count {
        field: &'static str,
        least: usize,
        most: usize,
        given: usize,
    },
    /// These items can't be taken, and so nothing was done.
    Rows(Vec<RowProblem>),
    /// The cursor is of another state of the list.
    ConcurrentChange,
    EntryNotFound,
    RateLimited(RateLimited),
    NotFound,
    MethodNotAllowed,
    /// Ask again.
    Unavailable,
    StorageFull,
    /// A defect, which the log tells of.
    Internal,
}

impl Fault {
    pub fn malformed(place: &str, what: &str) -> Self {
        Fault::Malformed { place: place.to_owned(), what: what.to_owned() }
    }
}

impl From<BodyFault> for Fault {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge { limit } => Fault::TooLarge { limit },
            BodyFault::BrokenOff => Fault::malformed("", "the body broke off"),
            BodyFault::Late => Fault::malformed("", "the body did not arrive in time"),
        }
    }
}

impl From<Misread> for Fault {
    fn from(misread: Misread) -> Self {
        match misread {
            Misread::NotJson { line, column } => Fault::malformed(
                "",
                &format!("the body is not JSON: it goes wrong at line {line}, column {column}"),
            ),
            Misread::Wrong { place, what } => Fault::Malformed { place, what },
        }
    }
}

impl From<Panicked> for Fault {
    fn from(_: Panicked) -> Self {
        Fault::Internal
    }
}

impl From<RateLimited> for Fault {
    fn from(wait: RateLimited) -> Self {
        Fault::RateLimited(wait)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSender => Fault::SenderUnknown,
            Refusal::SenderNotAllowed => Fault::SenderNotAllowed,
            Refusal::EntryNotFound | Refusal::Held => Fault::EntryNotFound,
            Refusal::InvalidRows(problems) => Fault::Rows(problems),
            // Each dialect has fewer, and counts them itself.
            Refusal::TooManyNumbers { given, limit } => {
                Fault::Count { field: "", least: 1, most: limit, given }
            }
            Refusal::Ledger(error) => error.into(),
            Refusal::Defect => Fault::Internal,
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
            LedgerError::Io(_) | LedgerError::Closed | LedgerError::LogInUse => Fault::Unavailable,
            _ => Fault::Internal,
        }
    }
}
