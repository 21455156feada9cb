//! Reading request bodies and queries.

use std::future::{Future as _, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::app_state::AppState;
use super::error::ApiError;
use crate::redact;

/// Why a body can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFault {
    /// It is larger than the limit.
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The connection failed before the end of the body.
    BrokenOff,
    /// It did not arrive within 30 seconds.
    Late,
}

impl From<BodyFault> for ApiError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge { limit } => ApiError::body_too_large(limit),
            BodyFault::BrokenOff => ApiError::invalid_request("", "the body ended early; send it again"),
            BodyFault::Late => {
                ApiError::invalid_request("", "the body did not arrive within 30 seconds; send it again")
            }
        }
    }
}

/// Why a JSON text can't be deserialized.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misread {
    /// It has no characters, or only blanks.
    Empty,
    /// It is not JSON.
    NotJson {
        /// The line of the mistake, from 1.
        line: usize,
        /// The column of the mistake, from 1; 0 at the start of a line.
        column: usize,
    },
    /// It is JSON, but not of the expected form.
    Wrong {
        /// The field, such as `entries[3].number`; empty for the document itself.
        place: String,
        /// What is wrong with it, without its value.
        what: String,
    },
}

impl From<Misread> for ApiError {
    fn from(misread: Misread) -> Self {
        match misread {
            Misread::Empty => ApiError::empty_body(),
            Misread::NotJson { line, column } => ApiError::invalid_json(line, column),
            Misread::Wrong { place, what } => ApiError::invalid_request(&place, &what),
        }
    }
}

/// Extracts a body that is declared as JSON, up to `max_body_bytes`. Not parsed yet: see [`parse`](Self::parse).
pub struct JsonBody(pub Bytes);

/// How long a client may take to send the body.
const PATIENCE: Duration = Duration::from_secs(30);
/// How many bytes beyond the limit are read and discarded. A client that sends the whole body before it reads then gets
/// the response instead of a connection reset.
const LINGER_BYTES: u64 = 256 << 20;

impl FromRequest<Arc<AppState>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        JsonBody::read(&parts.headers, body, app.max_body_bytes).await
    }
}

impl JsonBody {
    /// Reads a body of at most `limit` bytes.
    ///
    /// # Errors
    /// If the body can't be read: see [`read`].
    /// [`UnsupportedMediaType`](portcullis_api::ErrorCode::UnsupportedMediaType) if it is not declared as
    /// `application/json`.
    pub async fn read<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Self, ApiError>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let bytes = read(body, limit).await?;
        if is_declared(headers, "application/json") {
            Ok(JsonBody(bytes))
        } else {
            Err(ApiError::unsupported_media_type())
        }
    }
}

/// Extracts a body that is declared as `application/wasm` or `application/octet-stream`, up to `max_body_bytes`.
pub struct ComponentBody(pub Bytes);

impl FromRequest<Arc<AppState>> for ComponentBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, app.max_body_bytes).await?;
        let is_component = is_declared(&parts.headers, "application/wasm")
            || is_declared(&parts.headers, "application/octet-stream");
        if is_component { Ok(ComponentBody(bytes)) } else { Err(ApiError::not_a_component()) }
    }
}

/// Reads a whole body of at most `limit` bytes, within 30 seconds.
///
/// Most bodies arrive together with the head, and are complete after the connection's task has run once. These never
/// start the timer, which would cost a twentieth of a check. A body of one frame is not copied.
///
/// # Errors
/// If the body is too large, ends early or is late. Up to 256 MiB beyond the limit are read and discarded first.
///
/// # Panics
/// If the body is not complete at once, and there is no Tokio runtime with a timer.
pub async fn read<B>(body: B, limit: usize) -> Result<Bytes, BodyFault>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut reading = pin!(collect(body, limit));
    for _ in 0..2 {
        if let Poll::Ready(read) = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
            return read;
        }
        tokio::task::yield_now().await;
    }
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Err(BodyFault::Late))
}

/// Whether the `Content-Type` is this media type, with any parameters. Ignores case.
pub fn is_declared(headers: &HeaderMap, media_type: &str) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(media_type)
}

async fn collect<B>(mut body: B, limit: usize) -> Result<Bytes, BodyFault>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut first = Bytes::new();
    let mut rest = Vec::new();
    let mut length = 0_u64;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame.map_err(|_| BodyFault::BrokenOff)?.into_data() else { continue };
        length += data.len() as u64;
        if length > limit as u64 {
            (first, rest) = (Bytes::new(), Vec::new());
            if length > limit as u64 + LINGER_BYTES {
                break;
            }
        } else if length == data.len() as u64 {
            // Most bodies are one frame, and need no copy.
            first = data;
        } else {
            if rest.is_empty() {
                rest.extend_from_slice(&std::mem::take(&mut first));
            }
            rest.extend_from_slice(&data);
        }
    }
    if length > limit as u64 {
        return Err(BodyFault::TooLarge { limit });
    }
    Ok(if rest.is_empty() { first } else { rest.into() })
}

impl JsonBody {
    /// Deserializes the body.
    ///
    /// # Errors
    /// [`InvalidJson`](portcullis_api::ErrorCode::InvalidJson) or
    /// [`InvalidRequest`](portcullis_api::ErrorCode::InvalidRequest), with the place of the mistake.
    pub fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        Ok(parse(&self.0)?)
    }
}

/// Deserializes a JSON text. On a mistake parses it once more, to find the place.
///
/// # Errors
/// If the text is not JSON, or not of the expected form. The error does not contain the text's values.
pub fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Misread> {
    serde_json::from_slice(text).map_err(|error| misread::<T>(text, &error))
}

/// Parses the text once more, more slowly, to find the place of the mistake.
fn misread<'a, T: Deserialize<'a>>(text: &'a [u8], error: &serde_json::Error) -> Misread {
    if text.trim_ascii().is_empty() {
        return Misread::Empty;
    }
    let not_json = Misread::NotJson { line: error.line(), column: error.column() };
    if !error.is_data() {
        return not_json;
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => not_json,
        Err(error) => {
            let message = error.inner().to_string();
            // The place in the document is better than serde_json's line and column.
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            Misread::Wrong { place: redact::place(error.path()), what: redact::without_values(message) }
        }
    }
}

/// Extracts the query of a request.
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Arc<AppState>> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<AppState>) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Query(query.0)).map_err(|error| {
            let message = error.body_text();
            let message = message.split_once(": ").map_or(message.as_str(), |(_, message)| message);
            // The field's name may precede serde's message.
            let message = message.rsplit_once(": ").map_or(message, |(_, message)| message);
            ApiError::invalid_request("", &format!("in the query: {}", redact::without_values(message)))
        })
    }
}
