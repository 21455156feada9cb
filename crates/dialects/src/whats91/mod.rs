//! Whats91's API at `/api/v2/message-blacklist`: list, get, add or reactivate, update, and soft delete.
//!
//! Messages to a blacklisted recipient are not sent, so entries are outbound only. Everything is documented except the maximum
//! page size and the HTTP status of creating an entry.

mod body;
mod entry;
mod envelope;
mod fault;
mod lift;

use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::MethodFilter;
use portcullis_api::TokenScope;
use portcullis_edge::AppState;
use portcullis_edge::http::answer;
use portcullis_edge::ops::read::{self, Counted, Search};
use portcullis_edge::ops::write::{self, Amendment, BlockRow, WriteOptions};
use portcullis_edge::ops::{Patience, Target, Work};
use portcullis_edge::registry::SenderName;
use portcullis_edge::vendor::call::{self, Call};
use portcullis_edge::vendor::fault::Fault;
use portcullis_ledger::{Filter, HoldKind, PublicId, Reason, StatusFilter, TooLong};
use portcullis_msisdn::{Directions, Subject};
use serde_json::json;

pub(crate) use body::Body;
use entry::{Fields, covers, one, sender_number, shown, source_of};
use envelope::{enveloped, good};
use lift::{check_lift, lift};

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
    let list = call::method::<Whats91, _, _>(MethodFilter::GET, TokenScope::Read, list)
        .merge(call::method::<Whats91, _, _>(MethodFilter::POST, TokenScope::Block, add));
    let entry = call::method::<Whats91, _, _>(MethodFilter::GET, TokenScope::Read, get)
        .merge(call::method::<Whats91, _, _>(MethodFilter::POST, TokenScope::Block, update))
        .merge(call::method::<Whats91, _, _>(MethodFilter::DELETE, TokenScope::Block, remove));
    Router::new().route(PATH, call::others::<Whats91>(list)).route(ENTRY_PATH, call::others::<Whats91>(entry))
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
            let entries =
                |fields| shown.iter().map(|shown| entry::entry(sender, shown, fields)).collect::<Vec<_>>();
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

fn too_long(error: TooLong) -> Fault {
    Fault::malformed("reason", &format!("must have at most {} characters", error.limit))
}

/// Reads the id of the entry in the path.
fn subject(call: &Call, target: &Target) -> Result<Subject, Fault> {
    let id = call.param("uid").strip_prefix(ID_PREFIX).and_then(|id| id.parse::<PublicId>().ok());
    Ok(target.list.entries().subject_of(&id.ok_or(Fault::EntryNotFound)?))
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
