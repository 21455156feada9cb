//! A connection of HTTP/2, with many requests in progress at once.
//!
//! What bounds a connection of HTTP/1.1 bounds each request here: [`Place::stream`] counts them as connections, and [`Pace`](super::pace)
//! ends those whose client takes nothing of the response. The rest is bounded by the settings below.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::header::HOST;
use axum::http::{HeaderValue, Request, Uri, Version};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use portcullis_process_metrics::http::{Closed, closed};
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;

use super::paced::{Held, Paced};
use super::streams::{self, Streams};
use super::{Answering, MOST_BUFFERED, too_many};
use crate::connections::{Place, TimedStream, WAIT};
use crate::listening::Listening;

/// The most requests of a connection in progress. nginx and Node's clients expect at least 100.
const MOST_STREAMS: u32 = 128;
/// How much of a request's body the client may send before it is read, in bytes: of each, and of all of a connection. Memory for it is not
/// counted otherwise.
const WINDOW: u32 = 64 << 10;
const WINDOW_OF_CONNECTION: u32 = 256 << 10;
/// How much of a response is buffered, in bytes.
const MOST_SENT: usize = 32 << 10;
/// The most requests that the client has reset before they were seen, and that the gateway has reset and the client still sends for. More end
/// the connection (rapid reset, CVE-2023-44487, and its like, CVE-2025-8671).
const MOST_RESET: usize = 20;
const MOST_RESET_BY_GATEWAY: usize = 128;
/// How often a client has to prove that it is there, and how long the proof may take.
const PING: Duration = Duration::from_secs(30);
const PING_PATIENCE: Duration = Duration::from_secs(20);
/// How many times a connection is looked at while it may be idle.
const LOOKS: u32 = 5;

/// Serves the requests of a connection, until the client leaves, it has been idle for too long, or `listening` changes and those in progress are
/// done. A response may wait for its client for `patience` in all.
///
/// # Errors
/// If the client breaks the protocol, or the connection.
pub(crate) async fn serve(
    stream: TimedStream,
    answering: Answering,
    patience: Duration,
    mut listening: watch::Receiver<Listening>,
) -> hyper::Result<()> {
    let (place, head_patience) = (Arc::clone(&answering.place), answering.head_patience());
    let streams = Streams::new(patience);
    let leaving = Arc::new(Notify::new());
    let leave = Arc::clone(&leaving);
    let service = service_fn(move |request: Request<Incoming>| {
        let (answering, leave) = (answering.clone(), Arc::clone(&leave));
        let place = &answering.place;
        let (busy, stream) = (Arc::clone(place).begin(), place.stream());
        let (unanswered, must_wait) = (place.unanswered(), place.must_wait());
        async move {
            let Some(busy) = busy else {
                // The task is about to be aborted.
                return std::future::pending().await;
            };
            if must_wait {
                // As a new connection would: see `Place::is_slowed`.
                tokio::time::sleep(WAIT).await;
            }
            let request = as_http1(request);
            if answering.is_refused(&request) {
                // The place is for health checks.
                leave.notify_one();
            }
            let answered = match stream {
                Some(_) => answering.answer(request, Duration::ZERO).await?,
                None => too_many(),
            };
            unanswered.answered();
            let held = Arc::new(Held { _busy: busy, _stream: stream });
            Ok::<_, Infallible>(answered.map(|body| Paced::new(body, held, streams::pace())))
        }
    });
    let connection = http2::Builder::new(streams.clone())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_BUFFERED)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW_OF_CONNECTION)
        .max_send_buf_size(MOST_SENT)
        .max_pending_accept_reset_streams(MOST_RESET)
        .max_local_error_reset_streams(MOST_RESET_BY_GATEWAY)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING_PATIENCE)
        .serve_connection(stream.multiplexed(), service);
    let mut connection = pin!(connection);
    let mut looks = tokio::time::interval(head_patience / LOOKS);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rest = Rest::of(&place);
    let mut is_ending = false;
    loop {
        let ends = tokio::select! {
            served = &mut connection => return served,
            _ = listening.changed(), if !is_ending => true,
            () = leaving.notified(), if !is_ending => true,
            _ = looks.tick() => match rest.look(&place, &streams, head_patience, patience) {
                Looked::Active => false,
                // It was told to leave, and did not.
                Looked::Idle if is_ending => return Ok(()),
                Looked::Idle => true,
                Looked::Stalled => {
                    closed(Closed::Stalled, 1);
                    return Ok(());
                }
            },
        };
        if ends {
            is_ending = true;
            connection.as_mut().graceful_shutdown();
        }
    }
}

/// The request in the form in which those of HTTP/1.1 arrive, which handlers expect: the path alone as its target, and the host as a header.
fn as_http1(mut request: Request<Incoming>) -> Request<Incoming> {
    *request.version_mut() = Version::HTTP_11;
    let uri = request.uri();
    let host = uri.authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    let path = uri.path_and_query().cloned();
    if let Some(host) = host
        && !request.headers().contains_key(HOST)
    {
        request.headers_mut().insert(HOST, host);
    }
    if let Some(path) = path {
        *request.uri_mut() = Uri::from(path);
    }
    request
}

/// What a connection did when it was last looked at, and since when it is as it is.
struct Rest {
    requests: u32,
    occupants: u32,
    since: Instant,
}

enum Looked {
    Active,
    /// It has had no request for too long.
    Idle,
    /// Nothing is left but ends of responses, which the client does not take.
    Stalled,
}

impl Rest {
    fn of(place: &Place) -> Self {
        Rest { requests: place.requests(), occupants: place.occupants(), since: Instant::now() }
    }

    fn look(&mut self, place: &Place, streams: &Streams, idle: Duration, stalled: Duration) -> Looked {
        let now = Rest::of(place);
        if (now.requests, now.occupants) != (self.requests, self.occupants) {
            *self = now;
            return Looked::Active;
        }
        let lasted = self.since.elapsed();
        match now.occupants {
            0 if lasted >= idle => Looked::Idle,
            // A request in progress may take long, and one whose response waits is ended by its pace.
            1.. if streams.are_done() && lasted >= stalled => Looked::Stalled,
            _ => Looked::Active,
        }
    }
}
