//! JSON responses.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response as HttpResponse, StatusCode};
use axum::response::Response;
use portcullis_admission::{Budget, Owner, Reserved};
use serde::Serialize;
use tracing::error;

use super::error::ApiError;
use crate::ops::{Refusal, Target};

/// The return type of handlers.
pub type Answer = Result<Response, ApiError>;

/// Creates a JSON response. If the body can't be serialized, which would be a bug, logs that and responds with status
/// 500 and no body.
///
/// For short bodies. Those that may be long take memory of a [`Room`].
pub fn json(status: StatusCode, body: &impl Serialize) -> Response {
    response(status, text(body).map(Bytes::from))
}

/// Creates a JSON response with status 200. For short bodies, like [`json`].
pub fn ok(body: &impl Serialize) -> Response {
    json(StatusCode::OK, body)
}

/// Creates a JSON response to a client of this list, whose body may be long.
///
/// # Errors
/// Those of [`Room::of`]. So nothing may have been done that can't be done again.
pub fn to(target: &Target, status: StatusCode, body: &impl Serialize) -> Result<Response, Refusal> {
    whole_to(target.tenant.turns.answers(), target.owner(), status, body)
}

/// Creates a JSON response with status 200 to the administrator, whose body may be long.
///
/// # Errors
/// Those of [`Room::of`].
pub fn to_operator(answers: &Arc<Budget>, body: &impl Serialize) -> Result<Response, Refusal> {
    whole_to(answers, Owner::Operator, StatusCode::OK, body)
}

/// Creates a JSON response to this owner, whose body may be long.
///
/// # Errors
/// Those of [`Room::of`].
pub fn whole_to(
    answers: &Arc<Budget>,
    owner: Owner<'_>,
    status: StatusCode,
    body: &impl Serialize,
) -> Result<Response, Refusal> {
    let text = text(body).map(|text| Room::of(answers, owner, text.len()).map(|room| room.holding(text)));
    Ok(response(status, text.transpose()?))
}

/// Returns what creates responses with status 200 and this JSON. The text is in memory once, however many clients don't read it.
pub fn shared(body: &impl Serialize) -> impl Fn() -> Response + Clone + Send + Sync + 'static {
    let text = text(body).map(Bytes::from);
    move || response(StatusCode::OK, text.clone())
}

/// Creates a response with status 200 from a body that is JSON already.
pub fn whole<B>(body: B) -> HttpResponse<B> {
    let mut response = HttpResponse::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(body: &impl Serialize) -> Option<Vec<u8>> {
    serde_json::to_vec(body).map_err(|error| error!(%error, "cannot serialize a response as JSON")).ok()
}

fn response(status: StatusCode, text: Option<Bytes>) -> Response {
    let status = if text.is_some() { status } else { StatusCode::INTERNAL_SERVER_ERROR };
    let mut response = whole(text.map_or_else(Body::empty, Body::from));
    *response.status_mut() = status;
    response
}

/// Memory for an answer, until it has been sent, or its client is gone.
///
/// A client decides how fast it reads. Without this, one that asks for long answers on many connections, and reads none of them, could
/// take all memory.
pub struct Room(Option<Reserved>);

/// Answers up to this size are not counted: there are no more of them than connections, and the system buffers most of them.
const FREE: usize = 64 << 10;

impl Room {
    /// Reserves memory for an answer of about this many bytes.
    ///
    /// # Errors
    /// [`Refusal::Unread`] if others take it; [`Refusal::TooLarge`] if the owner could not have it then either.
    pub fn of(answers: &Arc<Budget>, owner: Owner<'_>, bytes: usize) -> Result<Self, Refusal> {
        if bytes <= FREE {
            return Ok(Room(None));
        }
        let mut reserved = answers.reserve(owner);
        if !reserved.can_be(bytes) {
            return Err(Refusal::TooLarge);
        }
        if reserved.try_grow(bytes) { Ok(Room(Some(reserved))) } else { Err(Refusal::Unread) }
    }

    /// Reserves memory for the answer to a request that changes this list: about `each` bytes for each of its rows.
    ///
    /// It is reserved before anything is done, because afterwards the client has to learn what was.
    ///
    /// # Errors
    /// Those of [`of`](Self::of).
    pub fn of_write(target: &Target, rows: usize, each: usize) -> Result<Self, Refusal> {
        Room::of(target.tenant.turns.answers(), target.owner(), rows.saturating_mul(each))
    }

    /// Creates a JSON response, which may be longer than was expected.
    pub fn json(self, status: StatusCode, body: &impl Serialize) -> Response {
        response(status, text(body).map(|text| self.holding(text)))
    }

    /// These bytes, which keep the memory until the last copy is dropped.
    pub fn holding(self, mut text: Vec<u8>) -> Bytes {
        match self.0 {
            Some(mut reserved) if text.len() > FREE => {
                text.shrink_to_fit();
                reserved.shrink_to(text.len());
                Bytes::from_owner(Held { text, _reserved: reserved })
            }
            _ => text.into(),
        }
    }
}

/// Bytes that give back what they took of a budget when they are dropped.
struct Held {
    text: Vec<u8>,
    _reserved: Reserved,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use portcullis_admission::Shares;

    use super::*;

    #[tokio::test]
    async fn an_answer_takes_memory_until_its_bytes_are_dropped() {
        let answers = Budget::new(Shares { all: 300_000, each: 300_000, sender: 0, operator: 100_000 });
        let tenant = "acme".parse().unwrap();
        let owner = Owner::Client { tenant: &tenant, sender: None };
        let long = "x".repeat(199_998);
        let first = whole_to(&answers, owner, StatusCode::OK, &long).unwrap();
        let again = || whole_to(&answers, owner, StatusCode::OK, &long);
        assert!(matches!(again(), Err(Refusal::Unread)));
        assert!(whole_to(&answers, owner, StatusCode::OK, &"short").is_ok());
        // As a connection does: it drops the body when it has its bytes.
        let bytes = first.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(bytes.len(), 200_000);
        assert!(matches!(again(), Err(Refusal::Unread)));
        drop(bytes);
        assert!(again().is_ok());
        assert!(matches!(to_operator(&answers, &long), Err(Refusal::TooLarge)));
    }
}
