//! Error responses of the native API.

use std::borrow::Cow;

use axum::http::header::{CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use portcullis_admission::{LogLimit, RateLimited};
use portcullis_api::{Detail, ErrorBody, ErrorCode, ErrorObject, TokenScope};
use portcullis_engine::Stop;
use portcullis_engine::plugin_store::PluginStoreError;
use portcullis_host::{ExchangeError, ForeignText};
use portcullis_ledger::LedgerError;
use portcullis_process_metrics::http::Reason;
use tracing::error;

use super::answer;
use crate::gateway::AdminError;
use crate::ops::{Refusal, RowError, RowProblem, Unfinished};
use crate::registry::Denied;
use crate::wire;

/// An error response: code, message and details.
#[derive(Debug)]
pub struct ApiError {
    code: ErrorCode,
    message: Cow<'static, str>,
    details: Vec<Detail>,
    /// `Retry-After` in seconds.
    retry_after: Option<u64>,
    /// Whether the response closes the connection.
    closes: bool,
    /// Its name in metrics and logs, if that is not the code.
    reason: Option<&'static str>,
}

/// How long a client that wants to load a plugin should wait while others are being compiled, in seconds.
const COMPILING_SECONDS: u64 = 5;
/// How long a client should wait that wants to write to a ledger that is lost, in seconds: somebody must put it back.
const LOST_SECONDS: u64 = 60;
/// The most bytes of a message.
const MESSAGE_BYTES: usize = 8192;
/// The most details in a response.
const MAX_DETAILS: usize = 1000;
/// The most bytes of details: errors are not counted as answers, so they are short.
const DETAILS_BYTES: usize = 48 << 10;
/// Bytes of a detail without its texts.
const DETAIL_BYTES: usize = 40;

impl ApiError {
    /// Creates an error without details. The message is for people: what is wrong, and what to do about it. It must not
    /// contain a number or a token.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        ApiError {
            code,
            message: message.into(),
            details: Vec::new(),
            retry_after: None,
            closes: false,
            reason: None,
        }
    }

    /// The same error, with a name of its own in metrics and logs.
    fn because(self, reason: &'static str) -> Self {
        ApiError { reason: Some(reason), ..self }
    }

    fn with_details(mut self, details: impl IntoIterator<Item = Detail>) -> Self {
        let mut left = DETAILS_BYTES;
        let fits = |detail: &Detail| {
            let field = detail.field.as_ref().map_or(0, String::len);
            let bytes = detail.reason.len().min(MESSAGE_BYTES) + field + DETAIL_BYTES;
            left.checked_sub(bytes).map(|rest| left = rest).is_some()
        };
        self.details = details.into_iter().take(MAX_DETAILS).take_while(fits).collect();
        self
    }

    /// The request has no bearer token.
    pub fn missing_token() -> Self {
        let message = "the request has no token: send the header Authorization: Bearer TOKEN";
        Self::new(ErrorCode::MissingToken, message)
    }

    /// The token is unknown.
    pub fn invalid_token() -> Self {
        let message = "the token is unknown: use one that the gateway's administrator has configured";
        Self::new(ErrorCode::InvalidToken, message)
    }

    /// The token is not the administrator's.
    pub fn not_the_administrator() -> Self {
        let message = "the token is not the administrator's: this path takes the admin_token, or one of the admin_tokens, of the gateway's [server] settings";
        Self::new(ErrorCode::InvalidToken, message)
    }

    /// The token has expired.
    pub fn token_expired() -> Self {
        let message = "the token has expired: use a newer one, or ask the gateway's administrator for one";
        Self::new(ErrorCode::TokenExpired, message)
    }

    /// The token lacks a scope.
    pub fn scope_not_allowed(scope: TokenScope) -> Self {
        let scope = scope.as_str();
        let message = format!(
            "the token may not be used for this: it lacks the scope `{scope}`; use another token, or ask the gateway's administrator for \
             one with the scope"
        );
        Self::new(ErrorCode::ScopeNotAllowed, message)
    }

    /// Nothing is at this path.
    pub fn not_found() -> Self {
        let message = "nothing is at this path: /portcullis/v1/openapi.json lists all paths";
        Self::new(ErrorCode::NotFound, message)
    }

    /// The path does not accept this method. The response must list the others in `Allow`.
    pub fn method_not_allowed() -> Self {
        let message = "this path does not accept this method: the header Allow lists those it accepts";
        Self::new(ErrorCode::MethodNotAllowed, message)
    }

    /// The body is empty, where JSON is expected.
    pub fn empty_body() -> Self {
        Self::new(ErrorCode::InvalidJson, "the body is empty: send a JSON object")
    }

    /// The body is not JSON. `line` and `column` are where the parser stopped.
    pub fn invalid_json(line: usize, column: usize) -> Self {
        let message = format!("the body is not JSON: syntax error at line {line}, column {column}");
        Self::new(ErrorCode::InvalidJson, message)
    }

    /// A field is invalid, or the request as a whole if `place` is empty. `what` says what is wrong, without the value.
    pub fn invalid_request(place: &str, what: &str) -> Self {
        if place.is_empty() {
            return Self::new(ErrorCode::InvalidRequest, format!("the request is invalid: {what}"));
        }
        Self::new(ErrorCode::InvalidRequest, format!("`{place}` is invalid: {what}")).with_details([Detail {
            index: None,
            field: Some(place.to_owned()),
            reason: what.to_owned(),
        }])
    }

    /// The body has more than `limit` bytes.
    pub fn body_too_large(limit: usize) -> Self {
        let message = format!(
            "the body has more than {limit} bytes, the gateway's limit: split it into several requests"
        );
        Self::new(ErrorCode::BodyTooLarge, message)
    }

    /// The body is not declared as JSON.
    pub fn unsupported_media_type() -> Self {
        let message = "the body is not declared as JSON: send the header Content-Type: application/json";
        Self::new(ErrorCode::UnsupportedMediaType, message)
    }

    /// The body is not declared as a WebAssembly component.
    pub fn not_a_component() -> Self {
        let message =
            "the body is not declared as a component: send the header Content-Type: application/wasm";
        Self::new(ErrorCode::UnsupportedMediaType, message)
    }

    /// The new plugin does not serve. `why` is a sentence, possibly with the plugin's own text.
    pub fn plugin_refused(why: &str) -> Self {
        let message = format!("the plugin was not replaced, and the previous one still serves: {why}");
        Self::new(ErrorCode::PluginRefused, message)
    }

    /// The gateway can't answer now. The response has `Retry-After: 1`.
    pub fn unavailable(message: &'static str) -> Self {
        Self::new(ErrorCode::Unavailable, message)
    }

    /// The gateway is starting or stopping. The response has `Retry-After: 1`.
    pub fn not_ready(message: &'static str) -> Self {
        Self::unavailable(message).because("not_ready")
    }

    /// There are too many connections. The response has `Retry-After: 1`.
    pub fn too_many_connections() -> Self {
        Self::unavailable("there are too many connections: retry in a moment, with fewer")
            .because("too_many_connections")
    }

    /// Plugins are being compiled, or the compiler can't be run: the same request may succeed later. `why` is a sentence.
    pub fn plugin_not_loaded_yet(why: impl Into<Cow<'static, str>>) -> Self {
        let mut error = Self::new(ErrorCode::Unavailable, why).because("compiling");
        error.retry_after = Some(COMPILING_SECONDS);
        error
    }

    /// The message is blocked.
    pub fn blocked() -> Self {
        let message = "the message is blocked and was not forwarded";
        Self::new(ErrorCode::Blocked, message)
    }

    /// A rule stops the message. If it does for now only, the response has `Retry-After`.
    pub fn stopped(stop: &Stop) -> Self {
        let detail =
            || Detail { index: None, field: Some(stop.rule.to_string()), reason: stop.reason().to_owned() };
        let (code, when) = match stop.until {
            None => (ErrorCode::Blocked, String::new()),
            Some(until) => (ErrorCode::Postponed, format!("; ask again at {}", wire::time(until))),
        };
        let message = format!("the message was not forwarded: {stop}{when}");
        let mut error = Self::new(code, message).with_details([detail()]);
        error.retry_after = stop.wait().map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        error
    }

    /// The next hop failed. `code` is [`ErrorCode::NextHopFailed`] or [`ErrorCode::NextHopLate`].
    pub fn next_hop(code: ErrorCode, why: &dyn std::fmt::Display) -> Self {
        Self::new(code, format!("the next hop failed: {why}"))
    }

    /// The token's rate limit is exceeded. The response has `Retry-After`.
    pub fn rate_limited(wait: RateLimited) -> Self {
        let message = format!("rate limit exceeded; retry in {} s", wait.seconds());
        let mut error = Self::new(ErrorCode::TooManyRequests, message).because("rate_limit");
        error.retry_after = Some(wait.seconds());
        error
    }

    /// Too many requests with unknown tokens came from the client's address. The response has `Retry-After`, and closes the
    /// connection.
    pub fn too_many_guesses(wait: RateLimited) -> Self {
        let message = format!(
            "the token is unknown, and too many unknown ones came from this address: use one that the gateway's \
             administrator has configured, or retry in {} s",
            wait.seconds()
        );
        let mut error = Self::new(ErrorCode::TooManyRequests, message).because("wrong_tokens");
        (error.retry_after, error.closes) = (Some(wait.seconds()), true);
        error
    }

    /// A bug. The caller must log what happened, because the response does not say.
    pub fn internal() -> Self {
        let message = "the request failed because of a bug in the gateway: tell its administrator the time, for the log";
        Self::new(ErrorCode::Internal, message)
    }

    fn row(error: &RowError) -> Self {
        let (code, what) = match error {
            RowError::Identity(_) => (ErrorCode::InvalidNumber, "number"),
            _ => (ErrorCode::InvalidRequest, "entry"),
        };
        Self::new(code, format!("the {what} is invalid, so nothing was done: {error}"))
            .with_details([Detail { index: None, field: None, reason: error.to_string() }])
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
                format!("the {what} at index {} is invalid, so nothing was done: {}", one.index, one.error)
            }
            many => format!(
                "{} rows are invalid, the first at index {}, so nothing was done: correct the rows in details",
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
                let message = "the token's tenant has no sender of this name: GET /portcullis/v1/status lists its senders";
                Self::new(ErrorCode::UnknownSender, message)
            }
            Refusal::SenderNotAllowed => {
                let message =
                    "the token is valid for another sender only: use that sender, or a token of the tenant";
                Self::new(ErrorCode::SenderNotAllowed, message)
            }
            Refusal::Held => {
                let message = "the number stays blocked by a hold of another kind, such as the person's own opt-out: \
                    name it with hold=opt_out, or lift all with hold=all";
                Self::new(ErrorCode::Held, message)
            }
            Refusal::EntryNotFound => {
                let message = "the list has no such entry: GET …/entries lists its entries";
                Self::new(ErrorCode::EntryNotFound, message)
            }
            Refusal::InvalidRow(error) => Self::row(&error),
            Refusal::InvalidRows(problems) => Self::rows(&problems),
            Refusal::TooManyNumbers { given, limit } => {
                let message = format!(
                    "the request has {given} numbers, and {limit} is the most: split it into several requests"
                );
                Self::new(ErrorCode::TooManyNumbers, message)
            }
            Refusal::TooLong => Self::invalid_request(
                "",
                "the list is too long to be read like this in time; ask for fewer entries, or continue from a cursor",
            ),
            Refusal::Overloaded => Self::unavailable(
                "too many requests of this tenant are under way, and nothing was done; try again",
            )
            .because("overloaded"),
            Refusal::Unread => Self::unavailable(
                "answers that were not read yet take all the memory that there is for them, and nothing was done: read them, or try again",
            )
            .because("unread_answers"),
            Refusal::TooLarge => Self::invalid_request(
                "",
                "the answer would be larger than the gateway's memory for answers, and nothing was done; ask for less, or split the request",
            ),
            Refusal::Ledger(error) => error.into(),
            Refusal::NotEverywhere => {
                let message = "the change is stored and applies here, but not all gateways of the fleet had it in time: repeat the request, \
                    which changes nothing and waits for them again";
                Self::new(ErrorCode::OutcomeUnknown, message)
            }
            Refusal::PositionLost => {
                let message = "the ledger has lost what was written up to this Portcullis-Position, as at a failover to a standby that \
                    lacked it: repeat the write, and send the new position";
                Self::new(ErrorCode::PositionLost, message)
            }
            Refusal::Defect => Self::internal(),
        }
    }
}

impl From<Unfinished> for ApiError {
    fn from(unfinished: Unfinished) -> Self {
        Refusal::from(unfinished).into()
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::UnknownToken => Self::invalid_token(),
            Denied::Loading => Self::unavailable("the gateway is starting: retry in a moment"),
            Denied::TooManyGuesses(wait) => Self::too_many_guesses(wait),
            Denied::Expired => Self::token_expired(),
            Denied::OutOfScope(scope) => Self::scope_not_allowed(scope),
            Denied::RateLimited(wait) => Self::rate_limited(wait),
        }
    }
}

/// Lines about errors of the ledger: a full disk fails every write.
static LEDGER_ERRORS: LogLimit = LogLimit::new(50);

/// Logs an error of the ledger with its causes, at a bounded rate. Responses don't contain them.
pub fn log_ledger_error(error: &LedgerError) {
    if !LEDGER_ERRORS.admits() {
        return;
    }
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    let suppressed = LEDGER_ERRORS.suppressed();
    error!(%error, causes = causes.join(": "), suppressed, "the ledger failed");
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        log_ledger_error(&error);
        let error = of_ledger(&error);
        if error.code == ErrorCode::Unavailable { error.because("ledger") } else { error }
    }
}

fn of_ledger(error: &LedgerError) -> ApiError {
    match error {
        LedgerError::Full(_) => {
            let message = "the disk of the ledger is full: nothing was written; tell the administrator";
            ApiError::new(ErrorCode::StorageFull, message)
        }
        LedgerError::Io(_) | LedgerError::Closed | LedgerError::LogInUse => {
            ApiError::unavailable("the entries can't be read or written now: retry later")
        }
        LedgerError::Locked(_) => ApiError::unavailable(
            "another program holds the lock of the ledger's file, and nothing was written: retry later",
        ),
        LedgerError::Replaced { .. } => {
            let message = "the ledger's file was removed, replaced or overwritten, so nothing can be written: tell the administrator";
            let mut error = ApiError::unavailable(message);
            error.retry_after = Some(LOST_SECONDS);
            error
        }
        LedgerError::Unavailable(_) | LedgerError::HistoryLost => ApiError::unavailable(
            "the ledger's database can't be reached, or is too busy, and nothing was changed: retry later",
        ),
        LedgerError::TooOld => ApiError::unavailable(
            "the ledger's database was upgraded, this gateway is too old for it, and nothing was written: tell the administrator",
        ),
        LedgerError::AnotherMasterKey => ApiError::unavailable(
            "the ledger is under a master key that this gateway does not have, and nothing was written: tell the administrator",
        ),
        LedgerError::SettingsChanged => ApiError::unavailable(
            "other gateways change the tenant's settings at the same time, and nothing was written: retry later",
        ),
        LedgerError::TenantForgotten => ApiError::unavailable(
            "another gateway forgets the tenant at the same time, and nothing was written: retry later",
        ),
        LedgerError::TookTooLong => ApiError::unavailable(
            "the ledger's database did not answer in time, and nothing was changed: retry later",
        ),
        LedgerError::OutcomeUnknown => {
            let message =
                "the ledger's database did not say in time whether the write is stored: repeat the request";
            ApiError::new(ErrorCode::OutcomeUnknown, message)
        }
        LedgerError::Damaged { .. } => {
            ApiError::unavailable("the entries are damaged in the ledger: tell the administrator")
        }
        _ => ApiError::internal(),
    }
}

impl From<AdminError> for ApiError {
    fn from(error: AdminError) -> Self {
        let message = error.to_string();
        match error {
            AdminError::UnknownTenant => Self::new(ErrorCode::UnknownTenant, message),
            AdminError::UnknownSender => Self::new(ErrorCode::UnknownSender, message),
            AdminError::UnknownToken => Self::new(ErrorCode::TokenNotFound, message),
            AdminError::Changed => Self::new(ErrorCode::PreconditionFailed, message),
            AdminError::SetUpInFile(_) => Self::new(ErrorCode::Conflict, message),
            AdminError::Ledger(error) => error.into(),
            AdminError::Defect => Self::internal(),
            AdminError::NotYet(why) => Self::plugin_not_loaded_yet(why),
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
            error if error.is_transient() => Self::plugin_not_loaded_yet(message),
            PluginStoreError::NoFolder => Self::new(ErrorCode::Conflict, message),
            PluginStoreError::Write { .. } => {
                error!(error = message, "cannot write a plugin into the plugin folder");
                Self::new(ErrorCode::StorageFull, message)
            }
            _ => Self::new(ErrorCode::InvalidPlugin, message),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let ApiError { code, message, mut details, retry_after, closes, reason } = self;
        // Messages quote plugins and names of files.
        let message = ForeignText(&message).within(MESSAGE_BYTES);
        for detail in &mut details {
            detail.reason = ForeignText(&detail.reason).within(MESSAGE_BYTES);
        }
        // A test checks that the status of every code is valid.
        let status = StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let error = ErrorObject { code: code.as_str().to_owned(), message, details };
        let mut response = answer::json(status, &ErrorBody { error });
        response.extensions_mut().insert(Reason(reason.unwrap_or(code.as_str())));
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
        if closes {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use axum::body::to_bytes;
    use portcullis_engine::plugin_store::Origin;
    use portcullis_host::{LoadError, is_obeyed};

    use super::*;

    fn not_loaded(source: LoadError) -> Response {
        let (name, origin) = ("a".to_owned(), Origin::BuiltIn);
        let error = PluginStoreError::Unloadable { name, origin, source: Arc::new(source) };
        ApiError::from(error).into_response()
    }

    #[test]
    fn a_plugin_that_waits_for_others_is_not_invalid() {
        for source in [LoadError::Busy, LoadError::NoThread, LoadError::NoCompiler("it is gone".to_owned())] {
            let response = not_loaded(source);
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], "5");
        }
        assert_eq!(not_loaded(LoadError::TooMuchMemory { limit: 0 }).status(), StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn texts_of_others_are_bounded_and_escaped() {
        let text = format!("it imports `x\n\u{202e}\u{1b}[31m`{}", "A".repeat(1 << 20));
        let response = ApiError::plugin_refused(&text).into_response();
        let body = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let body: ErrorBody = serde_json::from_slice(&body).unwrap();
        assert!(!body.error.message.contains(is_obeyed) && body.error.message.len() < 10_000);
        assert!(body.error.message.contains(r"x\n\u{202e}\u{1b}[31m"), "{}", body.error.message);
    }

    #[test]
    fn every_code_has_a_status_and_a_name_of_its_own() {
        let mut names = std::collections::HashSet::new();
        for code in ErrorCode::ALL {
            assert!(StatusCode::from_u16(code.status()).is_ok_and(|status| !status.is_success()), "{code:?}");
            assert!(names.insert(code.as_str()), "{code:?}");
        }
    }
}
