//! The headers of a request to the Graph API: rejects those with more than one interpretation, and reads the content type.

use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LOCATION, CONTENT_TYPE, HeaderName,
};
use axum::http::{HeaderMap, HeaderValue};

use super::rules::{Rule, Rules};

/// The declared type of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ContentType {
    /// `application/json`
    Json,
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data` with this boundary.
    Multipart(String),
    /// A file, such as `image/jpeg` or `application/octet-stream`.
    Raw,
}

/// Why headers are rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum HeaderError {
    #[error("the header Content-Type stands more than once: send it once")]
    TwoContentTypes,
    #[error(
        "the header Content-Type is none of application/json, application/x-www-form-urlencoded, multipart/form-data with \
         a boundary, and the types of files, or has other parameters than charset=utf-8: send one of these"
    )]
    ContentType,
    #[error("the header Content-Encoding is there: send the body as it is")]
    ContentEncoding,
    #[error("a header names another method or path than the request has: send the request with its own")]
    Override,
    #[error(
        "the header Connection names more than close, keep-alive, te, trailer, transfer-encoding, upgrade, http2-settings and \
         proxy-connection, so that other headers would not arrive: leave them out of it"
    )]
    Connection,
    #[error("the header Authorization stands more than once: send it once")]
    TwoAuthorizations,
}

/// Values that `Connection` may have. It must not name other headers, because those would be removed on the way although the
/// request was checked with them.
const CONNECTION_OPTIONS: [&str; 8] = [
    "close",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "http2-settings",
    "proxy-connection",
];
/// Maximum length of a boundary (RFC 2046, section 5.1.1).
const MAX_BOUNDARY: usize = 70;

/// Rejects headers that turn a request into a different one, or encode its body.
pub(super) fn check(headers: &HeaderMap, rules: Rules) -> Result<(), HeaderError> {
    if rules.hold(Rule::OverrideHeaders) && headers.keys().any(names_another_request) {
        return Err(HeaderError::Override);
    }
    if !headers.get_all(CONNECTION).iter().all(is_of_connection) {
        return Err(HeaderError::Connection);
    }
    let is_plain = |value: &[u8]| value.eq_ignore_ascii_case(b"identity");
    let is_encoded = headers.get_all(CONTENT_ENCODING).iter().any(|value| !is_plain(value.as_bytes()));
    if rules.hold(Rule::PlainBody) && is_encoded {
        return Err(HeaderError::ContentEncoding);
    }
    if rules.hold(Rule::OneCredential) && headers.get_all(AUTHORIZATION).iter().count() > 1 {
        return Err(HeaderError::TwoAuthorizations);
    }
    Ok(())
}

/// Whether frameworks or proxies take another method or path from a header, such as `X-HTTP-Method-Override`, `X-Original-URL`
/// and `X-Forwarded-Uri`. Meta documents neither that it does nor that it doesn't. `X-Forwarded-Prefix`, which proxies in front
/// of the gateway add, is accepted: it contains the prefix that they removed, not another path.
fn names_another_request(name: &HeaderName) -> bool {
    let name = name.as_str();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    name == CONTENT_LOCATION.as_str()
        || has(&["override"])
        || has(&["method", "url", "uri", "path"]) && has(&["original", "rewrite", "forwarded", "http"])
}

/// Whether a `Connection` header names only [`CONNECTION_OPTIONS`].
fn is_of_connection(value: &HeaderValue) -> bool {
    let is_known = |option: &str| CONNECTION_OPTIONS.iter().any(|known| known.eq_ignore_ascii_case(option));
    // Lists may contain empty elements.
    value
        .to_str()
        .is_ok_and(|list| list.split(',').map(str::trim).all(|name| name.is_empty() || is_known(name)))
}

/// Reads the declared type of the body; `None` if it isn't declared.
pub(super) fn content_type(headers: &HeaderMap, rules: Rules) -> Result<Option<ContentType>, HeaderError> {
    let mut values = headers.get_all(CONTENT_TYPE).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if rules.hold(Rule::OneContentType) && values.next().is_some() {
        return Err(HeaderError::TwoContentTypes);
    }
    let value = value.to_str().map_err(|_| HeaderError::ContentType)?;
    read(value).ok_or(HeaderError::ContentType).map(Some)
}

fn read(value: &str) -> Option<ContentType> {
    let (kind, parameters) = value.split_once(';').map_or((value, None), |(kind, rest)| (kind, Some(rest)));
    let kind = kind.trim().to_ascii_lowercase();
    let (mut has_charset, mut boundary) = (false, None);
    for parameter in parameters.into_iter().flat_map(|text| text.split(';')).map(str::trim) {
        if parameter.is_empty() {
            continue;
        }
        let (name, value) = parameter.split_once('=')?;
        let value = unquoted(value)?;
        // Each parameter at most once: parsers differ in which of several they use.
        match name.to_ascii_lowercase().as_str() {
            "charset" if !has_charset && value.eq_ignore_ascii_case("utf-8") => has_charset = true,
            "boundary" if boundary.is_none() && is_boundary(value) => boundary = Some(value.to_owned()),
            _ => return None,
        }
    }
    match (kind.as_str(), boundary) {
        ("application/json", None) => Some(ContentType::Json),
        ("application/x-www-form-urlencoded", None) => Some(ContentType::Form),
        ("multipart/form-data", Some(boundary)) => Some(ContentType::Multipart(boundary)),
        ("application/octet-stream" | "application/pdf", None) if !has_charset => Some(ContentType::Raw),
        (kind, None) if is_media(kind) && !has_charset => Some(ContentType::Raw),
        _ => None,
    }
}

/// Whether a type is that of an image, video or audio file, such as `image/jpeg`.
fn is_media(kind: &str) -> bool {
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+');
    kind.split_once('/').is_some_and(|(family, name)| {
        matches!(family, "image" | "video" | "audio") && !name.is_empty() && name.bytes().all(is_of_name)
    })
}

/// Reads the value of a parameter, with or without quotation marks. Values that would need escaping are rejected.
fn unquoted(value: &str) -> Option<&str> {
    let value = match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"')?,
        None => value,
    };
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b';' | b',');
    (!value.is_empty() && value.bytes().all(is_plain)).then_some(value)
}

fn is_boundary(text: &str) -> bool {
    // A subset of the characters that RFC 2046 allows: those that every parser reads literally.
    let is_of_boundary =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'\'' | b'+' | b'_' | b'-' | b'.' | b'=');
    text.len() <= MAX_BOUNDARY && text.bytes().all(is_of_boundary)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> Result<Option<ContentType>, HeaderError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(CONTENT_TYPE, value.parse().unwrap());
        }
        content_type(&headers, Rules::ALL)
    }

    #[test]
    fn types_are_read_once_and_plainly() {
        assert_eq!(of(&[]), Ok(None));
        for json in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON;charset=\"UTF-8\"",
            "application/json;",
        ] {
            assert_eq!(of(&[json]), Ok(Some(ContentType::Json)), "{json}");
        }
        assert_eq!(of(&["application/x-www-form-urlencoded"]), Ok(Some(ContentType::Form)));
        let boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
        assert_eq!(
            of(&[&format!("multipart/form-data; boundary={boundary}")]),
            Ok(Some(ContentType::Multipart(boundary.to_owned())))
        );
        for kind in [
            "multipart/form-data; boundary=a; charset=utf-8",
            "multipart/form-data; charset=UTF-8; boundary=\"a\"",
        ] {
            assert_eq!(of(&[kind]), Ok(Some(ContentType::Multipart("a".to_owned()))), "{kind}");
        }
        for raw in ["image/jpeg", "application/octet-stream", "video/mp4", "audio/ogg"] {
            assert_eq!(of(&[raw]), Ok(Some(ContentType::Raw)), "{raw}");
        }
        assert_eq!(of(&["application/json", "application/json"]), Err(HeaderError::TwoContentTypes));
        for other in [
            "",
            "text/plain",
            "application/json, application/x-www-form-urlencoded",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-7",
            "application/json; boundary=x",
            "multipart/form-data",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=\"a\\\"b\"",
            "multipart/form-data; boundary=a b",
            "multipart/form-data; charset=utf-8",
            "multipart/mixed; boundary=a",
            "image/jpeg; boundary=a",
        ] {
            assert_eq!(of(&[other]), Err(HeaderError::ContentType), "{other}");
        }
    }

    #[test]
    fn what_makes_another_request_of_one_is_refused() {
        for (name, value, error) in [
            ("x-http-method-override", "POST", HeaderError::Override),
            ("x-http-method", "POST", HeaderError::Override),
            ("x-original-method", "POST", HeaderError::Override),
            ("x-forwarded-uri", "/x", HeaderError::Override),
            ("x-rewrite-url", "/x", HeaderError::Override),
            ("x-http-path-override", "/x", HeaderError::Override),
            ("override-method", "POST", HeaderError::Override),
            ("x-override-url", "/x", HeaderError::Override),
            ("content-location", "/x", HeaderError::Override),
            ("connection", "Content-Type", HeaderError::Connection),
            ("connection", "close, ,AUTHORIZATION", HeaderError::Connection),
            ("connection", "x-mine", HeaderError::Connection),
            ("content-encoding", "gzip", HeaderError::ContentEncoding),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(check(&headers, Rules::ALL), Err(error));
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, "identity".parse().unwrap());
        headers.append(CONNECTION, "Keep-Alive, TE,".parse().unwrap());
        headers.append(CONNECTION, "Upgrade, HTTP2-Settings".parse().unwrap());
        for proxy_s in
            ["x-forwarded-for", "x-forwarded-host", "x-forwarded-prefix", "x-original-forwarded-for"]
        {
            headers.insert(proxy_s, "x".parse().unwrap());
        }
        headers.append(AUTHORIZATION, "Bearer a".parse().unwrap());
        assert_eq!(check(&headers, Rules::ALL), Ok(()));
        headers.append(AUTHORIZATION, "Bearer b".parse().unwrap());
        assert_eq!(check(&headers, Rules::ALL), Err(HeaderError::TwoAuthorizations));
    }
}
