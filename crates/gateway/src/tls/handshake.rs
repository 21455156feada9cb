//! Opening TLS on a connection.
//!
//! There is no limit of its own to how many handshakes are in progress: few clients that send nothing would use it up. Until its first
//! request, a connection counts as idle, and as one that has never asked: it is the first to make room for others, and an address has its
//! share of them.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// How long a handshake may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// The first byte of what a client of TLS sends: a record of the handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// The most bytes that are read of a request which is refused.
const MOST_DISCARDED: usize = 4 << 10;

/// Opens TLS. Returns `None` for a client that sends something else, and tells it so.
///
/// # Errors
/// Those of TLS and of the stream.
pub(crate) async fn open(
    mut stream: TcpStream,
    acceptor: &TlsAcceptor,
) -> io::Result<Option<TlsStream<TcpStream>>> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(None);
    }
    if first == [HANDSHAKE] {
        return acceptor.accept(stream).await.map(Some);
    }
    // What was not read when the connection is closed would keep the client from reading the response.
    discard(&mut stream).await?;
    stream.write_all(refusal().as_bytes()).await?;
    stream.shutdown().await?;
    discard(&mut stream).await?;
    Ok(None)
}

/// Reads what has arrived, or waits for it, and drops it. Returns its length.
async fn discard(stream: &mut TcpStream) -> io::Result<usize> {
    let mut dropped = vec![0; MOST_DISCARDED];
    stream.read(&mut dropped).await
}

/// The body of the response to a request without TLS.
const REFUSAL: &str = r#"{"error":{"code":"invalid_request","message":"this address speaks TLS: write https:// instead of http://"}}"#;

fn refusal() -> String {
    format!(
        "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{REFUSAL}",
        REFUSAL.len()
    )
}
