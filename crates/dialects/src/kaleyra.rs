//! Kaleyra's API: `POST|DELETE|GET /{v1|v2}/{sid}/whatsapp/{phone_number}/block_users`.
//!
//! Kaleyra documents the responses of the list and of errors. Those of block and unblock are not documented, and are assumed to
//! be Meta's in Kaleyra's envelope. Entries cover both directions.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::MethodFilter;
use serde::Serialize;
use serde_json::{Value, json};

use super::users::{self, Action, Results, Wanted};
use portcullis_api::TokenScope;
use portcullis_api::settings::Dialect;
use portcullis_edge::AppState;
use portcullis_edge::http::answer;
use portcullis_edge::ops::Target;
use portcullis_edge::ops::read::Who;
use portcullis_edge::ops::{Patience, Work};
use portcullis_edge::registry::SenderName;
use portcullis_edge::token::TokenDigest;
use portcullis_edge::vendor::call::{self, Call, Context, Credential, Speaks};
use portcullis_edge::vendor::fault::Fault;

pub(super) const PATH: &str = "/{version}/{sid}/whatsapp/{phone}/block_users";
const VERSIONS: [&str; 2] = ["v1", "v2"];
const DEFAULT_LIMIT: usize = 25;
const KEY: &str = "api-key";

/// The dialect of Kaleyra.
pub(super) struct Kaleyra;

pub(super) fn router() -> Router<Arc<AppState>> {
    let route =
        call::method::<Kaleyra, _, _>(MethodFilter::POST, TokenScope::Block, |call| act(Action::Block, call))
            .merge(call::method::<Kaleyra, _, _>(MethodFilter::DELETE, TokenScope::Block, |call| {
                act(Action::Unblock, call)
            }))
            .merge(call::method::<Kaleyra, _, _>(MethodFilter::GET, TokenScope::Read, list));
    Router::new().route(PATH, call::others::<Kaleyra>(route))
}

#[derive(Serialize)]
struct Answer<D: Serialize> {
    code: &'static str,
    message: &'static str,
    data: D,
    #[serde(skip_serializing_if = "Option::is_none")]
    paging: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Value>,
}

async fn act(action: Action, call: Call) -> Result<Response, Fault> {
    let target = target(&call)?;
    target
        .blocking(call.write(), move |target| {
            let lifts_foreign = target.tenant.config.dialects.kaleyra_lifts_foreign;
            let made_through = (!lifts_foreign).then_some(Dialect::Kaleyra.as_str());
            let (results, room) = users::act(action, &call, &target, made_through)?;
            let (data, failed) = Results::of(action, results);
            if !failed {
                return Ok(room.json(StatusCode::OK, &good(data, None)));
            }
            let (message, error) = match action {
                Action::Block => {
                    ("Failed to block some users", "Some users could not be blocked, see failed_users")
                }
                Action::Unblock => {
                    ("Failed to unblock some users", "Some users could not be unblocked, see failed_users")
                }
            };
            let status = StatusCode::from_u16(call.app.dialects.kaleyra_partial_status);
            let error = Some(json!({ "block_users": error }));
            Ok(room.json(
                status.unwrap_or(StatusCode::BAD_REQUEST),
                &Answer { code: "WA400", message, data, paging: None, error },
            ))
        })
        .await
}

async fn list(call: Call) -> Result<Response, Fault> {
    let target = target(&call)?;
    // Dropped if the client disconnects.
    let (patience, _waiter) = Patience::new();
    target
        .blocking(Work::Read, move |target| {
            let wanted = Wanted::read(&call, &target, DEFAULT_LIMIT)?;
            let page = users::page(&target, &wanted, Who::Numbers, &patience)?;
            let person = |wa_id| json!({ "messaging_product": "whatsapp", "wa_id": wa_id });
            let data: Vec<Value> = page.people.iter().filter_map(users::wa_id).map(person).collect();
            let cursors = page.before.zip(page.after);
            let paging =
                cursors.map(|(before, after)| json!({ "cursors": { "before": before, "after": after } }));
            Ok(answer::to(&target, StatusCode::OK, &good(data, paging))?)
        })
        .await
}

fn good<D: Serialize>(data: D, paging: Option<Value>) -> Answer<D> {
    let message = "Request Processed Successfully";
    Answer { code: "WA200", message, data, paging, error: None }
}

fn target(call: &Call) -> Result<Target, Fault> {
    if !VERSIONS.contains(&call.param("version")) {
        return Err(Fault::NotFound);
    }
    let caller = call.caller(call.header(KEY).ok_or(Fault::MissingCredential)?)?;
    if caller.tenant.config.sid.as_deref() != Some(call.param("sid")) {
        return Err(Fault::WrongCredential);
    }
    let number = portcullis_numbers::international(call.param("phone")).map_err(|_| Fault::SenderUnknown)?;
    call.target(&caller, &SenderName::Number(number))
}

/// An error. As in the vendor's samples, `data` is an empty array for the code RBC001, and an empty object for all others.
#[derive(Serialize)]
struct ErrorBody<'a> {
    code: &'a str,
    message: &'a str,
    data: Value,
    error: Value,
}

impl Speaks for Kaleyra {
    const DIALECT: Dialect = Dialect::Kaleyra;

    fn credential(parts: &Parts) -> Credential {
        call::header_of(parts, KEY).map(TokenDigest::of).into()
    }

    fn fault(fault: &Fault, _: &Context<'_>) -> Response {
        let parts = error_parts(fault);
        let data = if parts.code == "RBC001" { json!([]) } else { json!({}) };
        let body = ErrorBody {
            code: parts.code,
            message: parts.message,
            data,
            error: json!({ parts.place: parts.what.as_deref().unwrap_or(parts.message) }),
        };
        answer::json(parts.status, &body)
    }
}

struct ErrorParts {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
    /// The key in `error`.
    place: &'static str,
    /// The value in `error`; `None` to repeat the message.
    what: Option<String>,
}

fn error_parts(fault: &Fault) -> ErrorParts {
    let parts = |status, code, message, place, what: Option<&str>| ErrorParts {
        status,
        code,
        message,
        place,
        what: what.map(str::to_owned),
    };
    let payload = |what: String| ErrorParts {
        status: StatusCode::BAD_REQUEST,
        code: "WA400",
        message: "Refer to correct payload format",
        place: "payload",
        what: Some(what),
    };
    match fault {
        Fault::MissingCredential | Fault::WrongCredential | Fault::FeatureOff => {
            parts(StatusCode::UNAUTHORIZED, "RBC001", "Incorrect SID or API key.", "error", None)
        }
        Fault::CredentialExpired => parts(
            StatusCode::UNAUTHORIZED,
            "RBC001",
            "Incorrect SID or API key.",
            "error",
            Some("The API key has expired."),
        ),
        Fault::OutOfScope(scope) => ErrorParts {
            status: StatusCode::FORBIDDEN,
            code: "RBC003",
            message: "The API key may not be used for this.",
            place: "error",
            what: Some(format!("The API key lacks the scope {}.", scope.as_str())),
        },
        Fault::SenderMissing | Fault::SenderUnknown | Fault::SenderNotAllowed => parts(
            StatusCode::UNAUTHORIZED,
            "WA401",
            "Phone number is not present or does not belong to the account.",
            "phone_number",
            None,
        ),
        Fault::SenderInactive => parts(
            StatusCode::UNAUTHORIZED,
            "WA401",
            "The phone number you're using not active",
            "phone_number",
            None,
        ),
        // The document has one text for all of these. Naming the parameter helps developers of clients.
        Fault::Malformed { place, .. } if matches!(place.as_str(), "limit" | "after" | "before") => {
            payload(format!("Incorrect {place}"))
        }
        Fault::Count { given, most, .. } if given > most => payload(format!("More than {most} users")),
        Fault::Malformed { .. } | Fault::Count { .. } | Fault::Rows(_) | Fault::UnsupportedMediaType => {
            payload("Incorrect payload format".to_owned())
        }
        Fault::TooLarge { .. } => ErrorParts {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            ..payload("The payload is too large".to_owned())
        },
        Fault::NotFound | Fault::EntryNotFound => {
            parts(StatusCode::NOT_FOUND, "WA404", "Not found", "error", None)
        }
        Fault::MethodNotAllowed => {
            parts(StatusCode::METHOD_NOT_ALLOWED, "WA405", "Method not allowed", "error", None)
        }
        Fault::RateLimited(_) => parts(
            StatusCode::TOO_MANY_REQUESTS,
            "WA429",
            "Too many requests",
            "error",
            Some("The API key asks more often than it may"),
        ),
        Fault::TooManyGuesses(_) => parts(
            StatusCode::TOO_MANY_REQUESTS,
            "WA429",
            "Too many requests",
            "error",
            Some("Too many requests with a wrong API key"),
        ),
        Fault::Unavailable | Fault::StorageFull => parts(
            StatusCode::SERVICE_UNAVAILABLE,
            "WA500",
            "Please try again later",
            "error",
            Some("Service unavailable"),
        ),
        Fault::ConcurrentChange | Fault::Internal => parts(
            StatusCode::INTERNAL_SERVER_ERROR,
            "WA500",
            "Please try again later",
            "error",
            Some("Internal server error"),
        ),
    }
}
