//! 99 Digital's API: block, unblock and list, each a POST with the credential in its body.
//!
//! Only the path of the first and three of the numeric failure reasons are documented. The others are settings with plausible
//! defaults. Entries cover both directions.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
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
use portcullis_edge::http::answer;
use portcullis_edge::ops::read::{self, Who};
use portcullis_edge::ops::write::{self, BlockRow, Lift, WriteOptions};
use portcullis_edge::ops::{Patience, Work};
use portcullis_edge::ops::{RowError, Target};
use portcullis_edge::registry::SenderName;
use portcullis_edge::settings::{NinetyNine as Settings, Reasons};
use portcullis_edge::vendor::call::{self, Call, Context, Credential, Speaks, whatsapp_terms};
use portcullis_edge::vendor::fault::Fault;
use portcullis_edge::vendor::text::Text;

const COVERED: Directions = Directions::BOTH;
/// Documented as "not FAIL. the status is OK".
const OK: u16 = 1;
/// The sender is unknown.
const UNKNOWN_FROM: u16 = 2;
/// The API key is missing or wrong.
const WRONG_KEY: u16 = 3;

/// The dialect of 99 Digital.
pub(super) struct NinetyNine;

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Block,
    Unblock,
    List,
}

impl Operation {
    /// Returns the configured paths of the operation.
    pub(super) fn paths(self, settings: &Settings) -> &[String] {
        match self {
            Operation::Block => &settings.block_paths,
            Operation::Unblock => &settings.unblock_paths,
            Operation::List => &settings.list_paths,
        }
    }

    /// What the token must be good for.
    fn scope(self) -> TokenScope {
        match self {
            Operation::Block | Operation::Unblock => TokenScope::Block,
            Operation::List => TokenScope::Read,
        }
    }

    fn reasons(self, settings: &Settings) -> Reasons {
        match self {
            Operation::Block => settings.block_reasons,
            Operation::Unblock => settings.unblock_reasons,
            Operation::List => settings.list_reasons,
        }
    }
}

pub(super) fn router(settings: &Settings) -> Router<Arc<AppState>> {
    let mut router = Router::new();
    for operation in [Operation::Block, Operation::Unblock, Operation::List] {
        for path in operation.paths(settings) {
            let scope = operation.scope();
            let route = call::method::<NinetyNine, _, _>(MethodFilter::POST, scope, move |call| {
                serve(operation, call)
            });
            router = router.route(path, call::others::<NinetyNine>(route));
        }
    }
    router
}

/// The request body. The name of the number's field is documented for responses only, so common alternatives are accepted.
#[derive(Deserialize)]
pub(super) struct Request {
    #[serde(rename = "apiKey", default)]
    api_key: Option<Text>,
    #[serde(default)]
    from: Option<Text>,
    #[serde(default, alias = "number", alias = "phone")]
    whatsapp: Option<Text>,
}

#[derive(Default, Serialize)]
struct Answer {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whatsapp: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Vec<String>>,
    reason: u16,
}

/// The fields of the request that the response repeats.
#[derive(Default)]
struct Echo {
    from: Option<String>,
    whatsapp: Option<String>,
}

/// Handles a request. Most errors are created here and not by [`Speaks::fault`], because they repeat fields of the request.
async fn serve(operation: Operation, call: Call) -> Result<Response, Fault> {
    let settings = call.app.dialects.clone();
    let mut echo = Echo::default();
    let request = match call.json::<Request>() {
        Ok(request) => request,
        Err(fault) => return Ok(failed(&fault, operation, &settings.ninety_nine, echo)),
    };
    echo.from = request.from.clone().map(Text::into_string);
    if operation != Operation::List {
        echo.whatsapp = request.whatsapp.clone().map(Text::into_string);
    }
    let echoed = Echo { from: echo.from.clone(), whatsapp: echo.whatsapp.clone() };
    let found = target(&call, &request);
    // Dropped if the client disconnects.
    let (patience, _waiter) = Patience::new();
    let work = if operation == Operation::List { Work::Read } else { Work::Write };
    let run = move |target: Target| match operation {
        Operation::Block => block(&target, &request, echo),
        Operation::Unblock => unblock(&target, &request, echo),
        Operation::List => list(&target, echo, &patience),
    };
    let done = match found {
        Ok(target) => target.blocking(work, run).await,
        Err(fault) => Err(fault),
    };
    match done {
        // These have a Retry-After and don't depend on the request.
        Err(fault @ (Fault::RateLimited(_) | Fault::TooManyGuesses(_) | Fault::Unavailable)) => Err(fault),
        Err(fault) => Ok(failed(&fault, operation, &settings.ninety_nine, echoed)),
        done => done,
    }
}

fn target(call: &Call, request: &Request) -> Result<Target, Fault> {
    let key = request.api_key.as_ref().map(|key| key.as_str().trim()).filter(|key| !key.is_empty());
    let caller = call.caller(key.ok_or(Fault::MissingCredential)?.as_bytes())?;
    let from = request.from.as_ref().ok_or(Fault::SenderMissing)?;
    let number = portcullis_numbers::international(from.as_str()).map_err(|_| Fault::SenderUnknown)?;
    call.target(&caller, &SenderName::Number(number))
}

fn number(request: &Request) -> Result<&str, Fault> {
    let number = request.whatsapp.as_ref().map(Text::as_str);
    number.ok_or_else(|| Fault::malformed("whatsapp", "is missing"))
}

fn block(target: &Target, request: &Request, echo: Echo) -> Result<Response, Fault> {
    let row = BlockRow::of(number(request)?, COVERED);
    let options = WriteOptions { terms: whatsapp_terms(target), ..WriteOptions::default() };
    call::succeeded(&write::block(target, &[row], options)?)?;
    Ok(answer::ok(&done(echo, None)))
}

fn unblock(target: &Target, request: &Request, echo: Echo) -> Result<Response, Fault> {
    let lifts_all = target.tenant.config.dialects.lift_opt_outs;
    let lift = Lift {
        hold: (!lifts_all).then_some(HoldKind::Operator),
        covering: COVERED,
        or_stays_blocked: true,
        ..Lift::of(COVERED)
    };
    call::succeeded(&write::unblock(target, &[number(request)?.into()], lift, WriteOptions::default())?)?;
    Ok(answer::ok(&done(echo, None)))
}

/// Lists all numbers in one response: the API has no paging.
fn list(target: &Target, echo: Echo, patience: &Patience) -> Result<Response, Fault> {
    let blocked = read::blocked(target, Paging::Start, NonZeroUsize::MAX, COVERED, Who::Numbers, patience)?;
    let numbers = blocked.members.iter().filter_map(|(_, identity)| identity.number());
    let numbers = Some(numbers.map(|number| number.digits().to_string()).collect());
    Ok(answer::to(target, StatusCode::OK, &done(echo, numbers))?)
}

fn done(echo: Echo, numbers: Option<Vec<String>>) -> Answer {
    let Echo { from, whatsapp } = echo;
    Answer { status: "OK", from, whatsapp, numbers, reason: OK }
}

fn failed(fault: &Fault, operation: Operation, settings: &Settings, echo: Echo) -> Response {
    let reasons = operation.reasons(settings);
    let reason = match fault {
        Fault::MissingCredential
        | Fault::WrongCredential
        | Fault::CredentialExpired
        | Fault::OutOfScope(_) => WRONG_KEY,
        Fault::SenderMissing
        | Fault::SenderUnknown
        | Fault::SenderInactive
        | Fault::SenderNotAllowed
        | Fault::FeatureOff => UNKNOWN_FROM,
        Fault::Rows(problems) => match problems.first().map(|problem| problem.error) {
            Some(RowError::OutsideWindow) => reasons.outside_window,
            Some(RowError::Full) => reasons.list_full,
            Some(RowError::OptedOut | RowError::TenantWide) => reasons.failed,
            _ => reasons.invalid_number,
        },
        Fault::Malformed { place, .. } if place == "whatsapp" => reasons.invalid_number,
        _ => reasons.failed,
    };
    let status = match fault {
        // Conditions for which the API has no reason are expressed as HTTP statuses.
        Fault::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        Fault::CredentialExpired => StatusCode::UNAUTHORIZED,
        Fault::OutOfScope(_) => StatusCode::FORBIDDEN,
        Fault::RateLimited(_) | Fault::TooManyGuesses(_) => StatusCode::TOO_MANY_REQUESTS,
        Fault::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        Fault::Unavailable | Fault::StorageFull => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::from_u16(settings.fail_status).unwrap_or(StatusCode::OK),
    };
    let Echo { from, whatsapp } = echo;
    answer::json(status, &Answer { status: "FAIL", from, whatsapp, numbers: None, reason })
}

impl Speaks for NinetyNine {
    const DIALECT: Dialect = Dialect::NinetyNine;

    fn credential(_: &Parts) -> Credential {
        Credential::InBody
    }

    fn fault(fault: &Fault, context: &Context<'_>) -> Response {
        let settings = &context.settings.ninety_nine;
        let of_path =
            |operation: &Operation| operation.paths(settings).iter().any(|path| path == context.path);
        let operation = [Operation::Unblock, Operation::List].into_iter().find(of_path);
        failed(fault, operation.unwrap_or(Operation::Block), settings, Echo::default())
    }
}
