//! Serving the requests of a connection, over HTTP/1.1 or HTTP/2.

pub(crate) mod http1;
pub(crate) mod http2;
mod pace;
mod paced;
mod streams;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::Request;
use axum::http::header::CONNECTION;
use axum::response::IntoResponse as _;
use http_body_util::Either;
use hyper::body::Incoming;
use portcullis_edge::http::ApiError;
use portcullis_edge::http::peer::Peer;
use portcullis_native::Answered;
use portcullis_process_metrics::http::{self, Reason};

use crate::connections::Place;
use crate::handover::Door;
use crate::listeners::{Audience, is_for_operators};

/// How long a connection may be idle before the head of the next request has arrived.
const HEAD_PATIENCE: Duration = Duration::from_secs(75);
/// The same for connections of the reserve.
const HEAD_PATIENCE_OF_RESERVE: Duration = Duration::from_secs(5);
/// The most bytes that a connection of HTTP/1.1 buffers, in each direction. The head of a request must fit into it, or gets 431. The fields of
/// a request's head over HTTP/2 have as many.
///
/// Anybody can fill it, on as many connections as there may be. It is what Node and HAProxy allow; nginx allows lines of 8 KiB.
const MOST_BUFFERED: u32 = 16 << 10;

/// What the requests of a connection are answered with.
#[derive(Clone)]
pub(crate) struct Answering {
    pub(crate) service: Door,
    pub(crate) peer: Peer,
    pub(crate) audience: Audience,
    pub(crate) place: Arc<Place>,
}

impl Answering {
    /// How long the connection may be idle.
    pub(crate) fn head_patience(&self) -> Duration {
        if self.place.is_reserved() { HEAD_PATIENCE_OF_RESERVE } else { HEAD_PATIENCE }
    }

    /// Whether a request must be refused, as its connection is one of the reserve.
    fn is_refused(&self, request: &Request<Incoming>) -> bool {
        self.place.is_reserved() && !is_for_operators(request.uri().path())
    }

    /// Answers a request. `patience` is how long to wait for a short body that nobody reads.
    async fn answer(self, request: Request<Incoming>, patience: Duration) -> Result<Answered, Infallible> {
        if self.is_refused(&request) {
            return Ok(too_many());
        }
        if !self.audience.has(request.uri().path()) {
            return Ok(refused(ApiError::not_found()));
        }
        Ok(self.service.call(request, self.peer, patience).await)
    }
}

/// The response to requests that there is no room for.
fn too_many() -> Answered {
    let mut response = refused(ApiError::too_many_connections());
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// The response to a request that does not get to the service, which counts others that it refuses.
fn refused(error: ApiError) -> Answered {
    let response = error.into_response().map(Either::Right);
    let reason = response.extensions().get().copied().unwrap_or(Reason::OTHER);
    http::refused(response.status().as_u16(), reason);
    response
}
