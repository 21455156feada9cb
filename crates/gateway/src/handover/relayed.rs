//! Answers requests that the process before relays.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};

use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use portcullis_edge::http::peer::Peer;
use portcullis_edge::http::unread;
use tokio::net::{UnixListener, UnixStream};
use tracing::{debug, warn};

use super::Door;
use super::relay::{CLIENT, client_of};

/// Answers requests on this socket. Never returns.
///
/// There are as many connections as the process before has, which bounds them, and the times of their clients.
pub(crate) async fn serve(listener: UnixListener, door: Door) {
    let own = rustix::process::geteuid().as_raw();
    loop {
        match listener.accept().await {
            Ok((stream, _)) if stream.peer_cred().is_ok_and(|peer| peer.uid() == own) => {
                tokio::spawn(connection(stream, door.clone()));
            }
            Ok(_) => warn!("another user's process tried to relay requests: refused"),
            Err(error) => {
                warn!(%error, "can't accept relayed requests; retrying");
                tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, door: Door) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        let client = request.headers_mut().remove(CLIENT);
        let client = client.as_ref().and_then(client_of);
        let peer = client.unwrap_or(Peer::Ip(IpAddr::V4(Ipv4Addr::UNSPECIFIED)));
        let door = door.clone();
        async move { Ok::<_, Infallible>(door.call(request, peer, unread::PATIENCE).await) }
    });
    let served =
        http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        debug!(%error, "a relayed request failed");
    }
}
