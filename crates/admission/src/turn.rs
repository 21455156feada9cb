//! A turn, and waiting for it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;

use crate::unfinished::Unfinished;

/// A turn, or several, until it is dropped.
pub(crate) type Turn = OwnedSemaphorePermit;

/// No turn came in time, or too many waited for one already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no turn came in time")]
pub struct Overdue;

/// How long a request waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for so many turns until `deadline`. The future may be polled outside of the runtime.
pub(crate) async fn turn_by(
    turns: &Arc<Semaphore>,
    count: u32,
    runtime: &Handle,
    deadline: Instant,
) -> Result<Turn, Overdue> {
    let turn = {
        let _entered = runtime.enter();
        timeout_at(deadline.into(), Arc::clone(turns).acquire_many_owned(count))
    };
    turn.await.map_err(|_| Overdue)?.map_err(|_| Overdue)
}

/// Waits for so many turns, for as long as a request may wait.
pub(crate) async fn turn_in_time(turns: &Arc<Semaphore>, count: u32) -> Result<Turn, Unfinished> {
    Ok(turn_by(turns, count, &Handle::current(), Instant::now() + PATIENCE).await?)
}
