//! A connection of HTTP/1.1.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioTimer;
use hyper_util::server::graceful::GracefulConnection;
use portcullis_edge::http::unread;

use super::{Answering, MOST_BUFFERED};
use crate::connections::{TimedStream, Watched};

/// Serves the requests of a connection, one after the other.
pub(crate) fn serve(
    stream: TimedStream,
    answering: Answering,
) -> impl GracefulConnection<Error = hyper::Error> {
    let head_patience = answering.head_patience();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answering, place) = (answering.clone(), &answering.place);
        let must_give_way = place.must_give_way();
        // Now, and not once the future is polled: what is read from here on is not the head any more.
        let busy = Arc::clone(place).begin();
        let unanswered = place.unanswered();
        async move {
            let Some(busy) = busy else {
                // The task is about to be aborted.
                return std::future::pending().await;
            };
            if must_give_way {
                tokio::task::yield_now().await;
            }
            // Nobody waits on a place of the reserve.
            let patience = if answering.place.is_reserved() { Duration::ZERO } else { unread::PATIENCE };
            let answered = answering.answer(request, patience).await?;
            unanswered.answered();
            Ok::<_, Infallible>(answered.map(|body| Watched::new(body, busy)))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_patience)
        .max_buf_size(MOST_BUFFERED as usize)
        .serve_connection(stream, service)
}
