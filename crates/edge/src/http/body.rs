//! Reading request bodies and queries.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use portcullis_admission::{Budget, Owner};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::app_state::AppState;
use super::auth::Verified;
use super::buffer::Buffer;
use super::error::ApiError;
use crate::redact;

/// The longest body, in bytes, that is parsed on an async worker thread. Longer ones would delay other requests: they are parsed on a
/// thread of low priority, as [`Work::Batch`](portcullis_admission::Work::Batch).
pub const SHORT_BODY: usize = 8 << 10;

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
    /// It did not arrive in time.
    Late,
    /// Other bodies take all of the memory that there is for bodies.
    NoMemory,
}

impl From<BodyFault> for ApiError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge { limit } => ApiError::body_too_large(limit),
            BodyFault::BrokenOff => ApiError::invalid_request("", "the body ended early; send it again"),
            BodyFault::Late => {
                ApiError::invalid_request("", "the body did not arrive within 30 seconds; send it again")
            }
            BodyFault::NoMemory => {
                ApiError::unavailable("other requests take all memory for bodies: retry in a moment")
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

/// Where the memory of a body comes from, and how long the body may take.
///
/// No body is read without it. A request's author is authenticated first wherever a header, or the query, has the token.
#[derive(Clone, Copy)]
pub struct Memory<'a> {
    budget: &'a Arc<Budget>,
    owner: Owner<'a>,
    /// Bytes that are not counted.
    free: usize,
    patience: Duration,
}

/// Bodies up to this size, of authenticated requests, are not counted: there are no more of them than connections, and counting
/// would cost each check.
const FREE: usize = 64 << 10;
/// How long an authenticated client may take to send the body.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long any other client may take.
const PATIENCE_UNVERIFIED: Duration = Duration::from_secs(10);
/// How many bytes beyond the limit are read and discarded. A client that sends the whole body before it reads then gets
/// the response instead of a connection reset.
const LINGER_BYTES: u64 = 256 << 20;

impl<'a> Memory<'a> {
    /// Memory for a body whose author is not known before it is read. Every byte is counted, and the body must arrive within 10
    /// seconds.
    pub(super) fn unverified(budget: &'a Arc<Budget>, owner: Owner<'a>) -> Self {
        Memory { budget, owner, free: 0, patience: PATIENCE_UNVERIFIED }
    }

    /// Memory for the body of an authenticated request. Bodies over 64 KiB are counted. The body must arrive within 30 seconds.
    pub(super) fn verified(budget: &'a Arc<Budget>, owner: Owner<'a>) -> Self {
        Memory { budget, owner, free: FREE, patience: PATIENCE }
    }
}

/// A body that was read, and the memory that it takes.
pub struct Body(Buffer);

impl Body {
    /// The bytes. They keep what they take of the budget until the last copy is dropped.
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// The bytes of a body whose author turned out to be known. They are no longer counted.
    pub fn into_verified(self) -> Bytes {
        self.0.into_uncounted()
    }
}

/// Extracts a body that is declared as JSON, up to `max_body_bytes`. Not parsed yet: see [`parse`](Self::parse).
///
/// Must come after an extractor of [`auth`](super::auth), which says whose memory the body takes.
pub struct JsonBody(pub Bytes);

impl FromRequest<Arc<AppState>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let memory = app.verified(owner(&parts)?);
        JsonBody::read(&parts.headers, body, app.max_body_bytes, memory).await
    }
}

/// The owner of an authenticated request.
fn owner(parts: &Parts) -> Result<Owner<'_>, ApiError> {
    let verified = parts.extensions.get::<Verified>().ok_or_else(|| {
        tracing::error!("a handler reads the body of a request before it authenticates it");
        ApiError::internal()
    })?;
    Ok(verified.owner())
}

impl JsonBody {
    /// Reads a body of at most `limit` bytes.
    ///
    /// # Errors
    /// If the body can't be read: see [`read`].
    /// [`UnsupportedMediaType`](portcullis_api::ErrorCode::UnsupportedMediaType) if it is not declared as
    /// `application/json`.
    pub async fn read<B>(
        headers: &HeaderMap,
        body: B,
        limit: usize,
        memory: Memory<'_>,
    ) -> Result<Self, ApiError>
    where
        B: HttpBody<Data = Bytes> + Unpin,
    {
        let bytes = read(body, limit, memory).await?.into_bytes();
        if is_declared(headers, "application/json") {
            Ok(JsonBody(bytes))
        } else {
            Err(ApiError::unsupported_media_type())
        }
    }
}

/// Extracts a merge patch (RFC 7396) that is declared as `application/merge-patch+json` or `application/json`, up to `max_body_bytes`. Not
/// parsed yet.
///
/// Must come after an extractor of [`auth`](super::auth).
pub struct PatchBody(pub JsonBody);

impl FromRequest<Arc<AppState>> for PatchBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, app.max_body_bytes, app.verified(owner(&parts)?)).await?.into_bytes();
        let is_patch = is_declared(&parts.headers, "application/merge-patch+json")
            || is_declared(&parts.headers, "application/json");
        if is_patch { Ok(PatchBody(JsonBody(bytes))) } else { Err(ApiError::unsupported_media_type()) }
    }
}

/// Extracts a body that is declared as `application/wasm` or `application/octet-stream`, up to `max_body_bytes`.
///
/// Must come after an extractor of [`auth`](super::auth).
pub struct ComponentBody(pub Bytes);

impl FromRequest<Arc<AppState>> for ComponentBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<AppState>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, app.max_body_bytes, app.verified(owner(&parts)?)).await?.into_bytes();
        let is_component = is_declared(&parts.headers, "application/wasm")
            || is_declared(&parts.headers, "application/octet-stream");
        if is_component { Ok(ComponentBody(bytes)) } else { Err(ApiError::not_a_component()) }
    }
}

/// Reads a whole body of at most `limit` bytes.
///
/// Most bodies arrive together with the head, and are complete after the connection's task has run once. These never
/// start the timer, which would cost a twentieth of a check. A body of one frame is not copied.
///
/// # Errors
/// If the body is too large, ends early or is late, or if there is no memory for it within 2 seconds. Of a body that is too
/// large, up to 256 MiB are read and discarded first.
///
/// # Panics
/// If the body is not complete at once, and there is no Tokio runtime with a timer.
pub fn read<B>(body: B, limit: usize, memory: Memory<'_>) -> impl Future<Output = Result<Body, BodyFault>>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    read_seen(body, limit, memory, |_| {})
}

/// Like [`read`]. Calls `seen` with each piece of the body, in order, as it arrives.
///
/// # Errors
/// Those of [`read`].
///
/// # Panics
/// As [`read`] does.
pub async fn read_seen<B>(
    body: B,
    limit: usize,
    memory: Memory<'_>,
    seen: impl FnMut(&[u8]),
) -> Result<Body, BodyFault>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let patience = memory.patience;
    let starved = AtomicBool::new(false);
    let mut reading = pin!(collect(body, limit, memory, seen, &starved));
    for _ in 0..2 {
        if let Poll::Ready(read) = poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
            return read;
        }
        tokio::task::yield_now().await;
    }
    // A client that was kept waiting is not to blame.
    let late = || if starved.load(Ordering::Relaxed) { BodyFault::NoMemory } else { BodyFault::Late };
    tokio::time::timeout(patience, reading).await.unwrap_or_else(|_| Err(late()))
}

/// Reads and drops a short body of a request that is refused, so that its connection can be used for the next one. Keeps nothing
/// of it. Returns whether nothing is left of it.
///
/// Does nothing if the body is longer than 64 KiB, or of unknown length, and waits for it for at most `patience`.
///
/// # Panics
/// If the body is not complete at once, and there is no Tokio runtime with a timer.
pub(super) async fn discard<B>(mut body: B, patience: Duration) -> bool
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    if body.is_end_stream() {
        return true;
    }
    if body.size_hint().upper().is_none_or(|length| length > FREE as u64) {
        return false;
    }
    let reading = async {
        loop {
            match poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
                None => return true,
            }
        }
    };
    tokio::time::timeout(patience, reading).await.unwrap_or(false)
}

/// Whether the `Content-Type` is this media type, with any parameters. Ignores case.
pub fn is_declared(headers: &HeaderMap, media_type: &str) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(|value| value.to_str()) else { return false };
    let kind = value.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case(media_type)
}

/// Reads a body. Sets `starved` if it had to wait for memory.
async fn collect<B>(
    mut body: B,
    limit: usize,
    memory: Memory<'_>,
    mut seen: impl FnMut(&[u8]),
    starved: &AtomicBool,
) -> Result<Body, BodyFault>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let declared = body.size_hint().exact();
    let mut is_too_large = declared.is_some_and(|length| length > limit as u64);
    let mut length = 0_u64;
    let mut buffer = Buffer::new(limit, memory.free);
    if !is_too_large {
        let declared = declared.and_then(|length| usize::try_from(length).ok());
        buffer.expect(declared);
    }
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame.map_err(|_| BodyFault::BrokenOff)?.into_data() else { continue };
        length += data.len() as u64;
        if is_too_large || length > limit as u64 {
            is_too_large = true;
            buffer.discard();
            if length > limit as u64 + LINGER_BYTES {
                break;
            }
            continue;
        }
        seen(&data);
        buffer.push(data, memory.budget, memory.owner, starved).await?;
    }
    if is_too_large { Err(BodyFault::TooLarge { limit }) } else { Ok(Body(buffer)) }
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

/// Deserializes JSON that was parsed, and maybe changed.
///
/// # Errors
/// If it is not of the expected form: [`Misread::Wrong`]. The error does not contain its values.
pub fn from_parsed<T: DeserializeOwned>(parsed: serde_json::Value) -> Result<T, Misread> {
    serde_path_to_error::deserialize(parsed).map_err(|error| Misread::Wrong {
        place: redact::place(error.path()),
        what: redact::without_values(&error.inner().to_string()),
    })
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
