//! The way of a request into this process, or on to the one that takes over.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONNECTION, CONTENT_LENGTH};
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::IntoResponse as _;
use http_body_util::{BodyExt as _, Either};
use hyper::body::Incoming;
use portcullis_edge::http::ApiError;
use portcullis_edge::http::peer::Peer;
use portcullis_edge::http::route::PREFIX;
use portcullis_native::{Answered, Service};
use portcullis_proxy::Passed;
use tokio::time::timeout;
use tracing::warn;

use super::gate::{Gate, Stage, Work};

/// The longest body in bytes that is read while the ledger is away, to be relayed if it can't be answered from memory.
const SHORT_BODY: usize = 8 << 10;
/// How long such a body may take.
const BODY_TIME: Duration = Duration::from_secs(10);

/// The HTTP service of the gateway, for all connections.
#[derive(Clone)]
pub(crate) struct Door {
    service: Service,
    gate: Arc<Gate>,
}

/// What a request may do to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing: it only looks at this process.
    Look,
    /// It asks about numbers.
    Check,
    /// It sends a message, which is counted if the tenant has rules.
    Send,
    /// It may write.
    Other,
}

/// A request that waits.
enum Waiting {
    Unread(Request<Incoming>),
    Read(Request<Bytes>),
}

impl Kind {
    fn of<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        let is_post = request.method() == Method::POST;
        match path {
            "/healthz" | "/readyz" | "/metrics" => Kind::Look,
            _ if is_post && path.starts_with(PREFIX) && path.ends_with("/check") => Kind::Check,
            _ if is_post && (path.ends_with("/messages") || path.ends_with("/marketing_messages")) => {
                Kind::Send
            }
            _ => Kind::Other,
        }
    }

    fn work(self) -> Option<Work> {
        match self {
            Kind::Look => None,
            Kind::Check => Some(Work::Checking),
            Kind::Send => Some(Work::Sending),
            Kind::Other => Some(Work::Writing),
        }
    }
}

impl Door {
    pub(crate) fn new(service: Service, gate: Arc<Gate>) -> Self {
        Door { service, gate }
    }

    /// Answers one request from `peer`, or has it answered. `patience` is how long to wait for a short body that nobody reads.
    pub(crate) async fn call(self, request: Request<Incoming>, peer: Peer, patience: Duration) -> Answered {
        if self.gate.stage() != Stage::Serving {
            return self.elsewhere(request, peer, patience).await;
        }
        let Door { service, gate } = self;
        let entered = match Kind::of(&request).work() {
            None => None,
            Some(work) => match gate.enter(work) {
                Some(entered) => Some(entered),
                // The stage has just changed.
                None => {
                    let door = Door { service, gate: Arc::clone(&gate) };
                    return door.elsewhere(request, peer, patience).await;
                }
            },
        };
        let answered = service.call(request, peer, patience).await.unwrap_or_else(|never| match never {});
        drop(entered);
        answered
    }

    /// Has a request answered that must not begin here as usual.
    async fn elsewhere(&self, request: Request<Incoming>, peer: Peer, patience: Duration) -> Answered {
        match self.gate.stage() {
            Stage::Relaying => self.relayed(request.map(Body::new), peer).await,
            Stage::Serving | Stage::Holding => self.meanwhile(request, peer, patience).await,
        }
    }

    async fn here(&self, request: Request<Incoming>, peer: Peer, patience: Duration) -> Answered {
        self.service.clone().call(request, peer, patience).await.unwrap_or_else(|never| match never {})
    }

    /// Answers from memory while the ledger is away, if that can be.
    async fn meanwhile(&self, request: Request<Incoming>, peer: Peer, patience: Duration) -> Answered {
        let is_short = content_length(&request).is_some_and(|length| length <= SHORT_BODY);
        let place = match Kind::of(&request) {
            Kind::Look => return self.here(request, peer, patience).await,
            Kind::Check if is_short => self.gate.place_for_body(),
            // What a message counts would be lost.
            Kind::Send if is_short && !self.gate.has_rules() => self.gate.place_for_body(),
            _ => None,
        };
        let Some(_place) = place else { return self.held(Waiting::Unread(request), peer, patience).await };
        let (parts, body) = request.into_parts();
        let Ok(Ok(body)) = timeout(BODY_TIME, body.collect()).await else {
            return closing(
                ApiError::invalid_request("", "the body did not arrive").into_response().map(Either::Right),
            );
        };
        let request = Request::from_parts(parts, body.to_bytes());
        if self.gate.stage() != Stage::Holding {
            return self.held(Waiting::Read(request), peer, patience).await;
        }
        let answer = self.service.clone().call_read(request.clone(), peer).await;
        if answer.status() != StatusCode::SERVICE_UNAVAILABLE || answer.extensions().get::<Passed>().is_some()
        {
            return answer.map(Either::Right);
        }
        // It needs the ledger, and nothing was done yet.
        self.held(Waiting::Read(request), peer, patience).await
    }

    /// Waits until the ledger is back, here or elsewhere.
    async fn held(&self, waiting: Waiting, peer: Peer, patience: Duration) -> Answered {
        loop {
            match self.gate.released().await {
                Stage::Serving => {}
                Stage::Relaying => {
                    let request = match waiting {
                        Waiting::Unread(request) => request.map(Body::new),
                        Waiting::Read(request) => request.map(Body::from),
                    };
                    return self.relayed(request, peer).await;
                }
                Stage::Holding => {
                    let error = ApiError::unavailable(
                        "another process of the gateway is starting: retry in a moment",
                    );
                    return closing(error.into_response().map(Either::Right));
                }
            }
            // Holding may begin again at once.
            let Some(_entered) = self.gate.enter(Work::Writing) else { continue };
            return match waiting {
                Waiting::Unread(request) => self.here(request, peer, patience).await,
                Waiting::Read(request) => {
                    self.service.clone().call_read(request, peer).await.map(Either::Right)
                }
            };
        }
    }

    async fn relayed(&self, request: Request<Body>, peer: Peer) -> Answered {
        let Some(relay) = self.gate.relay() else {
            return closing(ApiError::internal().into_response().map(Either::Right));
        };
        let answered = match relay.send(request, peer).await {
            Ok(response) => response,
            Err(error) => {
                warn!(error = %portcullis_host::ErrorChain(&error), "a request could not be relayed to the process that has taken over");
                ApiError::unavailable("the gateway can't be reached: retry in a moment").into_response()
            }
        };
        closing(answered.map(Either::Right))
    }
}

fn content_length<B>(request: &Request<B>) -> Option<usize> {
    request.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// Has the client connect again, to the other process.
fn closing(mut answered: Answered) -> Answered {
    answered.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_checks_and_messages_may_be_answered_without_the_ledger() {
        let kind = |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path).body(()).unwrap();
            Kind::of(&request)
        };
        assert_eq!(kind(Method::GET, "/readyz"), Kind::Look);
        assert_eq!(kind(Method::POST, "/portcullis/v1/senders/support/check"), Kind::Check);
        assert_eq!(kind(Method::POST, "/portcullis/v1/tenant/check"), Kind::Check);
        assert_eq!(kind(Method::POST, "/v23.0/106540352242922/messages"), Kind::Send);
        assert_eq!(kind(Method::POST, "/portcullis/v1/senders/support/entries"), Kind::Other);
        assert_eq!(kind(Method::GET, "/portcullis/v1/senders/support/entries"), Kind::Other);
        assert_eq!(kind(Method::POST, "/webhook"), Kind::Other);
        assert_eq!(kind(Method::POST, "/elsewhere/check"), Kind::Other);
    }
}
