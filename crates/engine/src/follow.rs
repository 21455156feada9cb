//! Following what other gateways write to a ledger that they share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_host::ErrorChain;
use portcullis_ledger::{ChangedList, FeedPosition, LedgerError, ListId};
use tracing::{error, info};

use crate::directory::Directory;
use crate::live::{Followed, LiveList};
use crate::reported::Reported;
use crate::staleness::Staleness;
use crate::tenant::Tenant;

/// How often the ledger is asked what changed.
const EVERY: Duration = Duration::from_millis(20);
/// How often it is asked while it can't be reached.
const RETRY: Duration = Duration::from_millis(250);
/// How many lists one thread brings up to date before others help.
const LISTS_OF_THREAD: usize = 16;
/// The most threads that bring lists up to date.
const THREADS: usize = 4;

/// Starts the thread that follows, which ends when the engine is closed. Does nothing if nobody else writes to the ledger.
pub(crate) fn start(directory: &Arc<Directory>) -> std::io::Result<()> {
    let staleness = &directory.context.staleness;
    if !staleness.is_shared() {
        return Ok(());
    }
    let (directory, staleness) = (Arc::downgrade(directory), Arc::clone(staleness));
    thread::Builder::new().name("portcullis-follow".to_owned()).spawn(move || run(&directory, &staleness))?;
    Ok(())
}

fn run(directory: &Weak<Directory>, staleness: &Staleness) {
    let mut follower = Follower::default();
    let mut wait = EVERY;
    while staleness.pause(wait) {
        let Some(directory) = directory.upgrade() else { return };
        let Ok(operation) = directory.context.lifecycle.begin() else { return };
        let looked = Instant::now();
        wait = match follower.look(&directory) {
            true => {
                staleness.caught_up(looked);
                EVERY.saturating_sub(looked.elapsed())
            }
            false => RETRY,
        };
        drop((operation, directory));
    }
}

/// What is known of the others' writes.
#[derive(Default)]
struct Follower {
    position: FeedPosition,
    /// Lists that changed, and whose plugins could not follow yet.
    behind: HashSet<ListId>,
    reported: Reported<()>,
}

impl Follower {
    /// Looks once. Returns whether all plugins have what the look found.
    fn look(&mut self, directory: &Directory) -> bool {
        let staleness = &directory.context.staleness;
        // Before the look, which finds what was written before.
        let behind = staleness.take_behind();
        self.behind.extend(behind);
        let lists = match self.ask(directory) {
            Ok(lists) => lists,
            Err(error) => {
                if self.reported.is_due(()) {
                    error!(
                        error = ErrorChain(&error).to_string(),
                        "THE LEDGER CAN'T BE REACHED: checks are answered from memory, and writes are refused"
                    );
                }
                staleness.asked(Some(error));
                // The next look begins anew: another server may have taken over.
                self.position = FeedPosition::default();
                return false;
            }
        };
        if self.reported.is_over() {
            info!("the ledger can be reached again");
        }
        staleness.asked(None);
        staleness.set_server(self.position.server);
        if !self.behind.is_empty() {
            self.follow(&lists.unwrap_or_else(|| self::lists(directory)));
        }
        self.behind.is_empty()
    }

    /// Asks the ledger what changed, and whether it has lost anything. Returns the lists in service, if it needed them.
    fn ask(&mut self, directory: &Directory) -> Result<Option<Lists>, LedgerError> {
        let ledger = &directory.context.ledger;
        let staleness = &directory.context.staleness;
        let changed = ledger.changed_lists(&mut self.position)?;
        if !self.position.restarted {
            staleness.continued();
            if changed.is_empty() && !staleness.has_lost() {
                return Ok(None);
            }
        }
        let lists = lists(directory);
        let mut lost = HashSet::new();
        if self.position.restarted {
            let mut positions = Vec::new();
            for (id, (_, list)) in &lists {
                match list.positions() {
                    Some(of_list) => positions.extend(of_list),
                    None => lost.extend([*id]),
                }
            }
            lost.extend(ledger.forked(&positions)?);
        }
        lost.extend(staleness.take_lost());
        rebuild(&lists, &lost);
        let is_behind = |changed: &&ChangedList| {
            // This gateway's own writes are named, too, and after a restart all lists.
            lists.get(&changed.list).is_some_and(|(_, list)| list.sequence() != changed.sequence.get())
        };
        self.behind.extend(changed.iter().filter(is_behind).map(|changed| changed.list));
        Ok(Some(lists))
    }

    /// Brings the lists that changed up to date, and leaves those that could not follow.
    fn follow(&mut self, lists: &Lists) {
        // A list that is not there yet is filled from what the ledger has when it is put.
        let changed: Vec<_> = self.behind.drain().filter_map(|id| lists.get(&id)).collect();
        let threads = changed.len().div_ceil(LISTS_OF_THREAD).clamp(1, THREADS);
        let share = changed.len().div_ceil(threads).max(1);
        let follow = |lists: &[&(Arc<Tenant>, Arc<LiveList>)]| -> Vec<ListId> {
            let left = lists.iter().filter(|(tenant, list)| !follow(tenant, list));
            left.map(|(_, list)| list.list().id()).collect()
        };
        let left: Vec<ListId> = thread::scope(|scope| {
            let mut shares = changed.chunks(share);
            let own = shares.next().unwrap_or_default();
            let others: Vec<_> = shares
                .map(|lists| {
                    let job = move || follow(lists);
                    // Without a thread, the lists wait for the next look.
                    thread::Builder::new().spawn_scoped(scope, job).map_err(|_| lists)
                })
                .collect();
            let mut left = follow(own);
            for other in others {
                match other {
                    Ok(thread) => left.extend(thread.join().unwrap_or_default()),
                    Err(lists) => left.extend(lists.iter().map(|(_, list)| list.list().id())),
                }
            }
            left
        });
        self.behind.extend(left);
    }
}

type Lists = HashMap<ListId, (Arc<Tenant>, Arc<LiveList>)>;

/// The lists in service by their ids in the ledger.
fn lists(directory: &Directory) -> Lists {
    let mut lists = Lists::new();
    for tenant in directory.tenants().values() {
        let Some(members) = tenant.members.load_full() else { continue };
        for list in members.lists() {
            lists.insert(list.list().id(), (Arc::clone(tenant), Arc::clone(list)));
        }
    }
    lists
}

/// Fills the plugins of these lists again, of which the ledger has lost changes.
fn rebuild(lists: &Lists, lost: &HashSet<ListId>) {
    for (tenant, list) in lost.iter().filter_map(|id| lists.get(id)) {
        list.rebuild(tenant.announcer());
    }
}

/// Brings a list's plugin up to date. Returns whether it is, or will be without further ado.
fn follow(tenant: &Arc<Tenant>, list: &Arc<LiveList>) -> bool {
    if list.is_slow() {
        // Other tenants' lists don't wait for this one.
        list.follow_in_turn(tenant.announcer());
        return true;
    }
    match list.catch_up() {
        Followed::Changed => {
            tenant.announce([list]);
            true
        }
        Followed::Already | Followed::NotServing | Followed::Rebuilding => true,
        Followed::LedgerAway => false,
    }
}
