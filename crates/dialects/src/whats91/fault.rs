//! How this dialect says what went wrong.

use axum::http::header::WWW_AUTHENTICATE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode};
use axum::response::Response;
use portcullis_api::settings::Dialect;
use portcullis_edge::http::{answer, bearer};
use portcullis_edge::token::TokenDigest;
use portcullis_edge::vendor::call::{Context, Credential, Speaks};
use portcullis_edge::vendor::fault::Fault;
use serde::Serialize;

use super::Whats91;
use super::envelope::Metadata;

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
        if let Fault::MissingCredential | Fault::WrongCredential | Fault::CredentialExpired = fault {
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
        Fault::CredentialExpired => {
            parts(StatusCode::UNAUTHORIZED, "INVALID_AUTH_TOKEN", "The authorization token has expired")
        }
        Fault::OutOfScope(scope) => (
            StatusCode::FORBIDDEN,
            "INSUFFICIENT_SCOPE",
            format!("This token lacks the scope {}", scope.as_str()),
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
