//! Fake servers for an upstream, callbacks and next hops.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::runtime::Runtime;

use crate::support::LONG;

/// A fake server that records the requests it receives.
pub(crate) struct Stand {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    _runtime: Runtime,
}

/// One request.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// The response of a fake server.
pub(crate) enum Reply {
    Status(u16),
    /// Responds with this status, content type and body.
    Says(u16, &'static str, String),
    /// Responds with 200 and these bytes.
    Long(Bytes),
    /// Never responds.
    Hangs,
    /// Sends a head and half of the body, then closes the connection.
    BreaksOff,
}

type Behaviour = Arc<dyn Fn(&Received) -> Reply + Send + Sync>;

impl Stand {
    pub(crate) fn start(behaviour: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let behaviour: Behaviour = Arc::new(behaviour);
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().fallback(answer).with_state((Arc::clone(&received), behaviour));
        runtime.spawn(async move { axum::serve(listener, router).await });
        Stand { address, received, _runtime: runtime }
    }

    /// Starts a server that responds to everything with 200.
    pub(crate) fn good() -> Self {
        Self::start(|_| Reply::Status(200))
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The only request received.
    #[track_caller]
    pub(crate) fn one(&self) -> Received {
        let received = self.received();
        assert_eq!(received.len(), 1, "{received:?}");
        received[0].clone()
    }

    /// Waits until this many requests have been received.
    #[track_caller]
    pub(crate) fn until(&self, count: usize) -> Vec<Received> {
        let deadline = Instant::now() + LONG;
        while self.received.lock().unwrap().len() < count {
            assert!(Instant::now() < deadline, "it got only {}", self.received.lock().unwrap().len());
            std::thread::yield_now();
        }
        self.received()
    }

    pub(crate) fn forget(&self) {
        self.received.lock().unwrap().clear();
    }
}

type Shared = (Arc<Mutex<Vec<Received>>>, Behaviour);

async fn answer(State((received, behaviour)): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    // An incomplete request is not recorded.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let one = Received {
        method: parts.method.to_string(),
        path: parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default(),
        headers: parts.headers,
        body,
    };
    let reply = behaviour(&one);
    received.lock().unwrap().push(one);
    let with = |status: u16, body: Body| {
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        response
    };
    match reply {
        Reply::Status(status) => with(status, Body::empty()),
        Reply::Says(status, kind, text) => {
            let mut response = with(status, Body::from(text));
            response.headers_mut().insert("content-type", kind.parse().unwrap());
            response.headers_mut().insert("x-upstream", "its own".parse().unwrap());
            response
        }
        Reply::Long(bytes) => with(200, Body::from(bytes)),
        Reply::Hangs => std::future::pending().await,
        Reply::BreaksOff => {
            let mut response = with(200, Body::from_stream(Broken::default()));
            response.headers_mut().insert("content-length", "1000".parse().unwrap());
            response
        }
    }
}

/// A body that ends before it should.
#[derive(Default)]
struct Broken {
    begun: bool,
}

impl futures_core::Stream for Broken {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        let begun = std::mem::replace(&mut self.begun, true);
        std::task::Poll::Ready(Some(match begun {
            false => Ok(Bytes::from_static(b"half")),
            true => Err(std::io::Error::other("cut")),
        }))
    }
}
