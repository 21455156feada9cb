//! Accepting connections, and serving them.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request};
use axum::response::IntoResponse as _;
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown};
use portcullis_admission::LogLimit;
use tokio::io::Interest;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tracing::{debug, warn};

use portcullis_edge::http::ApiError;
use portcullis_edge::http::peer::Peer;
use portcullis_edge::http::route::PREFIX;
use portcullis_edge::http::unread;
use portcullis_native::{Answered, Service};

use crate::connections::descriptors::REMEDY;
use crate::connections::{Connections, Place, TimedStream, WAIT, Watched};

/// How long a connection may be idle before the head of the next request has arrived.
const HEAD_PATIENCE: Duration = Duration::from_secs(75);
/// The same for connections of the reserve.
const HEAD_PATIENCE_OF_RESERVE: Duration = Duration::from_secs(5);
/// How much of a response the kernel takes on each connection, in bytes; Linux reserves twice as much.
///
/// Left to itself, it takes up to 4 MiB: 140 clients that read nothing had answers of 600 MB made at once. So much is enough for 5 MB a second
/// to a client that is 100 ms away.
const SEND_BUFFER: u32 = 256 << 10;
/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;
/// The pause after a failed `accept`, which usually means that no file descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The most bytes that a connection buffers, in each direction. The head of a request must fit into it, or gets 431.
///
/// Anybody can fill it, on as many connections as there may be. It is what Node and HAProxy allow; nginx allows lines of 8 KiB.
const MOST_BUFFERED: usize = 16 << 10;

/// Lines about connections that could not be accepted.
static FAILED: LogLimit = LogLimit::new(5);

/// Listens on an address.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // A gateway that is restarted gets its address at once.
    socket.set_reuseaddr(true)?;
    // The connections inherit it.
    socket.set_send_buffer_size(SEND_BUFFER)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until `stopping` changes, then waits for the requests in progress.
///
/// A client that takes nothing of a response for `patience` is disconnected.
pub(crate) async fn run(
    listener: TcpListener,
    service: Service,
    connections: Arc<Connections>,
    patience: Duration,
    mut stopping: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    // Without a place, the connection is closed at once.
                    if let Some(place) = connections.admit(from.ip()) {
                        connection(stream, from.ip(), place, patience, &service, &graceful);
                    }
                }
                Err(error) => {
                    let idle_closed = connections.make_room();
                    if FAILED.admits() {
                        let suppressed = FAILED.suppressed();
                        warn!(%error, idle_closed, suppressed, "can't accept connections: {REMEDY}");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = stopping.changed() => break,
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

fn connection(
    stream: TcpStream,
    from: IpAddr,
    place: Place,
    patience: Duration,
    service: &Service,
    graceful: &GracefulShutdown,
) {
    let (place, service, watcher) = (Arc::new(place), service.clone(), graceful.watcher());
    let of_task = Arc::clone(&place);
    let task = tokio::spawn(async move {
        if place.is_slowed() && !is_patient(&stream).await {
            return;
        }
        if let Err(error) = watcher.watch(serve(stream, from, place, patience, service)).await {
            // Mostly clients that disconnect or don't speak HTTP.
            debug!(%error, "a connection failed");
        }
    });
    of_task.served_by(task.abort_handle());
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

fn serve(
    stream: TcpStream,
    from: IpAddr,
    place: Arc<Place>,
    patience: Duration,
    service: Service,
) -> impl GracefulConnection<Error = hyper::Error> {
    // Responses are small and written at once, so Nagle's algorithm would only delay them.
    let _ = stream.set_nodelay(true);
    let head_patience = if place.is_reserved() { HEAD_PATIENCE_OF_RESERVE } else { HEAD_PATIENCE };
    let stream = TimedStream::new(stream, Arc::clone(&place), patience);
    let service = service_fn(move |request: Request<Incoming>| {
        let (service, is_reserved) = (service.clone(), place.is_reserved());
        let must_give_way = place.must_give_way();
        // Now, and not once the future is polled: what is read from here on is not the head any more.
        let busy = Arc::clone(&place).begin();
        let unanswered = place.unanswered();
        async move {
            let Some(busy) = busy else {
                // The task is about to be aborted.
                return std::future::pending().await;
            };
            if must_give_way {
                tokio::task::yield_now().await;
            }
            let answered = if is_reserved && !is_for_operators(request.uri().path()) {
                too_many()
            } else {
                // Nobody waits on a place of the reserve.
                let patience = if is_reserved { Duration::ZERO } else { unread::PATIENCE };
                service.call(request, Peer(from), patience).await?
            };
            unanswered.answered();
            Ok::<_, Infallible>(answered.map(|body| Watched::new(body, busy)))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_patience)
        .max_buf_size(MOST_BUFFERED)
        .serve_connection(stream, service)
}

/// Whether a path is for health checks or the administrator, which have a reserve of connections.
fn is_for_operators(path: &str) -> bool {
    let admin = path.strip_prefix(PREFIX).is_some_and(|path| path.starts_with("/admin/"));
    admin || matches!(path, "/healthz" | "/readyz" | "/metrics")
}

/// The response to all other requests on connections of the reserve.
fn too_many() -> Answered {
    let error = ApiError::unavailable("there are too many connections: retry in a moment, with fewer");
    let mut response = error.into_response();
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response.map(Either::Right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_kernel_takes_little_of_a_response_that_is_not_read() {
        let listener = bind(([127, 0, 0, 1], 0).into()).unwrap();
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        stream.writable().await.unwrap();
        let mut taken = 0;
        while let Ok(written) = stream.try_write(&[0; 1 << 16]) {
            taken += written;
        }
        assert!((1..1 << 20).contains(&taken), "{taken} bytes");
    }
}
