//! Errors as the native API words them.

use std::borrow::Cow;

use axum::http::header::{RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_engine::plugin_store::PluginStoreError;
use portcullis_host::ExchangeError;
use portcullis_ledger::LedgerError;
use schemars::JsonSchema;
use serde::Serialize;
use tracing::error;

use super::answer;
use crate::core::{Refusal, RowError, RowProblem};
use crate::gateway::AdminError;
use crate::registry::TooOften;
use crate::traffic::Unanswered;

/// An error, ready to be answered.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    details: Vec<Detail>,
    /// In seconds.
    retry_after: Option<u64>,
}

/// The body of every answer that is not a success.
#[derive(Serialize, JsonSchema)]
pub(super) struct ErrorBody<'a> {
    error: ErrorObject<'a>,
}

/// What went wrong.
#[derive(Serialize, JsonSchema)]
struct ErrorObject<'a> {
    /// For programs: stable, in snake_case.
    code: &'a str,
    /// For people: what was wrong with what, and what to do.
    message: &'a str,
    /// The single things that were wrong, where there may be several.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    #[schemars(default)]
    details: &'a [Detail],
}

/// One thing that was wrong.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Detail {
    /// Which of the numbers or entries, from 0 on.
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<usize>,
    /// Which field.
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What is wrong with it. Never holds the number.
    reason: String,
}

/// The most details that are given.
const MAX_DETAILS: usize = 1000;

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        ApiError { status, code, message: message.into(), details: Vec::new(), retry_after: None }
    }

    fn with_details(mut self, details: impl IntoIterator<Item = Detail>) -> Self {
        self.details = details.into_iter().take(MAX_DETAILS).collect();
        self
    }

    pub(super) fn missing_token() -> Self {
        let message = "no token was sent: send the header Authorization: Bearer TOKEN";
        Self::new(StatusCode::UNAUTHORIZED, "missing_token", message)
    }

    pub(super) fn invalid_token() -> Self {
        let message = "the token is not known here: use one of those that the gateway's administrator set up";
        Self::new(StatusCode::UNAUTHORIZED, "invalid_token", message)
    }

    pub(super) fn not_found() -> Self {
        let message = "there is nothing at this path: /portcullis/v1/openapi.json lists what there is";
        Self::new(StatusCode::NOT_FOUND, "not_found", message)
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "this path does not take this method: the header Allow lists those it takes";
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
    }

    pub(super) fn invalid_json(line: usize, column: usize) -> Self {
        let message = format!("the body is not JSON: it goes wrong at line {line}, column {column}");
        Self::new(StatusCode::BAD_REQUEST, "invalid_json", message)
    }

    /// `place` is the field, or empty.
    pub(super) fn invalid_request(place: &str, what: &str) -> Self {
        if place.is_empty() {
            return Self::new(
                StatusCode::BAD_REQUEST,
                "invalid_request",
                format!("the request is refused: {what}"),
            );
        }
        Self::new(StatusCode::BAD_REQUEST, "invalid_request", format!("`{place}` is refused: {what}"))
            .with_details([Detail { index: None, field: Some(place.to_owned()), reason: what.to_owned() }])
    }

    pub(super) fn body_too_large(limit: usize) -> Self {
        let message =
            format!("the body has more than {limit} bytes, the most that is taken: send several requests");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message)
    }

    pub(super) fn unsupported_media_type() -> Self {
        let message = "the body is not declared as JSON: send the header Content-Type: application/json";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    pub(super) fn not_a_component() -> Self {
        let message =
            "the body is not declared as a component: send the header Content-Type: application/wasm";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
    }

    /// `why` is a sentence about the plugin, maybe in its own words.
    pub(super) fn plugin_refused(why: &str) -> Self {
        let message = format!("the plugin is not exchanged, and what served before goes on: {why}");
        Self::new(StatusCode::CONFLICT, "plugin_refused", message)
    }

    pub(super) fn unavailable(message: &'static str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    }

    pub(super) fn blocked() -> Self {
        let message = "the message is blocked, and was not sent on";
        Self::new(StatusCode::FORBIDDEN, "blocked", message)
    }

    pub(super) fn next_hop(status: StatusCode, why: Unanswered) -> Self {
        let message = format!("the next hop does not answer: {why}");
        let code = match why {
            Unanswered::Unreachable => "next_hop_failed",
            Unanswered::Late => "next_hop_late",
        };
        Self::new(status, code, message)
    }

    pub(super) fn too_often(wait: TooOften) -> Self {
        let message = format!("the token asks more often than it may: wait {} s", wait.seconds());
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        error.retry_after = Some(wait.seconds());
        error
    }

    /// A defect. Whoever makes it logs what it is.
    pub(super) fn internal() -> Self {
        let message = "the gateway has a defect: its log says more, tell its administrator the time";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    fn rows(problems: &[RowProblem]) -> Self {
        let numbers_only = problems.iter().all(|problem| matches!(problem.error, RowError::Identity(_)));
        let (code, what) =
            if numbers_only { ("invalid_number", "number") } else { ("invalid_request", "entry") };
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
        Self::new(StatusCode::BAD_REQUEST, code, message).with_details(problems.iter().map(|problem| {
            Detail { index: Some(problem.index), field: None, reason: problem.error.to_string() }
        }))
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSender => {
                let message = "the token's tenant has no sender of this name: GET /portcullis/v1/status lists those it has";
                Self::new(StatusCode::NOT_FOUND, "unknown_sender", message)
            }
            Refusal::SenderNotAllowed => {
                let message =
                    "the token is good for another sender only: use that sender, or a token of the tenant";
                Self::new(StatusCode::FORBIDDEN, "sender_not_allowed", message)
            }
            Refusal::Held => {
                let message = "the number stays blocked by a hold of another kind, such as the person's own opt-out: \
                    name it with hold=opt_out, or lift all with hold=all";
                Self::new(StatusCode::CONFLICT, "held", message)
            }
            Refusal::EntryNotFound => {
                let message = "the list has no such entry: GET …/entries lists those it has";
                Self::new(StatusCode::NOT_FOUND, "entry_not_found", message)
            }
            Refusal::InvalidRows(problems) => Self::rows(&problems),
            Refusal::TooManyNumbers { given, limit } => {
                let message = format!("{given} numbers at once are more than {limit}: send several requests");
                Self::new(StatusCode::BAD_REQUEST, "too_many_numbers", message)
            }
            Refusal::Ledger(error) => error.into(),
            Refusal::Defect => Self::internal(),
        }
    }
}

impl From<TooOften> for ApiError {
    fn from(wait: TooOften) -> Self {
        Self::too_often(wait)
    }
}

/// Tells the log what the ledger reports, which no client is told.
pub(crate) fn tell_of(error: &LedgerError) {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    error!(%error, causes = causes.join(": "), "the ledger failed");
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        tell_of(&error);
        match error {
            LedgerError::Full(_) => {
                let message =
                    "the disk that holds the entries is full: nothing was written; tell the administrator";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", message)
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
            AdminError::UnknownTenant => Self::new(StatusCode::NOT_FOUND, "unknown_tenant", message),
            AdminError::UnknownSender => Self::new(StatusCode::NOT_FOUND, "unknown_sender", message),
            AdminError::SetUpInFile(_) => Self::new(StatusCode::CONFLICT, "conflict", message),
            AdminError::Ledger(error) => error.into(),
            AdminError::Defect => Self::internal(),
            AdminError::Refused(problems) => {
                let conflict = problems.iter().all(|problem| problem.conflict);
                let (status, code) = match conflict {
                    true => (StatusCode::CONFLICT, "conflict"),
                    false => (StatusCode::BAD_REQUEST, "invalid_request"),
                };
                let first = problems.first().map(|problem| format!("`{}`: {}", problem.place, problem.what));
                Self::new(status, code, first.unwrap_or(message)).with_details(problems.into_iter().map(
                    |problem| Detail {
                        index: None,
                        field: Some(problem.place.to_string()),
                        reason: problem.what,
                    },
                ))
            }
        }
    }
}

impl From<ExchangeError> for ApiError {
    fn from(error: ExchangeError) -> Self {
        Self::new(StatusCode::CONFLICT, "nothing_to_do", error.to_string())
    }
}

impl From<PluginStoreError> for ApiError {
    fn from(error: PluginStoreError) -> Self {
        let message = portcullis_host::ErrorChain(&error).to_string();
        match error {
            PluginStoreError::NoFolder => Self::new(StatusCode::CONFLICT, "conflict", message),
            PluginStoreError::Write { .. } => {
                error!(error = message, "a plugin could not be written into the folder of plugins");
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "storage_full", message)
            }
            _ => Self::new(StatusCode::BAD_REQUEST, "invalid_plugin", message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let ApiError { status, code, message, details, retry_after } = &self;
        let body = ErrorBody { error: ErrorObject { code, message, details } };
        let mut response = answer::json(*status, &body);
        let headers = response.headers_mut();
        match *status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            _ => {}
        }
        if let Some(seconds) = retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(*seconds));
        }
        response
    }
}
