//! Reading what a request brings: a body in JSON, and the query.

use std::borrow::Cow;
use std::fmt;
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
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::ApiError;
use super::front::Front;
use crate::wording;

/// Why a body can't be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyFault {
    TooLarge { limit: usize },
    BrokenOff,
    Late,
}

impl From<BodyFault> for ApiError {
    fn from(fault: BodyFault) -> Self {
        match fault {
            BodyFault::TooLarge { limit } => ApiError::body_too_large(limit),
            BodyFault::BrokenOff => ApiError::invalid_request("", "the body broke off: send it again"),
            BodyFault::Late => {
                ApiError::invalid_request("", "the body did not arrive within 30 seconds; send it again")
            }
        }
    }
}

/// Why a text is not what was to be read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Misread {
    NotJson {
        line: usize,
        column: usize,
    },
    /// Which field, or nothing; and what is wrong with it, without its value.
    Wrong {
        place: String,
        what: String,
    },
}

impl From<Misread> for ApiError {
    fn from(misread: Misread) -> Self {
        match misread {
            Misread::NotJson { line, column } => ApiError::invalid_json(line, column),
            Misread::Wrong { place, what } => ApiError::invalid_request(&place, &what),
        }
    }
}

/// A body that is declared to be JSON, within the limit of its size.
pub(super) struct JsonBody(pub(super) Bytes);

/// How long a client may take to send its body.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much more than the limit is taken off the wire and thrown away, so that a client which sends all before it
/// reads gets the answer, and not a broken connection.
const LINGER_BYTES: u64 = 256 << 20;

impl FromRequest<Arc<Front>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, front: &Arc<Front>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        JsonBody::read(&parts.headers, body, front.max_body_bytes).await
    }
}

impl JsonBody {
    /// Reads one, within a limit of its size.
    pub(super) async fn read<B>(headers: &HeaderMap, body: B, limit: usize) -> Result<Self, ApiError>
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

/// A body that is declared to be WebAssembly, or just bytes, within the limit of its size.
pub(super) struct ComponentBody(pub(super) Bytes);

impl FromRequest<Arc<Front>> for ComponentBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, front: &Arc<Front>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let bytes = read(body, front.max_body_bytes).await?;
        let is_component = is_declared(&parts.headers, "application/wasm")
            || is_declared(&parts.headers, "application/octet-stream");
        if is_component { Ok(ComponentBody(bytes)) } else { Err(ApiError::not_a_component()) }
    }
}

/// The whole body, within a limit of its size.
///
/// Waits for the client, but not for ever.
///
/// Most bodies come together with the head, and are there once the connection had its turn to hand them over: these never
/// need the timer, which would cost a twentieth of a check.
pub(crate) async fn read<B>(body: B, limit: usize) -> Result<Bytes, BodyFault>
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

pub(crate) fn is_declared(headers: &HeaderMap, media_type: &str) -> bool {
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
            // Most bodies are one piece, and need no copy.
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
    /// What the body says.
    pub(super) fn parse<'a, T: Deserialize<'a>>(&'a self) -> Result<T, ApiError> {
        Ok(parse(&self.0)?)
    }
}

/// What a JSON text says.
pub(crate) fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Misread> {
    serde_json::from_slice(text).map_err(|error| misread::<T>(text, &error))
}

/// Parses once more, slowly, to find out where it went wrong.
fn misread<'a, T: Deserialize<'a>>(text: &'a [u8], error: &serde_json::Error) -> Misread {
    let not_json = Misread::NotJson { line: error.line(), column: error.column() };
    if !error.is_data() {
        return not_json;
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    match serde_path_to_error::deserialize::<_, T>(&mut reader) {
        Ok(_) => not_json,
        Err(error) => {
            let message = error.inner().to_string();
            // serde_json says where in the text, which the field says better.
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            Misread::Wrong { place: wording::place(error.path()), what: wording::without_values(message) }
        }
    }
}

/// The query of a request.
pub(super) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequestParts<Arc<Front>> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Front>) -> Result<Self, ApiError> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Query(query.0)).map_err(|error| {
            let message = error.body_text();
            let message = message.split_once(": ").map_or(message.as_str(), |(_, message)| message);
            // serde's message may stand behind the field's name.
            let message = message.rsplit_once(": ").map_or(message, |(_, message)| message);
            ApiError::invalid_request("", &format!("in the query: {}", wording::without_values(message)))
        })
    }
}

/// A number as a client wrote it, not yet read. `Debug` does not show it.
#[derive(Clone)]
pub(super) struct NumberText<'a>(pub(super) Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for NumberText<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'de> Visitor<'de> for Text {
            type Value = NumberText<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number in quotation marks")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(NumberText(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(NumberText(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for NumberText<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Number".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": 64,
            "description": "A telephone number: with + or 00 and its country code, or beginning with the country code, \
                or in the national form where the tenant has a default region. Spaces and the separators - . ( ) / are allowed.",
            "examples": ["+46 73-200 11 22"],
        })
    }
}

impl fmt::Debug for NumberText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NumberText(…)")
    }
}
