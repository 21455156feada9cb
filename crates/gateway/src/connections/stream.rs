//! A connection's stream, which fails if the client does not take what is written, or does not finish the head of a request.

use std::future::{Future as _, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::time::Sleep;

use portcullis_process_metrics::http::{Closed, closed};

use super::client_stream::ClientStream;
use super::{Busy, Place};

/// A stream whose writes fail with [`TimedOut`](io::ErrorKind::TimedOut) if the client takes nothing for too long, or too little, and
/// its reads if the head of a request arrives too slowly.
///
/// A client may keep a write waiting for `patience` in all. Each 4 KiB that it takes give it another second, up to `patience`: so it
/// can neither hold a response for good nor take it byte by byte.
///
/// A connection may be idle for long, but not with part of a head: that is in memory, and nobody knows yet whose it is.
///
/// A client that sends faster than it is read gives way to others every [`MOST_READS`] reads.
pub(crate) struct TimedStream {
    stream: TokioIo<ClientStream>,
    /// What was read of the first bytes, to see which protocol they are of, and is yet to be served.
    seen: Seen,
    /// Whether several requests may be in progress at once.
    is_multiplexed: bool,
    /// Whether a flush waits: that of TLS does, for the socket.
    is_flushing: bool,
    place: Arc<Place>,
    patience: Duration,
    /// How long writes may still wait.
    credit: Duration,
    blocked: Option<Blocked>,
    /// The head that is arriving.
    head: Head,
    /// The number of requests when it began.
    requests: u32,
    /// The reads that got something since the last one that got nothing.
    reads: u32,
}

/// The head of the next request.
enum Head {
    /// Nothing of it has arrived.
    Awaited,
    Begun,
    /// It did not arrive at once.
    Due(Pin<Box<Sleep>>),
}

/// A write that waits.
struct Blocked {
    since: Instant,
    due: Pin<Box<Sleep>>,
    _busy: Option<Busy>,
}

/// What a client that is slow must take, in bytes per second. The slowest mobile lines give more.
const LEAST_RATE: u32 = 4096;
/// How long the head of a request may take from its first byte on.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// The most reads in a row, of up to 16 KiB each: with hashing, which a webhook's body needs, some hundred microseconds. A request whose
/// head and body are sent apart takes two. Tokio's own limit of 128 is reached only within one poll, and hyper ends its polls before,
/// but wakes its task at once: see [`Place::must_give_way`].
const MOST_READS: u32 = 4;

/// What each connection of HTTP/2 begins with (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The first bytes of a connection, and which of them are yet to be served.
#[derive(Default)]
struct Seen {
    bytes: [u8; PREFACE.len()],
    start: usize,
    end: usize,
}

impl TimedStream {
    pub(crate) fn new(stream: ClientStream, place: Arc<Place>, patience: Duration) -> Self {
        let (stream, requests) = (TokioIo::new(stream), place.requests());
        TimedStream {
            stream,
            seen: Seen::default(),
            is_multiplexed: false,
            is_flushing: false,
            place,
            patience,
            credit: patience,
            blocked: None,
            head: Head::Awaited,
            requests,
            reads: 0,
        }
    }

    /// Reads the first bytes, as many as it takes to see whether the client speaks HTTP/2 without having said so before.
    ///
    /// # Errors
    /// Those of the stream. If the client sends a part of the preface only, as those of the head of a request.
    pub(crate) async fn speaks_http2(&mut self) -> io::Result<bool> {
        loop {
            let seen = &self.seen.bytes[..self.seen.end];
            if seen.len() == PREFACE.len() || *seen != PREFACE[..seen.len()] {
                return Ok(seen == PREFACE);
            }
            let mut more = [0; PREFACE.len()];
            let rest = PREFACE.len() - seen.len();
            let read = poll_fn(|context| {
                let mut buffer = ReadBuf::new(&mut more[..rest]);
                ready!(self.poll_socket(context, buffer.unfilled()))?;
                Poll::Ready(io::Result::Ok(buffer.filled().len()))
            })
            .await?;
            if read == 0 {
                return Ok(false);
            }
            let end = self.seen.end + read;
            self.seen.bytes[self.seen.end..end].copy_from_slice(&more[..read]);
            self.seen.end = end;
        }
    }

    /// The stream, for a protocol that has several requests in progress at once, and limits of its own for their heads.
    pub(crate) fn multiplexed(self) -> Self {
        TimedStream { is_multiplexed: true, ..self }
    }

    fn poll_socket(&mut self, context: &mut Context<'_>, buffer: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        if self.reads == MOST_READS {
            self.reads = 0;
            // Wakes the task once the other sockets have been looked at.
            let _ = pin!(tokio::task::yield_now()).poll(context);
            return Poll::Pending;
        }
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        if outcome.is_ready() {
            self.reads += 1;
        } else {
            self.reads = 0;
            self.place.waited();
        }
        self.read(context, outcome)
    }

    /// Accounts for the outcome of a read.
    fn read(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
        if self.is_multiplexed {
            // Which bytes are of a head shows in the frames: see the protocol's own limits.
            return outcome;
        }
        let requests = self.place.requests();
        if self.requests != requests {
            (self.requests, self.head) = (requests, Head::Awaited);
        }
        if self.place.is_asking() {
            // It is part of the request's body.
            return outcome;
        }
        if outcome.is_ready() {
            if let Head::Awaited = self.head {
                self.head = Head::Begun;
            }
            return outcome;
        }
        if let Head::Begun = self.head {
            self.head = Head::Due(Box::pin(tokio::time::sleep(HEAD_TIME)));
        }
        if let Head::Due(due) = &mut self.head
            && due.as_mut().poll(context).is_ready()
        {
            closed(Closed::Late, 1);
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    /// Accounts for the outcome of a write.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(bytes)) => {
                // Nothing of this costs a client that takes what it gets.
                if let Some(blocked) = self.blocked.take() {
                    self.credit = self.credit.saturating_sub(blocked.since.elapsed());
                }
                if self.credit < self.patience {
                    let taken = u32::try_from(bytes).unwrap_or(u32::MAX);
                    let earned = Duration::from_secs(u64::from(taken)) / LEAST_RATE;
                    self.credit = self.patience.min(self.credit + earned);
                }
                Poll::Ready(Ok(bytes))
            }
            Poll::Pending => {
                let (place, credit) = (&self.place, self.credit);
                let blocked = self.blocked.get_or_insert_with(|| Blocked {
                    since: Instant::now(),
                    due: Box::pin(tokio::time::sleep(credit)),
                    _busy: Arc::clone(place).occupy(),
                });
                if blocked.due.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                closed(Closed::Stalled, 1);
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            failed => failed,
        }
    }
}

impl Read for TimedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let seen = &self.seen.bytes[self.seen.start..self.seen.end];
        if seen.is_empty() {
            return self.poll_socket(context, buffer);
        }
        let taken = seen.len().min(buffer.remaining());
        buffer.put_slice(&seen[..taken]);
        self.seen.start += taken;
        Poll::Ready(Ok(()))
    }
}

impl Write for TimedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.written(context, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_flush(context);
        if outcome.is_pending() || self.is_flushing {
            self.is_flushing = outcome.is_pending();
            return self.written(context, outcome.map_ok(|()| 0)).map_ok(|_| ());
        }
        outcome
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;

    use portcullis_edge::http::peer::{Peer, TrustedProxies};

    use super::super::Connections;
    use super::*;

    #[tokio::test]
    async fn a_client_that_sends_without_a_pause_gives_way() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let mut client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (socket, from) = listener.accept().await.unwrap();
        client.write_all(&[b'x'; 1024]).unwrap();
        let mut all = [0; 1024];
        while socket.peek(&mut all).await.unwrap() < all.len() {
            tokio::task::yield_now().await;
        }
        let connections = Arc::new(Connections::of(20, 20, TrustedProxies::default()));
        let place = Arc::new(connections.admit(Peer::Ip(from.ip())).unwrap());
        assert!(!place.must_give_way());
        let mut stream =
            TimedStream::new(ClientStream::Tcp(socket), Arc::clone(&place), Duration::from_secs(5));
        let mut reads = async || {
            poll_fn(|context| {
                let mut count = 0;
                loop {
                    let mut byte = [0];
                    let mut buffer = ReadBuf::new(&mut byte);
                    match Pin::new(&mut stream).poll_read(context, buffer.unfilled()) {
                        Poll::Ready(read) => read.unwrap(),
                        Poll::Pending => return Poll::Ready(count),
                    }
                    count += 1;
                }
            })
            .await
        };
        assert_eq!((reads().await, reads().await), (MOST_READS, MOST_READS));
        assert!(place.must_give_way(), "there was more to read");
    }
}
