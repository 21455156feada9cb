//! `Authorization: Bearer …` (RFC 6750, section 2.1).

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

/// The token of the header, without the spaces around it; `None` where there is none, or the scheme is another.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    token_of(headers, b"Bearer ")
}

/// The same of another scheme. `scheme` ends with a space; its case does not matter.
pub fn token_of<'a>(headers: &'a HeaderMap, scheme: &[u8]) -> Option<&'a [u8]> {
    let (sent, token) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(scheme.len())?;
    let token = token.trim_ascii();
    (sent.eq_ignore_ascii_case(scheme) && !token.is_empty()).then_some(token)
}
