//! Sinch's WhatsApp API: `POST|DELETE|GET /whatsapp/v1/{bot-id}/provision/blacklist`.
//!
//! A blacklisted number causes no inbound callbacks, so entries are inbound only. Sinch documents errors in three shapes;
//! responses have the fields of all of them, so that each generation of clients finds its own.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::Response;
use axum::routing::MethodFilter;
use portcullis_ledger::{HoldKind, Paging};
use portcullis_msisdn::Directions;
use serde::{Deserialize, Serialize};

use portcullis_api::TokenScope;
use portcullis_api::settings::Dialect;
use portcullis_edge::AppState;
use portcullis_edge::http::{answer, bearer};
use portcullis_edge::ops::Target;
use portcullis_edge::ops::read::{self, Who};
use portcullis_edge::ops::write::{self, BlockRow, Lift, Named, WriteOptions};
use portcullis_edge::ops::{Patience, Work};
use portcullis_edge::registry::SenderName;
use portcullis_edge::token::TokenDigest;
use portcullis_edge::vendor::call::{self, Call, Context, Credential, Speaks};
use portcullis_edge::vendor::fault::Fault;
use portcullis_edge::vendor::text::Text;

pub(super) const PATH: &str = "/whatsapp/v1/{bot}/provision/blacklist";
const COVERED: Directions = Directions::INBOUND;
/// Maximum number of numbers in one request.
pub(super) const MOST: usize = 20;
/// Numbers per page of the list.
const PAGE: NonZeroUsize = NonZeroUsize::new(100).unwrap();

/// The dialect of Sinch.
pub(super) struct Sinch;

pub(super) fn router() -> Router<Arc<AppState>> {
    let route = call::method::<Sinch, _, _>(MethodFilter::POST, TokenScope::Block, add)
        .merge(call::method::<Sinch, _, _>(MethodFilter::DELETE, TokenScope::Block, remove))
        .merge(call::method::<Sinch, _, _>(MethodFilter::GET, TokenScope::Read, list));
    Router::new().route(PATH, call::others::<Sinch>(route))
}

#[derive(Deserialize)]
pub(super) struct Numbers {
    #[serde(default)]
    numbers: Option<Vec<Text>>,
}

#[derive(Serialize)]
struct Page {
    numbers: Vec<String>,
}

async fn add(call: Call) -> Result<Response, Fault> {
    let target = target(&call)?;
    target
        .blocking(call.write(), move |target| {
            let numbers = numbers(&call)?;
            let rows: Vec<_> = numbers.iter().map(|number| BlockRow::of(number.as_str(), COVERED)).collect();
            write::block(&target, &rows, WriteOptions::default())?;
            Ok(Response::new(Body::empty()))
        })
        .await
}

async fn remove(call: Call) -> Result<Response, Fault> {
    let target = target(&call)?;
    target
        .blocking(call.write(), move |target| {
            let numbers = numbers(&call)?;
            let numbers: Vec<Named<'_>> = numbers.iter().map(|number| Named::Text(number.as_str())).collect();
            let lifts_all = target.tenant.config.dialects.lift_opt_outs;
            let lift = Lift {
                hold: (!lifts_all).then_some(HoldKind::Operator),
                covering: COVERED,
                or_stays_blocked: true,
                ..Lift::of(COVERED)
            };
            call::succeeded(&write::unblock(&target, &numbers, lift, WriteOptions::default())?)?;
            Ok(Response::new(Body::empty()))
        })
        .await
}

async fn list(call: Call) -> Result<Response, Fault> {
    let target = target(&call)?;
    let page = match call.query_of("page").as_deref() {
        None | Some("") => 0,
        // Documented as a 32-bit integer.
        Some(text) => {
            let page = text.parse::<i32>().ok().and_then(|page| u64::try_from(page).ok());
            page.ok_or_else(|| Fault::malformed("page", "must be an integer from 0 on"))?
        }
    };
    // Dropped if the client disconnects.
    let (patience, _waiter) = Patience::new();
    target
        .blocking(Work::Read, move |target| {
            let from = Paging::Skip(page * PAGE.get() as u64);
            let blocked = read::blocked(&target, from, PAGE, COVERED, Who::Numbers, &patience)?;
            let numbers = blocked.members.iter().filter_map(|(_, identity)| identity.number());
            // A page is short.
            Ok(answer::ok(&Page { numbers: numbers.map(|number| number.e164().to_string()).collect() }))
        })
        .await
}

/// Finds the list of the bot in the path. A token that isn't valid for this bot gets the same error as an unknown one.
fn target(call: &Call) -> Result<Target, Fault> {
    let caller = call.caller(call.bearer().ok_or(Fault::MissingCredential)?)?;
    call.target(&caller, &SenderName::BotId(call.param("bot").to_owned()))
}

fn numbers(call: &Call) -> Result<Vec<Text>, Fault> {
    let Numbers { numbers } = call.json()?;
    let numbers = numbers.unwrap_or_default();
    if (1..=MOST).contains(&numbers.len()) {
        return Ok(numbers);
    }
    Err(Fault::Count { field: "numbers", least: 1, most: MOST, given: numbers.len() })
}

/// An error with the fields of all documented shapes.
#[derive(Serialize)]
struct ErrorBody<'a> {
    message: &'a str,
    reason: &'a str,
    details: &'a str,
}

impl Speaks for Sinch {
    const DIALECT: Dialect = Dialect::Sinch;

    fn credential(parts: &Parts) -> Credential {
        bearer(&parts.headers).map(TokenDigest::of).into()
    }

    fn fault(fault: &Fault, _: &Context<'_>) -> Response {
        let (status, message, reason) = error_parts(fault);
        let body = ErrorBody { message, reason: &reason, details: &reason };
        answer::json(status, &body)
    }
}

fn error_parts(fault: &Fault) -> (StatusCode, &'static str, String) {
    let invalid = |reason: String| (StatusCode::BAD_REQUEST, "Validation error", reason);
    match fault {
        Fault::MissingCredential
        | Fault::WrongCredential
        | Fault::SenderUnknown
        | Fault::SenderMissing
        | Fault::SenderInactive
        | Fault::SenderNotAllowed
        | Fault::FeatureOff => (StatusCode::UNAUTHORIZED, "401", "Unauthorized bot".to_owned()),
        Fault::CredentialExpired => {
            (StatusCode::UNAUTHORIZED, "401", "Unauthorized bot, the token has expired".to_owned())
        }
        Fault::OutOfScope(scope) => {
            (StatusCode::FORBIDDEN, "403", format!("Forbidden, the token lacks the scope {}", scope.as_str()))
        }
        Fault::Count { given: 0, field, .. } => invalid(format!("Field [{field}] can not be empty.")),
        Fault::Count { field, least, most, .. } => {
            invalid(format!("Field [{field}] must have {least} to {most} elements."))
        }
        Fault::Rows(problems) => {
            let told = problems.iter().map(|problem| {
                format!("Field [numbers][{}] can not be taken: {}.", problem.index, problem.error)
            });
            invalid(told.collect::<Vec<_>>().join(" "))
        }
        Fault::Malformed { place, what } if place.is_empty() => invalid(format!("{what}.")),
        Fault::Malformed { place, what } => invalid(format!("Field [{place}] {what}.")),
        Fault::UnsupportedMediaType => invalid("Content-Type must be application/json.".to_owned()),
        Fault::TooLarge { limit } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "Validation error",
            format!("The body has more than {limit} bytes."),
        ),
        Fault::RateLimited(wait) | Fault::TooManyGuesses(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            "429",
            format!("Too many requests, wait {} seconds", wait.seconds()),
        ),
        Fault::MethodNotAllowed => {
            (StatusCode::METHOD_NOT_ALLOWED, "405", "Request method not supported".to_owned())
        }
        Fault::NotFound | Fault::EntryNotFound => (StatusCode::NOT_FOUND, "404", "Not found".to_owned()),
        Fault::Unavailable | Fault::StorageFull => (
            StatusCode::SERVICE_UNAVAILABLE,
            "503",
            "Internal service not available, request could not be handled".to_owned(),
        ),
        Fault::ConcurrentChange | Fault::Internal => {
            (StatusCode::INTERNAL_SERVER_ERROR, "500", "Internal server error".to_owned())
        }
    }
}
