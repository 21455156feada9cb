//! Tells the other gateways of a fleet what this one is, and watches whether all have the same settings.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_edge::gateway::Gateway;
use portcullis_engine::{Error, WhenStale};
use portcullis_ledger::{self as ledger, Description};
use tracing::{debug, error, info, warn};

use crate::config::Config;

/// How often the others are told.
const PERIOD: Duration = Duration::from_secs(2);

/// How often it is looked at whether this gateway is stale.
const STALE_PERIOD: Duration = Duration::from_millis(500);

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
    /// The others that were live at the last look; `None` before the first.
    live: Option<BTreeSet<String>>,
    /// At how many looks in a row, this one included, another live gateway had the name of this one.
    same_name: u32,
}

/// What this gateway says of itself, and what it said of the others in the log.
pub(crate) struct Fleet {
    description: Mutex<Description>,
    known: Mutex<Known>,
    /// Whether the others could not be asked for last.
    is_away: AtomicBool,
    /// What this gateway does once it is stale.
    when_stale: WhenStale,
}

impl Fleet {
    pub(crate) fn new(config: &Config) -> Self {
        let description =
            Description { program: env!("CARGO_PKG_VERSION").to_owned(), settings: config.compared(config) };
        Fleet {
            description: Mutex::new(description),
            known: Mutex::default(),
            is_away: AtomicBool::new(false),
            when_stale: config.fleet.when_stale,
        }
    }

    /// Another configuration file is in force, as far as it needs no restart.
    pub(crate) fn reconfigured(&self, config: &Config, at_start: &Config) {
        self.description.lock().settings = config.compared(at_start);
    }

    /// Tells the others periodically, and says in the log whether this gateway is stale. Never returns.
    pub(crate) async fn run(self: Arc<Self>, gateway: Arc<Gateway>) {
        tokio::join!(self.meet_all(&gateway), watch_staleness(&gateway, self.when_stale));
    }

    async fn meet_all(self: &Arc<Self>, gateway: &Arc<Gateway>) {
        loop {
            let (fleet, at_work) = (Arc::clone(self), Arc::clone(gateway));
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
        // While nobody can be asked, or tell that it is live, it knows of itself alone.
        let alone = || gateway.metrics.set_fleet_nodes(1);
        let fleet = gateway.engine.blocking_fleet().inspect_err(|_| alone())?;
        if fleet.nodes.iter().any(|node| node.is_self && !node.is_live) {
            alone();
            return Ok(());
        }
        self.is_away.store(false, Ordering::Relaxed);
        if was_away {
            // The others may have yet to say that they are live.
            return Ok(());
        }
        let own = fleet.nodes.iter().find(|node| node.is_self).map(|node| &node.name);
        let others = fleet.nodes.iter().filter(|node| node.is_live && !node.is_self);
        let live: BTreeSet<String> = others.map(|node| node.name.clone()).collect();
        let is_same_name = own.is_some_and(|own| live.contains(own));
        let differences = fleet.differences();
        let found: BTreeSet<Difference> = differences
            .iter()
            .flat_map(|(setting, nodes)| nodes.iter().map(|node| ((*setting).to_owned(), (*node).to_owned())))
            .collect();
        let mut known = self.known.lock();
        // All gateways may be about to get another file.
        let lasting: BTreeSet<Difference> = found.intersection(&known.found).cloned().collect();
        let settings: BTreeSet<&str> = lasting.iter().map(|(setting, _)| setting.as_str()).collect();
        gateway.metrics.set_fleet_nodes(fleet.live());
        gateway.metrics.set_fleet_differences(settings.len());
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
        report_live(known.live.as_ref(), &live, &fleet);
        *known = Known { found, warned: lasting, live: Some(live), same_name };
        Ok(())
    }
}

/// Says which of the others came and went since the last look.
fn report_live(before: Option<&BTreeSet<String>>, live: &BTreeSet<String>, fleet: &ledger::Fleet) {
    let Some(before) = before else { return };
    for gone in before.difference(live).take(MOST_LINES) {
        // One that stops says so, and is no longer listed.
        match fleet.nodes.iter().any(|node| node.name == *gone) {
            true => warn!(
                node = gone,
                "another gateway has not been heard of for 4 seconds: it died, is frozen, or can't reach the database"
            ),
            false => info!(node = gone, "another gateway has stopped"),
        }
    }
    for came in live.difference(before).take(MOST_LINES) {
        info!(node = came, "another gateway is there");
    }
}

/// Says when this gateway no longer knows what the others write, and what it does about it. Never returns.
async fn watch_staleness(gateway: &Gateway, when_stale: WhenStale) {
    let mut was_stale = false;
    loop {
        tokio::time::sleep(STALE_PERIOD).await;
        let stale_for = gateway.engine.stale_for();
        match (was_stale, stale_for) {
            (false, Some(stale_for)) => error!(
                staleness_seconds = stale_for.as_secs(),
                "THIS GATEWAY IS STALE: it does not know what others wrote lately, and {}",
                match when_stale {
                    WhenStale::Answer => "answers checks from memory (fleet.when_stale = \"answer\")",
                    WhenStale::Unready => {
                        "answers checks from memory, but tells balancers that it is not ready (fleet.when_stale = \"unready\")"
                    }
                    WhenStale::Closed => "blocks all messages (fleet.when_stale = \"closed\")",
                }
            ),
            (true, None) => info!("this gateway is no longer stale: it knows again what others write"),
            _ => {}
        }
        was_stale = stale_for.is_some();
    }
}
