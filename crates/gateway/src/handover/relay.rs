//! Passes requests on to the process that has taken over.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, EXPECT, HOST, TE, UPGRADE};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderName, HeaderValue, Request, Response, Uri, Version};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use portcullis_edge::http::peer::Peer;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};
use tracing::debug;

/// The header with the address of the client. Only processes of the same user reach the socket where it is believed.
pub(super) const CLIENT: HeaderName = HeaderName::from_static("x-portcullis-client");
/// Headers that are about one connection.
const OF_CONNECTION: [HeaderName; 5] =
    [CONNECTION, EXPECT, TE, UPGRADE, HeaderName::from_static("keep-alive")];
/// How long to wait for room among the connections that the other process has yet to accept.
const PATIENCE: Duration = Duration::from_secs(10);
/// The pause between two attempts to connect.
const PAUSE: Duration = Duration::from_millis(2);

/// What stands for a client of a Unix socket.
const UNIX: &str = "unix";

fn header_of(client: Peer) -> HeaderValue {
    match client {
        Peer::Unix => HeaderValue::from_static(UNIX),
        // Digits, letters, dots and colons.
        Peer::Ip(address) => {
            HeaderValue::from_str(&address.to_string()).unwrap_or(HeaderValue::from_static("0.0.0.0"))
        }
    }
}

/// The client that a header names.
pub(super) fn client_of(header: &HeaderValue) -> Option<Peer> {
    match header.to_str().ok()? {
        UNIX => Some(Peer::Unix),
        address => address.parse().ok().map(Peer::Ip),
    }
}

/// The socket of the process that has taken over.
#[derive(Debug)]
pub(super) struct Relay {
    path: PathBuf,
}

/// Why a request could not be relayed.
#[derive(Debug, thiserror::Error)]
pub(super) enum RelayError {
    #[error("the process that has taken over can't be reached")]
    Unreachable(#[from] io::Error),
    #[error("the process that has taken over did not answer")]
    Unanswered(#[from] hyper::Error),
}

impl Relay {
    pub(super) fn new(path: PathBuf) -> Self {
        Relay { path }
    }

    /// Sends a request on a connection of its own: clients are told to connect again after each, so none would be used twice.
    pub(super) async fn send(
        &self,
        mut request: Request<Body>,
        client: Peer,
    ) -> Result<Response<Body>, RelayError> {
        // Of HTTP/2, the host is in the URI.
        if let Some(host) =
            request.uri().authority().and_then(|host| HeaderValue::from_str(host.as_str()).ok())
        {
            request.headers_mut().entry(HOST).or_insert(host);
        }
        let target = request.uri().path_and_query().cloned();
        *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
        *request.version_mut() = Version::HTTP_11;
        for header in OF_CONNECTION {
            request.headers_mut().remove(header);
        }
        request.headers_mut().insert(CLIENT, header_of(client));
        let (mut sender, connection) = http1::handshake(TokioIo::new(self.connect().await?)).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                debug!(%error, "a relayed request failed");
            }
        });
        let mut response = sender.send_request(request).await?.map(Body::new);
        for header in OF_CONNECTION {
            response.headers_mut().remove(header);
        }
        Ok(response)
    }

    async fn connect(&self) -> io::Result<UnixStream> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match UnixStream::connect(&self.path).await {
                // Its queue is full.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && Instant::now() < deadline => {
                    sleep(PAUSE).await;
                }
                connected => return connected,
            }
        }
    }
}
