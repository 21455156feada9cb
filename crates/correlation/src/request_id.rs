//! The id of a request, by which its lines in the logs of several programs are found.

use std::fmt;
use std::hash::Hasher as _;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use sha2::{Digest as _, Sha256};
use siphasher::sip128::{Hasher128 as _, SipHasher13};
use uuid::Uuid;

/// The header that has it, in requests and in responses.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The most characters of an id.
const LONGEST: usize = 128;
/// The digits of a telephone number (E.164).
const DIGITS_OF_NUMBER: std::ops::RangeInclusive<usize> = 7..=15;

/// The id of a request: the client's, or a random one. 1 to 128 visible characters of ASCII without quotation marks, so that it can stand in
/// a header, and unquoted in a log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    text: [u8; LONGEST],
    length: u8,
}

impl RequestId {
    /// Creates a random id in the form of a UUID. Unique, and fast to make, but not a secret.
    pub fn random() -> Self {
        static KEY: LazyLock<(u64, u64)> = LazyLock::new(|| Uuid::new_v4().as_u64_pair());
        static MADE: AtomicU64 = AtomicU64::new(0);
        let mut hasher = SipHasher13::new_with_keys(KEY.0, KEY.1);
        hasher.write_u64(MADE.fetch_add(1, Ordering::Relaxed));
        let uuid = Uuid::new_v8(hasher.finish128().as_bytes());
        let mut text = [0; LONGEST];
        let length = uuid.hyphenated().encode_lower(&mut text).len();
        RequestId { text, length: u8::try_from(length).unwrap_or(0) }
    }

    /// The id that a client sent. `None` if it sent none or several, if it is not one as described at the type, or if it could be a telephone
    /// number, or a part of it: ids are logged, and numbers are not.
    pub fn sent(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(REQUEST_ID).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return None };
        Self::parse(value.as_bytes())
    }

    /// The id that a client sent, or a random one.
    pub fn of(headers: &HeaderMap) -> Self {
        Self::sent(headers).unwrap_or_else(Self::random)
    }

    /// The id that the server gave to a request, as an extension.
    pub fn of_request(request: &Request) -> Self {
        request.extensions().get().copied().unwrap_or_else(Self::random)
    }

    fn parse(bytes: &[u8]) -> Option<Self> {
        let is_sane = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'`' | b'\\');
        if !(1..=LONGEST).contains(&bytes.len()) || !bytes.iter().all(is_sane) || may_be_number(bytes) {
            return None;
        }
        let mut text = [0; LONGEST];
        text.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(RequestId { text, length: u8::try_from(bytes.len()).ok()? })
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        let text = self.text.get(..usize::from(self.length)).unwrap_or_default();
        // It is ASCII.
        std::str::from_utf8(text).unwrap_or_default()
    }

    /// The id as the value of a header.
    pub fn header(&self) -> HeaderValue {
        // Every id is valid there.
        HeaderValue::from_str(self.as_str()).unwrap_or(HeaderValue::from_static("invalid"))
    }

    /// The id where only a UUID is expected: itself if it is one, with or without hyphens, or else one that stands for it.
    pub fn uuid(&self) -> Uuid {
        Uuid::try_parse(self.as_str()).unwrap_or_else(|_| Uuid::new_v8(self.bytes()))
    }

    /// 16 bytes that stand for the id where there is room for no more.
    pub fn bytes(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Sha256::digest(self.as_str())[..16]);
        bytes
    }
}

/// Whether an id that is not a UUID has as many digits in a row as a telephone number, with or without separators between them.
fn may_be_number(text: &[u8]) -> bool {
    if std::str::from_utf8(text).is_ok_and(|text| Uuid::try_parse(text).is_ok()) {
        return false;
    }
    // Words of letters and digits, such as those of hexadecimal numbers, are taken as wholes.
    let words = text.split(|byte| !byte.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut digits = 0;
    for word in words {
        if word.iter().all(u8::is_ascii_digit) {
            digits += word.len();
            continue;
        }
        if DIGITS_OF_NUMBER.contains(&digits) {
            return true;
        }
        digits = 0;
    }
    DIGITS_OF_NUMBER.contains(&digits)
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(REQUEST_ID, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        RequestId::sent(&headers).map(|id| id.to_string())
    }

    #[test]
    fn a_sane_id_is_kept() {
        for id in [
            "a",
            "0af7651916cd43dd8448eb211c80319c",
            "7b1cf0a2-91c4-4a39-9d0b-467320011229",
            "01JD9ZK3V5Q8W2N7",
            "req/7:a+b=c",
            "1234567890123456",
            "12-34",
            &"x".repeat(128),
        ] {
            assert_eq!(sent(&[id]).as_deref(), Some(id));
        }
    }

    #[test]
    fn others_are_not() {
        for id in ["", "a b", "a\"b", "a'b", "ö", &"x".repeat(129)] {
            assert_eq!(sent(&[id]), None, "{id}");
        }
        assert_eq!(sent(&["a", "b"]), None);
        assert_eq!(sent(&[]), None);
    }

    #[test]
    fn what_may_be_a_number_is_not_kept() {
        for id in ["46732001122", "+46-732-00-11-22", "tel:+46732001122", "a-46.732.001.122-b", "4673200"] {
            assert_eq!(sent(&[id]), None, "{id}");
        }
    }

    #[test]
    fn random_ids_differ() {
        let (one, other) = (RequestId::random(), RequestId::random());
        assert_ne!(one, other);
        for id in [one, other] {
            assert!(id.as_str().len() == 36 && id.uuid().to_string() == id.as_str());
            assert_eq!(id.header(), id.as_str());
        }
        assert_ne!(one.bytes(), other.bytes());
    }
}
