//! Meta's WhatsApp Cloud API: `POST|DELETE|GET /{version}/{phone-number-id}/block_users`, with or without the version.
//!
//! Entries cover both directions.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use axum::routing::MethodFilter;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde_json::{Value, json};

use super::call::{self, Call, Context, Speaks, blocking};
use super::fault::Fault;
use super::users::{self, Deed, Page, Results, Wanted};
use crate::config::Dialect;
use crate::core::Target;
use crate::core::read::Who;
use crate::http::request_log::RequestId;
use crate::http::{Front, answer};
use crate::registry::{Caller, SenderName};
use crate::token::TokenDigest;

pub(crate) const PATH: &str = "/{version}/{id}/block_users";
pub(crate) const PATH_WITHOUT_VERSION: &str = "/{id}/block_users";
/// Where a token may stand instead of in the header.
const TOKEN_PARAMETER: &str = "access_token";
const OAUTH_SCHEME: &[u8] = b"OAuth ";

pub(crate) struct Meta;

pub(crate) fn router() -> Router<Arc<Front>> {
    let route = || {
        let route = call::method::<Meta, _, _>(MethodFilter::POST, |call| act(Deed::Block, call))
            .merge(call::method::<Meta, _, _>(MethodFilter::DELETE, |call| act(Deed::Unblock, call)))
            .merge(call::method::<Meta, _, _>(MethodFilter::GET, list));
        call::others::<Meta>(route)
    };
    Router::new().route(PATH, route()).route(PATH_WITHOUT_VERSION, route())
}

async fn act(deed: Deed, call: Call) -> Result<Response, Fault> {
    let (_, target) = target(&call)?;
    blocking(move || {
        if call.is_declared_otherwise() {
            return Err(Fault::UnsupportedMediaType);
        }
        let results = users::act(deed, &call, &target, None)?;
        let (results, failed) = Results::of(deed, results);
        if !failed {
            return Ok(answer::json(StatusCode::OK, &results));
        }
        let details = "Failed to block some users, see the block_users response list for details";
        let error = GraphError {
            message: "(#139100) Failed to block/unblock users".to_owned(),
            kind: OAUTH,
            code: 139_100,
            error_subcode: None,
            error_data: Some(json!({ "details": details })),
            fbtrace_id: trace(call.id),
        };
        Ok(answer::json(StatusCode::BAD_REQUEST, &Partial { results, error }))
    })
    .await
}

#[derive(Serialize)]
struct Partial {
    #[serde(flatten)]
    results: Results,
    error: GraphError,
}

/// `input` is not in Meta's document, and clients of the live service need it.
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
    blocking(move || {
        let settings = &call.front.dialects;
        let wanted = Wanted::read(&call, &target, settings.meta_default_limit)?;
        let current = target.list.entries().sequence()?;
        if settings.meta_strict_cursors && wanted.version.is_some_and(|version| version != current) {
            return Err(Fault::ConcurrentChange);
        }
        let page = users::page(&target, &wanted, Who::Everybody)?;
        let listed = page.people.iter().map(|identity| {
            let (wa_id, user_id) = (users::wa_id(identity), users::user_id(identity));
            let input = wa_id.as_ref().or(user_id.as_ref()).cloned().unwrap_or_default();
            Listed { messaging_product: "whatsapp", wa_id, user_id, input }
        });
        let mut body = json!({ "data": listed.collect::<Vec<_>>() });
        if let Some(paging) = paging(&call, &page, wanted.limit.get()) {
            body["paging"] = paging;
        }
        Ok(answer::json(StatusCode::OK, &body))
    })
    .await
}

/// Cursors, and URLs of the neighbouring pages where there are any. An empty page has none.
fn paging(call: &Call, page: &Page, limit: usize) -> Option<Value> {
    let (before, after) = page.before.as_ref().zip(page.after.as_ref())?;
    let mut paging = json!({ "cursors": { "before": before, "after": after } });
    let host = call.parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    // Absolute: a client follows it as it stands. Whether TLS ends before the gateway, only whoever ends it can tell.
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

/// Who asks, and about which sender's list.
pub(crate) fn target(call: &Call) -> Result<(Caller, Target), Fault> {
    let version = call.param("version");
    if !version.is_empty() && !is_version(version) {
        return Err(Fault::NotFound);
    }
    let token = token(&call.parts.headers, &call.parts.uri).ok_or(Fault::MissingCredential)?;
    let caller = call.caller_with(&token)?;
    let target = call.target(&caller, &SenderName::PhoneNumberId(call.param("id").to_owned()))?;
    Ok((caller, target))
}

/// The token of the header `Authorization: Bearer …`, or `OAuth …`, which Meta's page on uploads has
/// (<https://developers.facebook.com/docs/graph-api/guides/upload>).
pub(crate) fn header_token(headers: &HeaderMap) -> Option<&[u8]> {
    call::bearer(headers).or_else(|| {
        let (scheme, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(OAUTH_SCHEME.len())?;
        let token = token.trim_ascii();
        (scheme.eq_ignore_ascii_case(OAUTH_SCHEME) && !token.is_empty()).then_some(token)
    })
}

/// The token of a request of the Graph API: in the header, or in the query.
pub(crate) fn token(headers: &HeaderMap, uri: &Uri) -> Option<TokenDigest> {
    if let Some(token) = header_token(headers) {
        return Some(TokenDigest::of(token));
    }
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let token = pairs.find(|(name, _)| name == TOKEN_PARAMETER).map(|(_, token)| token)?;
    (!token.is_empty()).then(|| TokenDigest::of(token.as_bytes()))
}

/// An error as the Graph API answers it.
pub(crate) fn error(status: StatusCode, code: u32, message: &str, details: &str, id: RequestId) -> Response {
    let error = GraphError {
        message: message.to_owned(),
        kind: OAUTH,
        code,
        error_subcode: None,
        error_data: Some(json!({ "messaging_product": "whatsapp", "details": details })),
        fbtrace_id: trace(id),
    };
    answer::json(status, &ErrorBody { error })
}

/// As `v25.0`.
pub(crate) fn is_version(text: &str) -> bool {
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = text.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    numbers.is_some_and(|(major, minor)| digits(major) && digits(minor))
}

const OAUTH: &str = "OAuthException";
const GRAPH: &str = "GraphMethodException";

/// An error as the Graph API writes it.
#[derive(Serialize)]
pub(crate) struct GraphError {
    message: String,
    #[serde(rename = "type")]
    kind: &'static str,
    code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_subcode: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error_data: Option<Value>,
    fbtrace_id: String,
}

#[derive(Serialize)]
struct ErrorBody {
    error: GraphError,
}

/// The request's id as Meta writes one.
fn trace(id: RequestId) -> String {
    format!("A{}", URL_SAFE_NO_PAD.encode(id.bytes()))
}

impl Speaks for Meta {
    const DIALECT: Dialect = Dialect::Meta;

    fn fault(fault: &Fault, context: &Context<'_>) -> Response {
        let (status, kind, code, message, details) = told(fault);
        let error_subcode = matches!(fault, Fault::SenderUnknown | Fault::SenderMissing).then_some(33);
        let error = GraphError {
            message,
            kind,
            code,
            error_subcode,
            error_data: details.map(|details| json!({ "messaging_product": "whatsapp", "details": details })),
            fbtrace_id: trace(context.id),
        };
        let mut response = answer::json(status, &ErrorBody { error });
        if let Fault::MissingCredential | Fault::WrongCredential = fault {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("OAuth \"Facebook Platform\""));
        }
        response
    }
}

type Told = (StatusCode, &'static str, u32, String, Option<String>);

fn told(fault: &Fault) -> Told {
    let graph = |status, kind, code, message: &str| (status, kind, code, message.to_owned(), None);
    let parameter = |details: String| {
        (StatusCode::BAD_REQUEST, OAUTH, 100, "(#100) Invalid parameter".to_owned(), Some(details))
    };
    match fault {
        Fault::MissingCredential => graph(
            StatusCode::UNAUTHORIZED,
            OAUTH,
            104,
            "An access token is required to request this resource.",
        ),
        Fault::WrongCredential => graph(
            StatusCode::UNAUTHORIZED,
            OAUTH,
            190,
            "Invalid OAuth access token - Cannot parse access token",
        ),
        Fault::SenderNotAllowed | Fault::SenderInactive | Fault::FeatureOff => graph(
            StatusCode::FORBIDDEN,
            OAUTH,
            10,
            "(#10) Application does not have permission for this action",
        ),
        Fault::SenderUnknown | Fault::SenderMissing => graph(
            StatusCode::BAD_REQUEST,
            GRAPH,
            100,
            "Unsupported request. Object does not exist, cannot be loaded due to missing permissions, or does not \
             support this operation",
        ),
        Fault::Count { given, most, .. } if given > most => (
            StatusCode::BAD_REQUEST,
            OAUTH,
            130_429,
            "(#130429) Rate limit hit".to_owned(),
            Some(format!("A request can name at most {most} users")),
        ),
        Fault::Count { field, .. } => parameter(format!("The parameter {field} must name at least one user")),
        Fault::Malformed { place, what } if place.is_empty() => parameter(what.clone()),
        Fault::Malformed { place, what } => parameter(format!("The parameter {place} {what}")),
        Fault::UnsupportedMediaType => parameter("The body must be JSON".to_owned()),
        Fault::Rows(_) => parameter("Some users can not be taken".to_owned()),
        Fault::TooLarge { limit } => (
            StatusCode::PAYLOAD_TOO_LARGE,
            OAUTH,
            100,
            "(#100) Invalid parameter".to_owned(),
            Some(format!("The body has more than {limit} bytes")),
        ),
        Fault::ConcurrentChange => (
            StatusCode::BAD_REQUEST,
            OAUTH,
            139_102,
            "(#139102) Blocklist concurrent update".to_owned(),
            Some("The blocklist has changed: version_id does not match, begin again".to_owned()),
        ),
        Fault::TooOften(wait) => (
            StatusCode::TOO_MANY_REQUESTS,
            OAUTH,
            130_429,
            "(#130429) Rate limit hit".to_owned(),
            Some(format!("Wait {} seconds", wait.seconds())),
        ),
        Fault::NotFound | Fault::EntryNotFound => {
            graph(StatusCode::NOT_FOUND, OAUTH, 2500, "Unknown path components")
        }
        Fault::MethodNotAllowed => {
            graph(StatusCode::METHOD_NOT_ALLOWED, GRAPH, 100, "Unsupported request: method not allowed here")
        }
        Fault::Unavailable => {
            graph(StatusCode::SERVICE_UNAVAILABLE, OAUTH, 2, "Service temporarily unavailable")
        }
        Fault::StorageFull | Fault::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            OAUTH,
            139_103,
            "(#139103) Internal error".to_owned(),
            Some("Nothing was changed, try again".to_owned()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_told_from_other_segments() {
        assert!(["v1.0", "v25.0", "v100.12"].into_iter().all(is_version));
        assert!(
            ["v1", "25.0", "v.0", "v25.", "v25.0.1", "vx.0", "", "v1234.0"]
                .iter()
                .all(|text| !is_version(text))
        );
    }
}
