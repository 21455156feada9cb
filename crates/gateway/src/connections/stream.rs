//! A connection's stream, which fails if the client does not take what is written, or does not finish the head of a request.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::Sleep;

use portcullis_edge::metrics::requests::{Closed, closed};

use super::{Busy, Place};

/// A stream whose writes fail with [`TimedOut`](io::ErrorKind::TimedOut) if the client takes nothing for too long, or too little, and
/// its reads if the head of a request arrives too slowly.
///
/// A client may keep a write waiting for `patience` in all. Each 4 KiB that it takes give it another second, up to `patience`: so it
/// can neither hold a response for good nor take it byte by byte.
///
/// A connection may be idle for long, but not with part of a head: that is in memory, and nobody knows yet whose it is.
pub(crate) struct TimedStream {
    stream: TokioIo<TcpStream>,
    place: Arc<Place>,
    patience: Duration,
    /// How long writes may still wait.
    credit: Duration,
    blocked: Option<Blocked>,
    /// The head that is arriving.
    head: Head,
    /// The number of requests when it began.
    requests: u32,
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

impl TimedStream {
    pub(crate) fn new(stream: TcpStream, place: Arc<Place>, patience: Duration) -> Self {
        let (stream, requests) = (TokioIo::new(stream), place.requests());
        TimedStream {
            stream,
            place,
            patience,
            credit: patience,
            blocked: None,
            head: Head::Awaited,
            requests,
        }
    }

    /// Accounts for the outcome of a read.
    fn read(&mut self, context: &mut Context<'_>, outcome: Poll<io::Result<()>>) -> Poll<io::Result<()>> {
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
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.read(context, outcome)
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
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
