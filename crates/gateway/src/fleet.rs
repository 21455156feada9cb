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

/// At how many looks in a row another gateway has this one's name before the log says so. One that was killed and started again sees itself
/// for four seconds.
const SAME_NAME: u32 = 4;

/// The most differences that are logged at once.
const MOST_LINES: usize = 20;

/// A setting, and another gateway where it is another.
type Difference = (String, String);

/// What is known of the others.
#[derive(Default)]
struct Known {
    /// The differences that the last look found.
    found: BTreeSet<Difference>,
    /// Those that the look before it had found, too. The log has named them.
    warned: BTreeSet<Difference>,
    /// At how many looks in a row, this one included, another live gateway had the name of this one.
    same_name: u32,
}

/// What this gateway says of itself, and what it said of the others in the log.
pub(crate) struct Fleet {
    description: Mutex<Description>,
    known: Mutex<Known>,
    /// Whether the others could not be asked for last.
    is_away: AtomicBool,
}

impl Fleet {
    pub(crate) fn new(config: &Config) -> Self {
        let description =
            Description { program: env!("CARGO_PKG_VERSION").to_owned(), settings: config.compared(config) };
        Fleet {
            description: Mutex::new(description),
            known: Mutex::default(),
            is_away: AtomicBool::new(false),
        }
    }

    /// Another configuration file is in force, as far as it needs no restart.
    pub(crate) fn reconfigured(&self, config: &Config, at_start: &Config) {
        self.description.lock().settings = config.compared(at_start);
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
        let own = fleet.nodes.iter().find(|node| node.is_self).map(|node| &node.name);
        let others = fleet.nodes.iter().filter(|node| node.is_live && !node.is_self);
        let is_same_name = others.map(|node| Some(&node.name)).any(|name| name == own);
        let differences = fleet.differences();
        let found: BTreeSet<Difference> = differences
            .iter()
            .flat_map(|(setting, nodes)| nodes.iter().map(|node| ((*setting).to_owned(), (*node).to_owned())))
            .collect();
        let mut known = self.known.lock();
        // All gateways may be about to get another file.
        let lasting: BTreeSet<Difference> = found.intersection(&known.found).cloned().collect();
        let settings: BTreeSet<&str> = lasting.iter().map(|(setting, _)| setting.as_str()).collect();
        gateway.metrics.set_fleet(fleet.live(), settings.len());
        let news: Vec<&Difference> = lasting.difference(&known.warned).collect();
        for (setting, node) in news.iter().take(MOST_LINES) {
            warn!("THE CONFIGURATION FILES DIFFER: {setting} is not the same at {node}");
        }
        if let Some(more) = news.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
            warn!(
                "THE CONFIGURATION FILES DIFFER in {more} more settings: `portcullis fleet status` names them"
            );
        }
        if found.is_empty() && !known.warned.is_empty() {
            info!("the configuration files of all gateways have the same settings again");
        }
        let same_name = if is_same_name { known.same_name.saturating_add(1) } else { 0 };
        if let (SAME_NAME, Some(name)) = (same_name, own) {
            warn!(
                "another gateway has the name of this one, {name}: set fleet.node to a name of its own at one of them"
            );
        }
        *known = Known { found, warned: lasting, same_name };
        Ok(())
    }
}
