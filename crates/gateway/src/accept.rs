//! Accepting connections, and serving them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use portcullis_admission::LogLimit;
use portcullis_edge::http::peer::Peer;
use portcullis_process_metrics::http::{Closed, closed};
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tracing::{debug, warn};

use crate::connections::descriptors::REMEDY;
use crate::connections::{ClientStream, Connections, Place, TimedStream, WAIT};
use crate::handover::Door;
use crate::listeners::{Accepted, Audience, Listener};
use crate::listening::Listening;
use crate::protocol::{Answering, http1, http2};
use crate::tls::{HTTP2, Tls, handshake};

/// The pause after a failed `accept`, which usually means that no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Lines about connections that could not be accepted.
static FAILED: LogLimit = LogLimit::new(5);

/// What all listeners share.
pub(crate) struct Shared {
    pub(crate) service: Door,
    pub(crate) connections: Arc<Connections>,
    /// How long a client may take nothing of a response, before it is disconnected.
    pub(crate) patience: Duration,
    /// The certificates, if a listener has TLS.
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Accepts connections until `listening` changes, and once it is [`Closed`](Listening::Closed) waits for the requests in progress.
pub(crate) async fn run(listeners: Vec<Listener>, shared: Shared, mut listening: watch::Receiver<Listening>) {
    let (shared, graceful) = (Arc::new(shared), Arc::new(GracefulShutdown::new()));
    let mut tasks = JoinSet::new();
    for listener in listeners {
        tasks.spawn(accept(listener, Arc::clone(&shared), Arc::clone(&graceful), listening.clone()));
    }
    while tasks.join_next().await.is_some() {}
    until_closed(&mut listening).await;
    if let Some(graceful) = Arc::into_inner(graceful) {
        graceful.shutdown().await;
    }
}

/// Waits until no connection is accepted, here or in a process that has taken over.
async fn until_closed(listening: &mut watch::Receiver<Listening>) {
    let _ = listening.wait_for(|listening| *listening == Listening::Closed).await;
}

async fn accept(
    mut listener: Listener,
    shared: Arc<Shared>,
    graceful: Arc<GracefulShutdown>,
    mut listening: watch::Receiver<Listening>,
) {
    loop {
        tokio::select! {
            accepted = listener.socket.accept() => match accepted {
                Ok((stream, peer)) => {
                    // Without a place, the connection is closed at once.
                    if let Some(place) = shared.connections.admit(peer) {
                        let acceptor = match &shared.tls {
                            Some(tls) if listener.is_tls => Some(tls.acceptor(listener.audience == Audience::Operators)),
                            _ => None,
                        };
                        let connection = Connection {
                            peer,
                            acceptor,
                            audience: listener.audience,
                            place: Arc::new(place),
                            shared: Arc::clone(&shared),
                            listening: listening.clone(),
                        };
                        connection.start(stream, graceful.watcher());
                    }
                }
                Err(error) => {
                    let idle_closed = shared.connections.make_room();
                    if FAILED.admits() {
                        let suppressed = FAILED.suppressed();
                        warn!(%error, idle_closed, suppressed, "can't accept connections: {REMEDY}");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = listening.changed() => break,
        }
    }
    if *listening.borrow() == Listening::HandedOver {
        listener.socket.leave_file();
    }
}

/// A connection that is to be served.
struct Connection {
    peer: Peer,
    acceptor: Option<TlsAcceptor>,
    audience: Audience,
    place: Arc<Place>,
    shared: Arc<Shared>,
    listening: watch::Receiver<Listening>,
}

impl Connection {
    fn start(self, stream: Accepted, watcher: Watcher) {
        let place = Arc::clone(&self.place);
        let task = tokio::spawn(async move {
            if let Err(error) = self.serve(stream, watcher).await {
                // Mostly clients that disconnect or don't speak HTTP.
                debug!(%error, "a connection failed");
            }
        });
        place.served_by(task.abort_handle());
    }

    async fn serve(mut self, stream: Accepted, watcher: Watcher) -> Result<(), Failed> {
        let (stream, protocol) = match stream {
            Accepted::Unix(stream) => (ClientStream::Unix(stream), Protocol::Unknown),
            Accepted::Tcp(stream) => {
                if self.place.is_slowed() && !is_patient(&stream).await {
                    return Ok(());
                }
                // Responses are small and written at once, so Nagle's algorithm would only delay them.
                let _ = stream.set_nodelay(true);
                let Some(opened) = self.open(stream).await? else { return Ok(()) };
                opened
            }
        };
        let answering = Answering {
            service: self.shared.service.clone(),
            peer: self.peer,
            audience: self.audience,
            place: Arc::clone(&self.place),
        };
        let patience = self.shared.patience;
        let mut stream = TimedStream::new(stream, self.place, patience);
        let is_http2 = match protocol {
            Protocol::Http1 => false,
            Protocol::Http2 => true,
            Protocol::Unknown => {
                let seeing = tokio::time::timeout(answering.head_patience(), stream.speaks_http2());
                tokio::select! {
                    // What has arrived is served, even if the gateway stops.
                    biased;
                    seen = seeing => match seen {
                        Ok(is_http2) => is_http2?,
                        // It has been idle for too long.
                        Err(_) => return Ok(()),
                    },
                    () = until_closed(&mut self.listening) => return Ok(()),
                }
            }
        };
        if is_http2 {
            // Until it is dropped, the gateway waits for the connection.
            let _watcher = watcher;
            // In memory of its own, so that connections of HTTP/1.1 don't have it.
            Box::pin(http2::serve(stream, answering, patience, self.listening)).await?;
        } else {
            watcher.watch(http1::serve(stream, answering)).await?;
        }
        Ok(())
    }

    /// Opens TLS, if the listener has it. Returns `None` if the client does not speak it, or takes too long.
    async fn open(&mut self, stream: TcpStream) -> io::Result<Option<(ClientStream, Protocol)>> {
        let Some(acceptor) = self.acceptor.take() else {
            return Ok(Some((ClientStream::Tcp(stream), Protocol::Unknown)));
        };
        let opened = tokio::select! {
            opened = tokio::time::timeout(handshake::PATIENCE, Box::pin(handshake::open(stream, &acceptor))) => opened,
            () = until_closed(&mut self.listening) => return Ok(None),
        };
        let Ok(opened) = opened else {
            closed(Closed::Late, 1);
            return Ok(None);
        };
        Ok(opened?.map(|stream| {
            let protocol = match stream.get_ref().1.alpn_protocol() {
                Some(HTTP2) => Protocol::Http2,
                Some(_) => Protocol::Http1,
                None => Protocol::Unknown,
            };
            (ClientStream::Tls(Box::new(stream)), protocol)
        }))
    }
}

/// What is known about the protocol of a connection before its first request.
#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
    Unknown,
}

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Stream(#[from] io::Error),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// Waits for a moment. Returns whether the client has, too.
async fn is_patient(stream: &TcpStream) -> bool {
    tokio::time::sleep(WAIT).await;
    tokio::select! {
        biased;
        ready = stream.ready(Interest::READABLE) => ready.is_ok_and(|ready| !ready.is_read_closed()),
        () = std::future::ready(()) => true,
    }
}
