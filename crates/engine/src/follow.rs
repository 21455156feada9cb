//! Following what other gateways write to a ledger that they share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_host::ErrorChain;
use portcullis_ledger::{FeedPosition, ListId};
use tracing::{error, info};

use crate::directory::Directory;
use crate::live::{Followed, LiveList};
use crate::tenant::Tenant;

/// How often the ledger is asked what changed.
const EVERY: Duration = Duration::from_millis(20);
/// How often it is asked while it can't be reached.
const RETRY: Duration = Duration::from_millis(250);
/// How often the log repeats that it can't be reached.
const AGAIN: Duration = Duration::from_secs(60);

/// How far behind this gateway may be.
#[derive(Debug, Default)]
pub(crate) struct Staleness {
    /// When the last look began after which everything that it found was in the plugins.
    caught_up: Mutex<Option<Instant>>,
}

impl Staleness {
    fn caught_up(&self, looked: Instant) {
        *self.caught_up.lock() = Some(looked);
    }

    /// How long ago everything was known that any gateway had written; `None` before the first look.
    pub(crate) fn age(&self) -> Option<Duration> {
        self.caught_up.lock().map(|looked| looked.elapsed())
    }
}

/// Starts the thread that follows, which ends when the engine is closed. Does nothing if nobody else writes to the ledger.
pub(crate) fn start(directory: &Arc<Directory>) -> std::io::Result<()> {
    if !directory.context.ledger.is_shared() {
        return Ok(());
    }
    let directory = Arc::downgrade(directory);
    thread::Builder::new().name("portcullis-follow".to_owned()).spawn(move || run(&directory)).map(drop)
}

fn run(directory: &Weak<Directory>) {
    let mut follower = Follower::default();
    loop {
        let Some(directory) = directory.upgrade() else { return };
        let Ok(operation) = directory.context.lifecycle.begin() else { return };
        let looked = Instant::now();
        let wait = match follower.look(&directory) {
            true => {
                directory.context.staleness.caught_up(looked);
                EVERY
            }
            false => RETRY,
        };
        drop((operation, directory));
        thread::sleep(wait);
    }
}

/// What is known of the others' writes.
#[derive(Default)]
struct Follower {
    position: FeedPosition,
    /// Lists that changed, and whose plugins could not follow yet.
    behind: HashSet<ListId>,
    /// When the log last said that the ledger can't be reached.
    reported: Option<Instant>,
}

impl Follower {
    /// Looks once. Returns whether all plugins have what the look found.
    fn look(&mut self, directory: &Directory) -> bool {
        match directory.context.ledger.changed_lists(&mut self.position) {
            Ok(changed) => {
                if self.reported.take().is_some() {
                    info!("the ledger can be reached again");
                }
                self.behind.extend(changed.into_iter().map(|changed| changed.list));
            }
            Err(error) => {
                if self.reported.is_none_or(|at| at.elapsed() > AGAIN) {
                    error!(
                        error = ErrorChain(&error).to_string(),
                        "what other gateways write is not known: checks are answered from memory"
                    );
                    self.reported = Some(Instant::now());
                }
                return false;
            }
        }
        if !self.behind.is_empty() {
            let lists = lists(directory);
            self.behind.retain(|id| lists.get(id).is_some_and(|(tenant, list)| !follow(tenant, list)));
        }
        self.behind.is_empty()
    }
}

/// The lists in service by their ids in the ledger.
fn lists(directory: &Directory) -> HashMap<ListId, (Arc<Tenant>, Arc<LiveList>)> {
    let mut lists = HashMap::new();
    for tenant in directory.tenants().values() {
        let Some(members) = tenant.members.load_full() else { continue };
        for list in members.lists() {
            lists.insert(list.list().id(), (Arc::clone(tenant), Arc::clone(list)));
        }
    }
    lists
}

/// Brings a list's plugin up to date. Returns whether it is, or will be without further ado.
fn follow(tenant: &Arc<Tenant>, list: &Arc<LiveList>) -> bool {
    match list.catch_up() {
        Followed::Changed => {
            tenant.announce([list]);
            true
        }
        Followed::Already | Followed::NotServing => true,
        Followed::LedgerAway => false,
    }
}
