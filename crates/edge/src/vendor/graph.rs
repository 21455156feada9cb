//! Requests to Meta's Graph API, and its errors. The dialect answers some of them, and the proxy forwards others.

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_api::settings::Dialect;
use serde::Serialize;
use serde_json::{Value, json};

use super::call::{Call, Context, Credential, Speaks};
use super::fault::Fault;
use crate::http::{answer, bearer, token_of};
use crate::ops::Target;
use crate::registry::{Caller, SenderName};
use crate::token::TokenDigest;
use portcullis_correlation::RequestId;

/// The query parameter in which a token may be sent instead of the header.
const TOKEN_PARAMETER: &str = "access_token";
const OAUTH_SCHEME: &[u8] = b"OAuth ";

/// The dialect of Meta's Graph API.
pub struct Meta;

/// Finds the caller, and the list of the sender with the phone-number-id in the path's `{id}`. Counts the request
/// against the token's rate limit.
///
/// # Errors
/// [`Fault::NotFound`] if the path's `{version}` is not a version; otherwise those of [`Call::caller_with`] and [`Call::target`].
pub fn target(call: &Call) -> Result<(Caller, Target), Fault> {
    let version = call.param("version");
    if !version.is_empty() && !is_version(version) {
        return Err(Fault::NotFound);
    }
    let token = token(&call.parts.headers, &call.parts.uri).ok_or(Fault::MissingCredential)?;
    let caller = call.caller_with(&token)?;
    let target = call.target(&caller, &SenderName::PhoneNumberId(call.param("id").to_owned()))?;
    Ok((caller, target))
}

/// The token in the header `Authorization: Bearer …` or `Authorization: OAuth …`. Meta's page on uploads has the latter
/// (<https://developers.facebook.com/docs/graph-api/guides/upload>).
pub fn header_token(headers: &HeaderMap) -> Option<&[u8]> {
    bearer(headers).or_else(|| token_of(headers, OAUTH_SCHEME))
}

/// The digest of a request's token: that in the header, otherwise the first `access_token` in the query.
pub fn token(headers: &HeaderMap, uri: &Uri) -> Option<TokenDigest> {
    if let Some(token) = header_token(headers) {
        return Some(TokenDigest::of(token));
    }
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let token = pairs.find(|(name, _)| name == TOKEN_PARAMETER).map(|(_, token)| token)?;
    (!token.is_empty()).then(|| TokenDigest::of(token.as_bytes()))
}

/// Creates an error response of the Graph API, an `OAuthException`. `id` becomes its `fbtrace_id`.
pub fn error(status: StatusCode, code: u32, message: &str, details: &str, id: RequestId) -> Response {
    let data = json!({ "messaging_product": "whatsapp", "details": details });
    let error = GraphError::new(code, message, data, id);
    answer::json(status, &ErrorBody { error })
}

/// Whether a path segment is a version of the Graph API, such as `v25.0`.
pub fn is_version(text: &str) -> bool {
    let digits =
        |text: &str| !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    let numbers = text.strip_prefix('v').and_then(|numbers| numbers.split_once('.'));
    numbers.is_some_and(|(major, minor)| digits(major) && digits(minor))
}

const OAUTH: &str = "OAuthException";
const GRAPH: &str = "GraphMethodException";

/// The `error` object of the Graph API.
#[derive(Serialize)]
pub struct GraphError {
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

impl GraphError {
    /// Creates an `OAuthException`, the type of most of Meta's errors. `data` becomes its `error_data`.
    pub fn new(code: u32, message: &str, data: Value, id: RequestId) -> Self {
        GraphError {
            message: message.to_owned(),
            kind: OAUTH,
            code,
            error_subcode: None,
            error_data: Some(data),
            fbtrace_id: trace(id),
        }
    }
}

#[derive(Serialize)]
struct ErrorBody {
    error: GraphError,
}

/// The request's id in the form of Meta's trace ids.
fn trace(id: RequestId) -> String {
    format!("A{}", URL_SAFE_NO_PAD.encode(id.bytes()))
}

impl Speaks for Meta {
    const DIALECT: Dialect = Dialect::Meta;

    fn credential(parts: &Parts) -> Credential {
        token(&parts.headers, &parts.uri).into()
    }

    fn fault(fault: &Fault, context: &Context<'_>) -> Response {
        let (status, kind, code, message, details) = error_parts(fault);
        let error_subcode = match fault {
            Fault::SenderUnknown | Fault::SenderMissing => Some(33),
            Fault::CredentialExpired => Some(463),
            _ => None,
        };
        let error = GraphError {
            message,
            kind,
            code,
            error_subcode,
            error_data: details.map(|details| json!({ "messaging_product": "whatsapp", "details": details })),
            fbtrace_id: trace(context.id),
        };
        let mut response = answer::json(status, &ErrorBody { error });
        if let Fault::MissingCredential | Fault::WrongCredential | Fault::CredentialExpired = fault {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("OAuth \"Facebook Platform\""));
        }
        response
    }
}

type ErrorParts = (StatusCode, &'static str, u32, String, Option<String>);

fn error_parts(fault: &Fault) -> ErrorParts {
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
        Fault::CredentialExpired => {
            graph(StatusCode::UNAUTHORIZED, OAUTH, 190, "Error validating access token: Session has expired")
        }
        Fault::OutOfScope(scope) => (
            StatusCode::FORBIDDEN,
            OAUTH,
            10,
            "(#10) Application does not have permission for this action".to_owned(),
            Some(format!("The token lacks the scope {}", scope.as_str())),
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
        Fault::RateLimited(wait) | Fault::TooManyGuesses(wait) => (
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
