//! Whats91's API at `/api/v2/message-blacklist`: list, get, add or reactivate, update, and soft delete.
//!
//! Messages to a blacklisted recipient are not sent, so entries are outbound only. Everything is documented except the maximum
//! page size and the HTTP status of creating an entry.

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use axum::routing::MethodFilter;
use jiff::Timestamp;
use portcullis_ledger::{Filter, HoldKind, Outcome, PublicId, Reason, Source, StatusFilter, TooLong};
use portcullis_msisdn::{Directions, Subject};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use portcullis_api::settings::Dialect;
use portcullis_edge::AppState;
use portcullis_edge::http::request_log::RequestId;
use portcullis_edge::http::{answer, bearer};
use portcullis_edge::ops::read::{self, Counted, Search, Shown};
use portcullis_edge::ops::write::{self, Amendment, BlockRow, Lift, PersonEntries, WriteOptions};
use portcullis_edge::ops::{Patience, Work};
use portcullis_edge::ops::{Refusal, RowError, Target};
use portcullis_edge::registry::SenderName;
use portcullis_edge::settings::SenderConfig;
use portcullis_edge::token::TokenDigest;
use portcullis_edge::vendor::call::{self, Call, Context, Credential, Speaks};
use portcullis_edge::vendor::fault::Fault;
use portcullis_edge::vendor::text::Text;

pub(super) const PATH: &str = "/api/v2/message-blacklist";
pub(super) const ENTRY_PATH: &str = "/api/v2/message-blacklist/{uid}";
const COVERED: Directions = Directions::OUTBOUND;
const ID_PREFIX: &str = "bl_";
const DEFAULT_LIMIT: usize = 50;
/// Names of a token that isn't in the header: in the query of a GET, or in the body of a POST.
const TOKEN_NAMES: [&str; 3] = ["authToken", "auth_token", "token"];

/// The dialect of Whats91.
pub(super) struct Whats91;

pub(super) fn router() -> Router<Arc<AppState>> {
    let list = call::method::<Whats91, _, _>(MethodFilter::GET, list)
        .merge(call::method::<Whats91, _, _>(MethodFilter::POST, add));
    let entry = call::method::<Whats91, _, _>(MethodFilter::GET, get)
        .merge(call::method::<Whats91, _, _>(MethodFilter::POST, update))
        .merge(call::method::<Whats91, _, _>(MethodFilter::DELETE, remove));
    Router::new().route(PATH, call::others::<Whats91>(list)).route(ENTRY_PATH, call::others::<Whats91>(entry))
}

/// The body of a POST. Unknown fields are ignored.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Body {
    #[serde(default)]
    sender_id: Option<Text>,
    #[serde(default)]
    phone: Option<Text>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    auth_token: Option<Text>,
    #[serde(default, rename = "auth_token")]
    auth_token_snake: Option<Text>,
    #[serde(default)]
    token: Option<Text>,
}

#[derive(Serialize)]
struct Envelope<D: Serialize> {
    success: bool,
    message: &'static str,
    data: D,
    metadata: Metadata,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    api_version: &'static str,
    request_id: String,
}

impl Metadata {
    fn of(id: RequestId) -> Self {
        Metadata { api_version: "v2", request_id: id.to_string() }
    }
}

/// Which fields of an entry a response has. Each operation documents its own.
#[derive(Clone, Copy)]
enum Fields {
    /// Those of `blacklistEntries` in the list.
    All,
    /// Those of `items`, the list's alias for generic clients.
    Brief,
    /// Those of a single entry.
    One,
    /// Those after adding.
    Added,
    /// Those after an update.
    Updated,
    /// Those after a removal.
    Removed,
}

async fn list(call: Call) -> Result<Response, Fault> {
    let target = target(&call, None)?;
    let status = match call.query_of("status").as_deref() {
        None | Some("" | "ACTIVE") => StatusFilter::Active,
        Some("INACTIVE") => StatusFilter::Inactive,
        Some("ALL") => StatusFilter::All,
        Some(_) => return Err(Fault::malformed("status", "must be ACTIVE, INACTIVE, or ALL")),
    };
    let positive = |name: &str, default: usize| match call.query_of(name).filter(|text| !text.is_empty()) {
        None => Ok(default),
        Some(text) => text
            .parse::<u32>()
            .ok()
            .filter(|number| *number > 0)
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| Fault::malformed(name, "must be a positive integer")),
    };
    let most = call.app.dialects.whats91_max_limit;
    let (page, limit) = (positive("page", 1)?, positive("limit", DEFAULT_LIMIT.min(most))?);
    let limit = NonZeroUsize::new(limit)
        .filter(|limit| limit.get() <= most)
        .ok_or_else(|| Fault::malformed("limit", &format!("must be at most {most}")))?;
    let search = call.query_of("search").filter(|text| !text.trim().is_empty());
    // Dropped if the client disconnects.
    let (patience, _waiter) = Patience::new();
    target
        .blocking(Work::Read, move |target| {
            let wanted = Counted {
                skip: (page as u64 - 1).saturating_mul(limit.get() as u64),
                limit,
                filter: Filter { status, covering: COVERED },
                search: search.as_deref().map(|text| Search::new(&target, text.trim())),
            };
            let (shown, more) = read::counted(&target, &wanted, &patience)?;
            let sender = target.sender_config();
            let entries = |fields| shown.iter().map(|shown| entry(sender, shown, fields)).collect::<Vec<_>>();
            let data = json!({
                "senderId": sender_number(sender),
                "phoneNumberId": sender.and_then(|sender| sender.phone_number_id.as_ref()),
                "wabaId": sender.and_then(|sender| sender.waba_id.as_ref()),
                "blacklistEntries": entries(Fields::All),
                "items": entries(Fields::Brief),
                "pagination": { "page": page, "limit": limit.get(), "count": shown.len(), "hasMore": more },
            });
            let list = enveloped("Blacklist entries retrieved", data, call.id);
            Ok(answer::to(&target, StatusCode::OK, &list)?)
        })
        .await
}

async fn get(call: Call) -> Result<Response, Fault> {
    let target = target(&call, None)?;
    target
        .blocking(Work::Read, move |target| {
            let subject = subject(&call, &target)?;
            let shown = shown(&target, subject)?;
            let data = one(&target, &shown, Fields::One);
            Ok(good("Blacklist entry retrieved", data, call.id))
        })
        .await
}

async fn add(call: Call) -> Result<Response, Fault> {
    let (body, target) = posted(&call).await?;
    target
        .blocking(Work::Write, move |target| {
            let phone = body.phone.as_ref().ok_or_else(|| Fault::malformed("phone", "is required"))?;
            // Before anything is written: an entry without a number could not be shown.
            if target.read(phone.as_str()).is_ok_and(|identity| identity.number().is_none()) {
                return Err(Fault::malformed("phone", "must be a telephone number, not a user id"));
            }
            let source = body.source.as_deref().filter(|source| !source.is_empty()).unwrap_or("MANUAL");
            let row = BlockRow {
                source: source_of(source),
                label: Some(source),
                reason: body.reason.as_deref(),
                ..BlockRow::of(phone.as_str(), COVERED)
            };
            let done = write::block(&target, &[row], WriteOptions::default())?;
            let subject = done.results.first().and_then(|row| row.subject).ok_or(Fault::Internal)?;
            let shown = shown(&target, subject)?;
            Ok(good("Blacklist entry saved", one(&target, &shown, Fields::Added), call.id))
        })
        .await
}

async fn update(call: Call) -> Result<Response, Fault> {
    let (body, target) = posted(&call).await?;
    target
        .blocking(Work::Write, move |target| {
            let subject = subject(&call, &target)?;
            let before = shown(&target, subject)?;
            let activate = match body.status.as_deref() {
                None => None,
                Some("ACTIVE") => Some(true),
                Some("INACTIVE") => Some(false),
                Some(_) => return Err(Fault::malformed("status", "must be ACTIVE or INACTIVE")),
            };
            if activate.is_none() && body.reason.is_none() {
                return Err(Fault::malformed("", "reason or status is required"));
            }
            let reason = body.reason.clone().map(Reason::new).transpose().map_err(too_long)?;
            if activate == Some(false) {
                // Check before anything is written: an update is atomic.
                check_lift(&target, &before)?;
            }
            let is_active = covers(&before);
            if reason.is_some() || activate == Some(true) {
                // The reason that is shown for an active entry is that of its leading hold.
                let lead = before.entry.holds.lead();
                let hold = if is_active && activate.is_none() { lead.kind } else { HoldKind::Operator };
                let lifted = activate == Some(false) || activate.is_none() && !is_active;
                let amendment = Amendment { hold, directions: COVERED, reason, lifted };
                write::amend(&target, &before.entry, amendment)?;
            } else if is_active {
                lift(&target, subject)?;
            }
            let after = shown(&target, subject)?;
            Ok(good("Blacklist entry updated", one(&target, &after, Fields::Updated), call.id))
        })
        .await
}

async fn remove(call: Call) -> Result<Response, Fault> {
    let target = target(&call, None)?;
    target
        .blocking(Work::Write, move |target| {
            let subject = subject(&call, &target)?;
            let before = shown(&target, subject)?;
            check_lift(&target, &before)?;
            if covers(&before) {
                lift(&target, subject)?;
            }
            let after = shown(&target, subject)?;
            Ok(good("Blacklist entry removed", one(&target, &after, Fields::Removed), call.id))
        })
        .await
}

/// Lifts the operator's hold, or all holds with `dialects.lift_opt_outs`. Fails if the person stays blocked.
fn operators_lift(target: &Target) -> Lift<'static> {
    let lifts_all = target.tenant.config.dialects.lift_opt_outs;
    Lift {
        hold: (!lifts_all).then_some(HoldKind::Operator),
        covering: COVERED,
        or_stays_blocked: true,
        ..Lift::of(COVERED)
    }
}

/// Checks that an entry can be made inactive, considering the person's entries under other spellings.
fn check_lift(target: &Target, shown: &Shown) -> Result<(), Fault> {
    let person = shown.identity.as_ref().map(|identity| target.person(identity)).transpose()?.flatten();
    let standing = match person {
        Some(person) => PersonEntries::of(target, &person)?,
        None => PersonEntries { own: vec![shown.entry.clone()], wide: Vec::new() },
    };
    operators_lift(target).objection(&standing).map_or(Ok(()), |objection| Err(stays(objection)))
}

fn stays(objection: RowError) -> Fault {
    Fault::malformed("status", &format!("can not be INACTIVE: {objection}"))
}

/// Makes an entry inactive.
fn lift(target: &Target, subject: Subject) -> Result<(), Fault> {
    match write::unblock_entry(target, subject, operators_lift(target)) {
        // The person has opted out in the meantime.
        Err(Refusal::Held) => Err(stays(RowError::OptedOut)),
        Ok(written) if written.outcome == Outcome::Lifted => Err(stays(RowError::OptedOut)),
        done => Ok(done.map(|_| ())?),
    }
}

/// Whether the entry is active in this dialect: it blocks outbound messages.
fn covers(shown: &Shown) -> bool {
    (COVERED & !shown.entry.directions).is_none()
}

fn too_long(error: TooLong) -> Fault {
    Fault::malformed("reason", &format!("must have at most {} characters", error.limit))
}

/// Maps a client's source to one of the ledger's. The label itself is stored as well, and returned as it was given.
fn source_of(label: &str) -> Source {
    match label.to_ascii_uppercase().as_str() {
        "MANUAL" => Source::Manual,
        "IMPORT" => Source::Import,
        _ => Source::Api,
    }
}

/// Reads the id of the entry in the path.
fn subject(call: &Call, target: &Target) -> Result<Subject, Fault> {
    let id = call.param("uid").strip_prefix(ID_PREFIX).and_then(|id| id.parse::<PublicId>().ok());
    Ok(target.list.entries().subject_of(&id.ok_or(Fault::EntryNotFound)?))
}

/// Reads an entry. Entries that never blocked outbound messages, or have no number, are not found in this dialect.
fn shown(target: &Target, subject: Subject) -> Result<Shown, Fault> {
    let shown = read::entry(target, subject)?;
    let is_seen = (COVERED & !shown.entry.ever).is_none()
        && shown.identity.as_ref().is_some_and(|identity| identity.number().is_some());
    if is_seen { Ok(shown) } else { Err(Fault::EntryNotFound) }
}

/// Reads the body and the list of a POST, whose token may be in the body.
async fn posted(call: &Call) -> Result<(Body, Target), Fault> {
    let is_json = portcullis_edge::http::body::is_declared(&call.parts.headers, "application/json");
    let body = if is_json { call.json_in_turn::<Body>().await } else { Err(Fault::UnsupportedMediaType) };
    match body {
        Ok(body) => {
            let target = target(call, Some(&body))?;
            Ok((body, target))
        }
        Err(fault) => {
            // Report a missing or wrong token before an invalid body.
            let token = call.bearer().ok_or(Fault::MissingCredential)?;
            call.caller(token)?;
            Err(fault)
        }
    }
}

/// Finds the sender's list. The sender is that in the body or query, or the one for which the token is.
fn target(call: &Call, body: Option<&Body>) -> Result<Target, Fault> {
    let elsewhere = match body {
        Some(body) => {
            let given = [&body.auth_token, &body.auth_token_snake, &body.token];
            given.into_iter().flatten().next().map(|token| token.as_str().to_owned())
        }
        None => TOKEN_NAMES.iter().find_map(|name| call.query_of(name)),
    };
    let elsewhere = elsewhere.filter(|token| !token.trim().is_empty());
    let token = call.bearer().or(elsewhere.as_ref().map(|token| token.trim().as_bytes()));
    let caller = call.caller(token.ok_or(Fault::MissingCredential)?)?;
    let asked = match body.and_then(|body| body.sender_id.as_ref()) {
        Some(sender) => Some(sender.as_str().to_owned()),
        None => call.query_of("senderId"),
    };
    let number = match asked.filter(|sender| !sender.is_empty()) {
        Some(sender) => portcullis_numbers::international(&sender).map_err(|_| Fault::SenderUnknown)?,
        // A sender's own token identifies the sender.
        None => {
            let bound = caller.sender.as_deref().ok_or(Fault::SenderMissing)?;
            let config = caller.tenant.config.senders.iter().find(|sender| sender.id.as_str() == bound);
            config.and_then(|sender| sender.number).ok_or(Fault::SenderUnknown)?
        }
    };
    call.target(&caller, &SenderName::Number(number))
}

fn good(message: &'static str, data: impl Serialize, id: RequestId) -> Response {
    answer::ok(&enveloped(message, data, id))
}

fn enveloped<D: Serialize>(message: &'static str, data: D, id: RequestId) -> Envelope<D> {
    Envelope { success: true, message, data, metadata: Metadata::of(id) }
}

fn one(target: &Target, shown: &Shown, fields: Fields) -> Value {
    json!({ "blacklistEntry": entry(target.sender_config(), shown, fields) })
}

fn sender_number(sender: Option<&SenderConfig>) -> Option<String> {
    sender.and_then(|sender| sender.number).map(|number| number.digits().to_string())
}

/// Writes an entry with these fields.
fn entry(sender: Option<&SenderConfig>, shown: &Shown, fields: Fields) -> Value {
    let entry = &shown.entry;
    let hold = entry.holds.lead();
    let uid = format!("{ID_PREFIX}{}", shown.id);
    let number = shown.identity.as_ref().and_then(|identity| identity.number());
    let number = number.map(|number| number.digits().to_string());
    // As it was typed, without separators.
    let display = entry.display.as_ref().map(|display| {
        display.as_str().chars().filter(|c| c.is_ascii_digit() || *c == '+').collect::<String>()
    });
    let display = display.or_else(|| number.clone());
    let source = match &hold.label {
        Some(label) => label.as_str().to_owned(),
        None => source_name(hold.source).to_owned(),
    };
    let reason = hold.reason.as_ref().map(|reason| reason.as_str());
    let is_active = covers(shown);
    let status = if is_active { "ACTIVE" } else { "INACTIVE" };
    // An entry that still blocks inbound messages has no deactivation time.
    let deactivated = (!is_active).then(|| time(entry.deactivated.unwrap_or(entry.updated)));
    let phone_number_id = sender.and_then(|sender| sender.phone_number_id.as_ref());
    match fields {
        Fields::All => json!({
            "blacklistUid": uid,
            "uid": uid,
            "phoneNumberId": phone_number_id,
            "senderPhoneNumber": sender_number(sender),
            "normalizedPhone": number,
            "displayPhone": display,
            "source": source,
            "reason": reason,
            "status": status,
            "createdAt": time(entry.created),
            "updatedAt": time(entry.updated),
            "deactivatedAt": deactivated,
        }),
        Fields::Brief => json!({ "blacklistUid": uid, "normalizedPhone": number, "status": status }),
        Fields::One => json!({
            "blacklistUid": uid,
            "uid": uid,
            "senderPhoneNumber": sender_number(sender),
            "normalizedPhone": number,
            "displayPhone": display,
            "source": source,
            "reason": reason,
            "status": status,
            "deactivatedAt": deactivated,
        }),
        Fields::Added => json!({
            "blacklistUid": uid,
            "normalizedPhone": number,
            "displayPhone": display,
            "source": source,
            "reason": reason,
            "status": status,
        }),
        Fields::Updated => json!({
            "blacklistUid": uid,
            "reason": reason,
            "status": status,
            "deactivatedAt": deactivated,
        }),
        Fields::Removed => json!({ "blacklistUid": uid, "status": status, "deactivatedAt": deactivated }),
    }
}

fn source_name(source: Source) -> &'static str {
    match source {
        Source::Api => "API",
        Source::Manual => "MANUAL",
        Source::Import => "IMPORT",
        Source::OptOut => "UNSUBSCRIBE",
        Source::System => "SYSTEM",
    }
}

fn time(time: Timestamp) -> String {
    format!("{time:.3}")
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    success: bool,
    message: &'a str,
    error_code: &'a str,
    metadata: Metadata,
}

impl Speaks for Whats91 {
    const DIALECT: Dialect = Dialect::Whats91;

    fn credential(parts: &Parts) -> Credential {
        match bearer(&parts.headers) {
            Some(token) => Credential::Known(TokenDigest::of(token)),
            // In the query of a GET, which has no body, or in the body of a POST.
            None if parts.method == Method::POST => Credential::InBody,
            None => Credential::Missing,
        }
    }

    fn fault(fault: &Fault, context: &Context<'_>) -> Response {
        let (status, error_code, message) = error_parts(fault);
        let body =
            ErrorBody { success: false, message: &message, error_code, metadata: Metadata::of(context.id) };
        let mut response = answer::json(status, &body);
        if let Fault::MissingCredential | Fault::WrongCredential = fault {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn error_parts(fault: &Fault) -> (StatusCode, &'static str, String) {
    let parts = |status, code, message: &str| (status, code, message.to_owned());
    let invalid = |message: String| (StatusCode::BAD_REQUEST, "VALIDATION_FAILED", message);
    match fault {
        Fault::MissingCredential => {
            parts(StatusCode::UNAUTHORIZED, "MISSING_AUTH_TOKEN", "Missing authorization token")
        }
        Fault::WrongCredential => parts(
            StatusCode::UNAUTHORIZED,
            "INVALID_AUTH_TOKEN",
            "Invalid, expired or revoked authorization token",
        ),
        Fault::SenderNotAllowed => parts(
            StatusCode::FORBIDDEN,
            "SENDER_NOT_ALLOWED",
            "This token can only manage the sender that it is bound to",
        ),
        Fault::FeatureOff => parts(
            StatusCode::FORBIDDEN,
            "FEATURE_NOT_AVAILABLE",
            "The blacklist is not available to this account",
        ),
        Fault::SenderMissing => parts(
            StatusCode::BAD_REQUEST,
            "WHATSAPP_SETUP_INCOMPLETE",
            "senderId is required, as this token is good for several senders",
        ),
        Fault::SenderUnknown | Fault::SenderInactive => {
            parts(StatusCode::BAD_REQUEST, "WHATSAPP_SETUP_INCOMPLETE", "The sender could not be resolved")
        }
        Fault::EntryNotFound => {
            parts(StatusCode::NOT_FOUND, "BLACKLIST_ENTRY_NOT_FOUND", "Blacklist entry not found")
        }
        Fault::Malformed { place, what } if place.is_empty() => invalid(what.clone()),
        Fault::Malformed { place, what } => invalid(format!("{place} {what}")),
        Fault::Rows(problems) => {
            let told = problems.iter().map(|problem| format!("phone can not be taken: {}", problem.error));
            invalid(told.collect::<Vec<_>>().join("; "))
        }
        Fault::Count { .. } => invalid("Too many entries".to_owned()),
        Fault::UnsupportedMediaType => parts(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_CONTENT_TYPE",
            "Content-Type must be application/json",
        ),
        Fault::TooLarge { limit } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "VALIDATION_FAILED",
            format!("The body has more than {limit} bytes"),
        ),
        Fault::RateLimited(wait) | Fault::TooManyGuesses(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMITED",
            format!("Too many requests, wait {} seconds", wait.seconds()),
        ),
        Fault::NotFound => parts(StatusCode::NOT_FOUND, "NOT_FOUND", "Not found"),
        Fault::MethodNotAllowed => {
            parts(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "Method not allowed")
        }
        Fault::Unavailable | Fault::StorageFull => {
            parts(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", "Service unavailable, try again")
        }
        Fault::ConcurrentChange | Fault::Internal => {
            parts(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Internal error")
        }
    }
}
