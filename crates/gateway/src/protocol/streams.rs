//! The tasks of a connection's requests over HTTP/2.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::Executor;
use portcullis_process_metrics::http::{Closed, closed};
use tokio::time::{Instant, Sleep, sleep_until};

use super::pace::Pace;

tokio::task_local! {
    /// That of the response to the request whose task this is.
    static PACE: Arc<Pace>;
}

/// The pace of the response to the request whose task this is.
pub(super) fn pace() -> Option<Arc<Pace>> {
    PACE.try_with(Arc::clone).ok()
}

/// Runs each request of a connection in a task of its own, and ends those whose client takes nothing of the response for too long. To the
/// client, such a request is reset; the connection and its other requests go on.
#[derive(Clone)]
pub(super) struct Streams {
    patience: Duration,
    /// The number of tasks.
    tasks: Arc<AtomicUsize>,
}

impl Streams {
    pub(super) fn new(patience: Duration) -> Self {
        Streams { patience, tasks: Arc::default() }
    }

    /// Whether all tasks have ended. Ends of their responses may still be on their way.
    pub(super) fn are_done(&self) -> bool {
        self.tasks.load(Ordering::Relaxed) == 0
    }
}

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, request: F) {
        self.tasks.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(Timed {
            request: Box::pin(request),
            pace: Arc::new(Pace::new(self.patience)),
            due: None,
            _task: Task(Arc::clone(&self.tasks)),
        });
    }
}

/// A task, counted until it is dropped.
struct Task(Arc<AtomicUsize>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that ends once its response has waited for the client for too long.
struct Timed<F> {
    request: Pin<Box<F>>,
    pace: Arc<Pace>,
    due: Option<Pin<Box<Sleep>>>,
    _task: Task,
}

impl<F: Future<Output = ()>> Future for Timed<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let Timed { request, pace, due, .. } = &mut *self;
        if PACE.sync_scope(Arc::clone(pace), || request.as_mut().poll(context)).is_ready() {
            return Poll::Ready(());
        }
        let Some(deadline) = pace.deadline().map(Instant::from_std) else {
            *due = None;
            return Poll::Pending;
        };
        let due = due.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if due.deadline() != deadline {
            due.as_mut().reset(deadline);
        }
        if due.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        closed(Closed::Stalled, 1);
        Poll::Ready(())
    }
}
