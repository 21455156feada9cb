//! Tells the other gateways of a fleet what this one is, and watches whether all have the same settings.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_edge::gateway::Gateway;
use portcullis_engine::Error;
use portcullis_ledger::Description;
use tracing::{debug, info, warn};

use crate::config::Config;

/// How often the others are told.
const PERIOD: Duration = Duration::from_secs(2);

/// What this gateway says of itself, and what it said of the others in the log.
pub(crate) struct Fleet {
    description: Mutex<Description>,
    /// The differences that the log named last, as they are shown.
    warned: Mutex<BTreeSet<String>>,
    /// Whether the others could not be asked for last.
    is_away: AtomicBool,
}

impl Fleet {
    pub(crate) fn new(config: &Config) -> Self {
        let description =
            Description { program: env!("CARGO_PKG_VERSION").to_owned(), settings: config.compared() };
        Fleet {
            description: Mutex::new(description),
            warned: Mutex::default(),
            is_away: AtomicBool::new(false),
        }
    }

    /// Another configuration file is in force.
    pub(crate) fn reconfigured(&self, config: &Config) {
        self.description.lock().settings = config.compared();
    }

    /// Tells the others periodically. Never returns.
    pub(crate) async fn run(self: Arc<Self>, gateway: Arc<Gateway>) {
        loop {
            let (fleet, at_work) = (Arc::clone(&self), Arc::clone(&gateway));
            let met = tokio::task::spawn_blocking(move || fleet.meet(&at_work)).await;
            if let Ok(Err(error)) = met {
                // That the ledger can't be reached is reported elsewhere.
                debug!(%error, "can't compare this gateway's settings with those of the others; retrying");
            }
            tokio::time::sleep(PERIOD).await;
        }
    }

    fn meet(&self, gateway: &Gateway) -> Result<(), Error> {
        let description = self.description.lock().clone();
        gateway.engine.describe(&description);
        let was_away = self.is_away.swap(true, Ordering::Relaxed);
        let fleet = gateway.engine.blocking_fleet()?;
        self.is_away.store(false, Ordering::Relaxed);
        if was_away {
            // The others may have yet to say that they are live.
            return Ok(());
        }
        let differences = fleet.differences();
        gateway.metrics.set_fleet(fleet.live(), differences.len());
        let told: BTreeSet<String> = differences
            .iter()
            .map(|(setting, nodes)| {
                format!("{setting} at {}", nodes.iter().copied().collect::<Vec<_>>().join(", "))
            })
            .collect();
        let mut warned = self.warned.lock();
        for difference in told.difference(&warned) {
            warn!("THE CONFIGURATION FILES DIFFER: this gateway has another {difference}");
        }
        if told.is_empty() && !warned.is_empty() {
            info!("the configuration files of all gateways have the same settings again");
        }
        *warned = told;
        Ok(())
    }
}
