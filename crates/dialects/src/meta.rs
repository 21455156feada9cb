//! Meta's WhatsApp Cloud API: `POST|DELETE|GET /{version}/{phone-number-id}/block_users`, with or without the version.
//!
//! Entries cover both directions.

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::response::Response;
use axum::routing::MethodFilter;
use portcullis_api::TokenScope;
use portcullis_edge::AppState;
use portcullis_edge::http::answer;
use portcullis_edge::ops::read::Who;
use portcullis_edge::ops::{Patience, Work};
use portcullis_edge::vendor::call::{self, Call};
use portcullis_edge::vendor::fault::Fault;
use portcullis_edge::vendor::graph::{GraphError, Meta, target};
use serde::Serialize;
use serde_json::{Value, json};

use super::users::{self, Action, Page, Results, Wanted};

pub(crate) const PATH: &str = "/{version}/{id}/block_users";
pub(crate) const PATH_WITHOUT_VERSION: &str = "/{id}/block_users";
pub(crate) fn router() -> Router<Arc<AppState>> {
    let route = || {
        let route = call::method::<Meta, _, _>(MethodFilter::POST, TokenScope::Block, |call| {
            act(Action::Block, call)
        })
        .merge(call::method::<Meta, _, _>(MethodFilter::DELETE, TokenScope::Block, |call| {
            act(Action::Unblock, call)
        }))
        .merge(call::method::<Meta, _, _>(MethodFilter::GET, TokenScope::Read, list));
        call::others::<Meta>(route)
    };
    Router::new().route(PATH, route()).route(PATH_WITHOUT_VERSION, route())
}

async fn act(action: Action, call: Call) -> Result<Response, Fault> {
    let (_, target) = target(&call)?;
    target
        .blocking(call.write(), move |target| {
            if call.is_declared_otherwise() {
                return Err(Fault::UnsupportedMediaType);
            }
            let (results, room) = users::act(action, &call, &target, None)?;
            let (results, failed) = Results::of(action, results);
            if !failed {
                return Ok(room.json(StatusCode::OK, &results));
            }
            let details = "Failed to block some users, see the block_users response list for details";
            let message = "(#139100) Failed to block/unblock users";
            let error = GraphError::new(139_100, message, json!({ "details": details }), call.id);
            Ok(room.json(StatusCode::BAD_REQUEST, &Partial { results, error }))
        })
        .await
}

#[derive(Serialize)]
struct Partial {
    #[serde(flatten)]
    results: Results,
    error: GraphError,
}

/// An entry of the list. `input` is not documented, but clients of the live service need it.
#[derive(Serialize)]
struct Listed {
    messaging_product: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    wa_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<String>,
    input: String,
}

async fn list(call: Call) -> Result<Response, Fault> {
    let (_, target) = target(&call)?;
    // Dropped if the client disconnects.
    let (patience, _waiter) = Patience::new();
    target
        .blocking(Work::Read, move |target| {
            let settings = &call.app.dialects;
            let wanted = Wanted::read(&call, &target, settings.meta_default_limit)?;
            let current = target.list.entries().sequence()?;
            if settings.meta_strict_cursors && wanted.version.is_some_and(|version| version != current) {
                return Err(Fault::ConcurrentChange);
            }
            let page = users::page(&target, &wanted, Who::Everybody, &patience)?;
            let listed = page.people.iter().map(|identity| {
                let (wa_id, user_id) = (users::wa_id(identity), users::user_id(identity));
                let input = wa_id.as_ref().or(user_id.as_ref()).cloned().unwrap_or_default();
                Listed { messaging_product: "whatsapp", wa_id, user_id, input }
            });
            let mut body = json!({ "data": listed.collect::<Vec<_>>() });
            if let Some(paging) = paging(&call, &page, wanted.limit.get()) {
                body["paging"] = paging;
            }
            Ok(answer::to(&target, StatusCode::OK, &body)?)
        })
        .await
}

/// Returns the cursors, and the URLs of the previous and next pages if there are any. `None` for an empty page.
fn paging(call: &Call, page: &Page, limit: usize) -> Option<Value> {
    let (before, after) = page.before.as_ref().zip(page.after.as_ref())?;
    let mut paging = json!({ "cursors": { "before": before, "after": after } });
    let host = call.parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    // Clients follow these URLs unchanged, so they must be absolute. Only a proxy in front that terminates TLS knows the scheme.
    let scheme = match call.header("x-forwarded-proto") {
        Some(b"https") => "https",
        _ => "http",
    };
    let path = call.parts.uri.path();
    if let Some(host) = host {
        let url = |name: &str, cursor: &str| format!("{scheme}://{host}{path}?limit={limit}&{name}={cursor}");
        if page.has_next {
            paging["next"] = url("after", after).into();
        }
        if page.has_previous {
            paging["previous"] = url("before", before).into();
        }
    }
    Some(paging)
}
