//! Following what other gateways write to a ledger that they share.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_admission::Reported;
use portcullis_fleet::{EVERY, Presence, Progress, RETRY};
use portcullis_host::ErrorChain;
use portcullis_ledger::{ChangedList, FeedPosition, Ledger, LedgerError, ListId, Seq, ServerRun, Span};
use portcullis_tenant_settings::Acknowledge;
use tracing::{debug, error, info};

use crate::context::Context;
use crate::directory::Directory;
use crate::live::{Followed, LiveList};
use crate::tenant::Tenant;

/// How many lists one thread brings up to date before others help.
const LISTS_OF_THREAD: usize = 16;
/// The most threads that bring lists up to date.
const THREADS: usize = 4;
/// How many lists one query reads, and how many changes of each.
const LISTS_OF_QUERY: usize = 256;
const CHANGES_OF_QUERY: NonZeroUsize = NonZeroUsize::new(256).unwrap();
/// How often old changes are deleted.
const TRIM_EVERY: Duration = Duration::from_secs(60);

/// Starts the threads that follow, and that tell the others, which end when the engine is closed. Does nothing if nobody else writes to
/// the ledger.
pub(crate) fn start(directory: &Arc<Directory>) -> std::io::Result<()> {
    if !directory.context.staleness.is_shared() {
        return Ok(());
    }
    let mut presence = Presence::default();
    // Before a list is filled: what others write from now on waits for this engine.
    if let Err(error) = presence.tell(&directory.context.ledger, &directory.context.staleness) {
        not_told(error);
    }
    let mut follower = Follower::default();
    repeat(directory, "portcullis-follow", move |directory| follower.step(directory))?;
    repeat(directory, "portcullis-trim", |directory| trim(&directory.context.ledger))?;
    // The other threads may be busy for long.
    repeat(directory, "portcullis-presence", move |directory| {
        let context = &directory.context;
        let stepped = presence.step(&context.ledger, &context.staleness, &context.acknowledgements);
        stepped.unwrap_or_else(not_told)
    })
}

/// Deletes what a shared ledger need not remember any more. Returns how long to wait.
fn trim(ledger: &Ledger) -> Duration {
    match ledger.trim() {
        Ok(true) => EVERY,
        Ok(false) => TRIM_EVERY,
        Err(error) => {
            debug!(error = ErrorChain(&error).to_string(), "old changes can't be deleted; retrying");
            TRIM_EVERY
        }
    }
}

fn not_told(error: LedgerError) -> Duration {
    debug!(error = ErrorChain(&error).to_string(), "the others can't be told of this gateway; retrying");
    RETRY
}

/// Starts a thread that takes a step again and again, each of which returns how long to wait for the next one.
fn repeat(
    directory: &Arc<Directory>,
    name: &str,
    mut step: impl FnMut(&Directory) -> Duration + Send + 'static,
) -> std::io::Result<()> {
    let (directory, staleness) = (Arc::downgrade(directory), Arc::clone(&directory.context.staleness));
    let run = move || {
        let mut wait = EVERY;
        while staleness.pause(wait) {
            let Some(directory) = directory.upgrade() else { return };
            let Ok(_operation) = directory.context.lifecycle.begin() else { return };
            wait = step(&directory);
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}

/// What is known of the others' writes.
#[derive(Default)]
struct Follower {
    position: FeedPosition,
    /// Lists that changed, and whose plugins could not follow yet.
    behind: HashSet<ListId>,
    /// Lists that follow in turn, and up to which change they have not followed yet.
    in_turn: HashMap<ListId, (Weak<LiveList>, Seq)>,
    progress: Progress,
    reported: Reported<()>,
    /// The run of the server that was asked last.
    server: Option<ServerRun>,
}

impl Follower {
    /// Looks once, and tells the others. Returns how long to wait.
    fn step(&mut self, directory: &Directory) -> Duration {
        let context = &directory.context;
        let looked = Instant::now();
        let Some(is_awaited) = self.look(directory) else { return RETRY };
        let is_here = self.behind.is_empty();
        if is_here {
            context.staleness.caught_up(looked);
        }
        self.tell(context, is_awaited);
        if is_here { EVERY.saturating_sub(looked.elapsed()) } else { RETRY }
    }

    /// Tells the others how far this engine has followed: at once if that may be awaited.
    fn tell(&mut self, context: &Context, is_awaited: bool) {
        let mut behind: Vec<ListId> = self.behind.iter().chain(self.in_turn.keys()).copied().collect();
        behind.sort_unstable();
        behind.dedup();
        self.progress.tell(&context.ledger, &self.position, behind, is_awaited);
    }

    /// Looks once. Returns whether writes may wait for what it found; `None` if the ledger can't be asked.
    fn look(&mut self, directory: &Directory) -> Option<bool> {
        let staleness = &directory.context.staleness;
        // Before the look, which finds what was written before.
        let behind = staleness.take_behind();
        self.behind.extend(behind);
        let Asked { changed, lists } = match self.ask(directory) {
            Ok(asked) => asked,
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
                return None;
            }
        };
        if self.reported.is_over() {
            info!("the ledger can be reached again");
        }
        staleness.asked(None);
        staleness.set_server(self.position.server);
        let mut is_awaited = false;
        if !changed.is_empty() || !self.behind.is_empty() {
            let lists = lists.unwrap_or_else(|| self::lists(directory));
            self.follow(&directory.context.ledger, &lists);
            for changed in changed {
                let Some((tenant, list)) = lists.get(&changed.list) else { continue };
                is_awaited |= tenant.acknowledge() == Acknowledge::Fleet;
                self.in_turn.insert(changed.list, (Arc::downgrade(list), changed.sequence));
            }
        }
        self.in_turn.retain(|_, (list, sequence)| list.upgrade().is_some_and(|list| list.lacks(*sequence)));
        Some(is_awaited)
    }

    /// Asks the ledger what changed, and whether it has lost anything.
    fn ask(&mut self, directory: &Directory) -> Result<Asked, LedgerError> {
        let ledger = &directory.context.ledger;
        let staleness = &directory.context.staleness;
        let changed = ledger.changed_lists(&mut self.position)?;
        if !self.position.restarted {
            staleness.continued();
            if changed.is_empty() && !staleness.has_lost() {
                return Ok(Asked { changed, lists: None });
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
        if self.server.replace(self.position.server) != Some(self.position.server) {
            restore_writes(directory, &lists, &lost);
        }
        let of_lost =
            lost.iter().filter_map(|id| Some((*id, (Arc::downgrade(&lists.get(id)?.1), Seq::START))));
        self.in_turn.extend(of_lost);
        let is_behind = |changed: &&ChangedList| {
            // This gateway's own writes are named, too, and after a restart all lists.
            lists.get(&changed.list).is_some_and(|(_, list)| list.sequence() != changed.sequence.get())
        };
        self.behind.extend(changed.iter().filter(is_behind).map(|changed| changed.list));
        Ok(Asked { changed, lists: Some(lists) })
    }

    /// Brings the lists that changed up to date, and leaves those that could not follow.
    fn follow(&mut self, ledger: &Ledger, lists: &Lists) {
        // A list that is not there yet is filled from what the ledger has when it is put.
        let changed: Vec<_> = self.behind.drain().filter_map(|id| lists.get(&id)).collect();
        let spans = read_spans(ledger, &changed);
        let threads = changed.len().div_ceil(LISTS_OF_THREAD).clamp(1, THREADS);
        let share = changed.len().div_ceil(threads).max(1);
        let follow = |lists: &[&(Arc<Tenant>, Arc<LiveList>)]| -> Vec<ListId> {
            let left =
                lists.iter().filter(|(tenant, list)| !follow(tenant, list, spans.get(&list.list().id())));
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

/// What the ledger answered.
struct Asked {
    changed: Vec<ChangedList>,
    /// The lists in service, if they were needed.
    lists: Option<Lists>,
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

/// Makes writes of this gateway again that another server may lack. That a plugin has read as much as there is says nothing of them: it may
/// have read it from the other server, after this one had committed them.
fn restore_writes(directory: &Directory, lists: &Lists, lost: &HashSet<ListId>) {
    let journaled = directory.context.journal.lists();
    for (tenant, list) in journaled.difference(lost).filter_map(|id| lists.get(id)) {
        list.restore_writes(tenant.announcer());
    }
}

/// Reads what changed in these lists, at once. What can't be read is read list by list, each of which says what is wrong.
fn read_spans(ledger: &Ledger, lists: &[&(Arc<Tenant>, Arc<LiveList>)]) -> HashMap<ListId, Span> {
    let mut spans = HashMap::new();
    for lists in lists.chunks(LISTS_OF_QUERY) {
        let quick = lists.iter().map(|(_, list)| list).filter(|list| list.is_serving() && !list.is_slow());
        let from: Vec<_> = quick.map(|list| (&**list.list(), Seq::new(list.sequence()))).collect();
        match ledger.spans_since(from, CHANGES_OF_QUERY) {
            Ok(read) => spans.extend(read),
            Err(_) => break,
        }
    }
    spans
}

/// Brings a list's plugin up to date. Returns whether it is, or will be without further ado.
fn follow(tenant: &Arc<Tenant>, list: &Arc<LiveList>, span: Option<&Span>) -> bool {
    // A span that was cut off does not lead to where the list is.
    let is_long = span.is_some_and(|span| span.mark.is_none());
    if list.is_slow() || is_long {
        // Other lists don't wait for this one, such as while it is imported elsewhere.
        list.follow_in_turn(tenant.announcer());
        return true;
    }
    match list.catch_up_with(span.map(|span| span.sequence), span) {
        Followed::Changed => {
            tenant.announce([list]);
            true
        }
        Followed::Already | Followed::NotServing | Followed::Rebuilding => true,
        Followed::LedgerAway => false,
    }
}
