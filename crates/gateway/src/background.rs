//! What runs beside requests, and writes to the ledger.

use std::sync::Arc;
use std::time::Duration;

use portcullis_edge::gateway::Gateway;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::debug;

use crate::fleet::Fleet;
use crate::sources::Sources;
use crate::usage::{self, Usage};
use crate::{deliveries, others, visits};

/// How long giving up a lease may take.
const GIVING_UP: Duration = Duration::from_secs(1);

/// The tasks that run beside requests.
pub(crate) struct Background {
    telling: JoinHandle<()>,
    tasks: Vec<JoinHandle<()>>,
    sources: Arc<Sources>,
    usage: Arc<Usage>,
}

impl Background {
    /// Starts them.
    pub(crate) fn start(
        gateway: &Arc<Gateway>,
        fleet: Arc<Fleet>,
        sources: Arc<Sources>,
        usage: Arc<Usage>,
    ) -> Self {
        let telling = tokio::spawn(portcullis_proxy::send_changes(Arc::clone(gateway)));
        let mut tasks = vec![
            tokio::spawn(visits::run(Arc::clone(gateway))),
            tokio::spawn(deliveries::run(Arc::clone(gateway))),
            tokio::spawn(usage::run(Arc::clone(&usage), Arc::clone(gateway))),
        ];
        if gateway.engine.is_shared() {
            tasks.push(tokio::spawn(others::follow(Arc::clone(gateway))));
            tasks.push(tokio::spawn(fleet.run(Arc::clone(gateway))));
        }
        Background { telling, tasks, sources, usage }
    }

    /// Ends them, and saves what they would have saved.
    pub(crate) async fn end(self, gateway: &Arc<Gateway>) {
        self.telling.abort();
        let _ = self.telling.await;
        if timeout(GIVING_UP, portcullis_proxy::hand_over_changes(gateway)).await.is_err() {
            debug!("the lease for events is left to end by itself");
        }
        self.tasks.iter().for_each(JoinHandle::abort);
        for task in self.tasks {
            let _ = task.await;
        }
        self.sources.pull(&gateway.engine, &[], &Handle::current());
        let (gateway, usage) = (Arc::clone(gateway), self.usage);
        let write_down = move || {
            visits::write_down(&gateway);
            deliveries::keep(&gateway.engine);
            usage.write_down(&gateway);
        };
        let _ = tokio::task::spawn_blocking(write_down).await;
    }
}
