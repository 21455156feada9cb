//! Errors as the native API words them.

use std::borrow::Cow;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_api::{Detail, ErrorBody, ErrorCode, ErrorObject};
use portcullis_engine::plugin_store::PluginStoreError;
use portcullis_host::ExchangeError;
use portcullis_ledger::LedgerError;
use tracing::error;

use super::answer;
use crate::gateway::AdminError;
use crate::ops::Panicked;
use crate::ops::{Refusal, RowError, RowProblem};
use crate::registry::RateLimited;

/// An error, ready to be answered.
#[derive(Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Vec<Detail>,
    /// In seconds.
    retry_after: Option<u64>,
}

/// The most details that are given.
const MAX_DETAILS: usize = 1000;

impl ApiError {
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        ApiError { code, message: message.into(), details: Vec::new(), retry_after: None }
    }

    fn with_details(mut self, details: impl IntoIterator<Item = Detail>) -> Self {
        self.details = details.into_iter().take(MAX_DETAILS).collect();
        self
    }

    pub fn missing_token() -> Self {
        let message = "no token was sent: send the header Authorization: Bearer TOKEN";
        Self::new(ErrorCode::MissingToken, message)
    }

    pub fn invalid_token() -> Self {
        let message = "the token is not known here: use one of those that the gateway's administrator set up";
        Self::new(ErrorCode::InvalidToken, message)
    }

    pub fn not_found() -> Self {
        let message = "there is nothing at this path: /portcullis/v1/openapi.json lists what there is";
        Self::new(ErrorCode::NotFound, message)
    }

    pub fn method_not_allowed() -> Self {
        let message = "this path does not take this method: the header Allow lists those it takes";
        Self::new(ErrorCode::MethodNotAllowed, message)
    }

    pub fn invalid_json(line: usize, column: usize) -> Self {
        let message = format!("the body is not JSON: it goes wrong at line {line}, column {column}");
        Self::new(ErrorCode::InvalidJson, message)
    }

    /// `place` is the field, or empty.
    pub fn invalid_request(place: &str, what: &str) -> Self {
        if place.is_empty() {
            return Self::new(ErrorCode::InvalidRequest, format!("the request is refused: {what}"));
        }
        Self::new(ErrorCode::InvalidRequest, format!("`{place}` is refused: {what}")).with_details([Detail {
            index: None,
            field: Some(place.to_owned()),
            reason: what.to_owned(),
        }])
    }

    pub fn body_too_large(limit: usize) -> Self {
        let message =
            format!("the body has more than {limit} bytes, the most that is taken: send several requests");
        Self::new(ErrorCode::BodyTooLarge, message)
    }

    pub fn unsupported_media_type() -> Self {
        let message = "the body is not declared as JSON: send the header Content-Type: application/json";
        Self::new(ErrorCode::UnsupportedMediaType, message)
    }

    pub fn not_a_component() -> Self {
        let message =
            "the body is not declared as a component: send the header Content-Type: application/wasm";
        Self::new(ErrorCode::UnsupportedMediaType, message)
    }

    /// `why` is a sentence about the plugin, maybe in its own words.
    pub fn plugin_refused(why: &str) -> Self {
        let message = format!("the plugin is not exchanged, and what served before goes on: {why}");
        Self::new(ErrorCode::PluginRefused, message)
    }

    pub fn unavailable(message: &'static str) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    pub fn blocked() -> Self {
        let message = "the message is blocked, and was not sent on";
        Self::new(ErrorCode::Blocked, message)
    }

    /// `code` is one of those of the next hop.
    pub fn next_hop(code: ErrorCode, why: &dyn std::fmt::Display) -> Self {
        Self::new(code, format!("the next hop does not answer: {why}"))
    }

    pub fn rate_limited(wait: RateLimited) -> Self {
        let message = format!("the token asks more often than it may: wait {} s", wait.seconds());
        let mut error = Self::new(ErrorCode::TooManyRequests, message);
        error.retry_after = Some(wait.seconds());
        error
    }

    /// A defect. Whoever makes it logs what it is.
    pub fn internal() -> Self {
        let message = "the gateway has a defect: its log says more, tell its administrator the time";
        Self::new(ErrorCode::Internal, message)
    }

    fn rows(problems: &[RowProblem]) -> Self {
        let numbers_only = problems.iter().all(|problem| matches!(problem.error, RowError::Identity(_)));
        let (code, what) = if numbers_only {
            (ErrorCode::InvalidNumber, "number")
        } else {
            (ErrorCode::InvalidRequest, "entry")
        };
        let message = match problems {
            [one] => {
                format!("the {what} at index {} is refused, and so is the request: {}", one.index, one.error)
            }
            many => format!(
                "{} rows are refused, the first at index {}, and so is the request: correct those that details lists",
                many.len(),
                many.first().map_or(0, |first| first.index)
            ),
        };
        Self::new(code, message).with_details(problems.iter().map(|problem| Detail {
            index: Some(problem.index),
            field: None,
            reason: problem.error.to_string(),
        }))
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSender => {
                let message = "the token's tenant has no sender of this name: GET /portcullis/v1/status lists those it has";
                Self::new(ErrorCode::UnknownSender, message)
            }
            Refusal::SenderNotAllowed => {
                let message =
                    "the token is good for another sender only: use that sender, or a token of the tenant";
                Self::new(ErrorCode::SenderNotAllowed, message)
            }
            Refusal::Held => {
                let message = "the number stays blocked by a hold of another kind, such as the person's own opt-out: \
                    name it with hold=opt_out, or lift all with hold=all";
                Self::new(ErrorCode::Held, message)
            }
            Refusal::EntryNotFound => {
                let message = "the list has no such entry: GET …/entries lists those it has";
                Self::new(ErrorCode::EntryNotFound, message)
            }
            Refusal::InvalidRows(problems) => Self::rows(&problems),
            Refusal::TooManyNumbers { given, limit } => {
                let message = format!("{given} numbers at once are more than {limit}: send several requests");
                Self::new(ErrorCode::TooManyNumbers, message)
            }
            Refusal::Ledger(error) => error.into(),
            Refusal::Defect => Self::internal(),
        }
    }
}

impl From<Panicked> for ApiError {
    fn from(_: Panicked) -> Self {
        Self::internal()
    }
}

impl From<RateLimited> for ApiError {
    fn from(wait: RateLimited) -> Self {
        Self::rate_limited(wait)
    }
}

/// Tells the log what the ledger reports, which no client is told.
pub fn log_ledger_error(error: &LedgerError) {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    error!(%error, causes = causes.join(": "), "the ledger failed");
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        log_ledger_error(&error);
        match error {
            LedgerError::Full(_) => {
                let message =
                    "the disk that holds the entries is full: nothing was written; tell the administrator";
                Self::new(ErrorCode::StorageFull, message)
            }
            LedgerError::Io(_) | LedgerError::Closed | LedgerError::LogInUse => {
                Self::unavailable("the entries can't be read or written now: ask again")
            }
            _ => Self::internal(),
        }
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let message = error.to_string();
        match error {
            AdminError::UnknownTenant => Self::new(ErrorCode::UnknownTenant, message),
            AdminError::UnknownSender => Self::new(ErrorCode::UnknownSender, message),
            AdminError::SetUpInFile(_) => Self::new(ErrorCode::Conflict, message),
            AdminError::Ledger(error) => error.into(),
            AdminError::Defect => Self::internal(),
            AdminError::Refused(problems) => {
                let conflict = problems.iter().all(|problem| problem.conflict);
                let code = match conflict {
                    true => ErrorCode::Conflict,
                    false => ErrorCode::InvalidRequest,
                };
                let first = problems.first().map(|problem| format!("`{}`: {}", problem.place, problem.what));
                Self::new(code, first.unwrap_or(message)).with_details(problems.into_iter().map(|problem| {
                    Detail { index: None, field: Some(problem.place.to_string()), reason: problem.what }
                }))
            }
        }
    }
}

impl From<ExchangeError> for ApiError {
    fn from(error: ExchangeError) -> Self {
        Self::new(ErrorCode::NothingToDo, error.to_string())
    }
}

impl From<PluginStoreError> for ApiError {
    fn from(error: PluginStoreError) -> Self {
        let message = portcullis_host::ErrorChain(&error).to_string();
        match error {
            PluginStoreError::NoFolder => Self::new(ErrorCode::Conflict, message),
            PluginStoreError::Write { .. } => {
                error!(error = message, "a plugin could not be written into the folder of plugins");
                Self::new(ErrorCode::StorageFull, message)
            }
            _ => Self::new(ErrorCode::InvalidPlugin, message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let ApiError { code, message, details, retry_after } = self;
        // Each code's status is one, as a test of theirs says.
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = ErrorObject { code: code.as_str().to_owned(), message: message.into_owned(), details };
        let mut response = answer::json(status, &ErrorBody { error });
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_a_status_and_a_name_of_its_own() {
        let mut names = std::collections::HashSet::new();
        for code in ErrorCode::ALL {
            assert!(StatusCode::from_u16(code.status()).is_ok_and(|status| !status.is_success()), "{code:?}");
            assert!(names.insert(code.as_str()), "{code:?}");
        }
    }
}
