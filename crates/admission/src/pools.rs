//! The threads and the memory that all tenants share.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::blocking::blocking;
use crate::budget::{Budget, Shares};
use crate::turn::turn_in_time;
use crate::unfinished::Unfinished;
use crate::workers::Workers;

/// The threads that all tenants share, and the memory for answers.
pub struct Pools {
    /// The memory for answers that clients have not read yet.
    pub answers: Arc<Budget>,
    pub(crate) lookups: Arc<Semaphore>,
    pub(crate) writes: Arc<Semaphore>,
    webhooks: Arc<Semaphore>,
    pub(crate) readers: Arc<Workers>,
}

/// Threads for each kind of work. Tokio has 512: what is left is the administrator's, and the gateway's own.
const LOOKUPS: usize = 128;
const WRITES: usize = 256;
const WEBHOOKS: usize = 64;

impl Pools {
    /// Prepares the pools. Threads are started when there is something to do. `answer_bytes` is the memory for answers, of which a
    /// tenant gets a quarter, and the tokens of a sender half of that. The administrator has as much as a tenant, apart.
    pub fn new(answer_bytes: usize) -> Arc<Self> {
        let (quarter, eighth) = (answer_bytes / 4, answer_bytes / 8);
        let answers = Shares { all: answer_bytes, each: quarter, sender: eighth, operator: quarter };
        let of = |threads| Arc::new(Semaphore::new(threads));
        Arc::new(Pools {
            answers: Budget::new(answers),
            lookups: of(LOOKUPS),
            writes: of(WRITES),
            webhooks: of(WEBHOOKS),
            readers: Workers::for_reads(),
        })
    }

    /// Runs the work of a webhook, which may concern several tenants.
    ///
    /// # Errors
    /// As [`blocking`], and [`Unfinished::Overloaded`] after 10 seconds without a thread.
    pub async fn webhook<T, E>(&self, work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unfinished> + Send + 'static,
    {
        let turn = turn_in_time(&self.webhooks, 1).await?;
        blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }
}
