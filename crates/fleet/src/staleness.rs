//! How far this gateway follows what others write to a ledger that they share.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use portcullis_ledger::{LedgerError, ListId, ServerRun};
use serde::Deserialize;

/// After which time a gateway is stale, by default.
pub const DEFAULT_STALE_AFTER: Duration = Duration::from_secs(30);

/// What a gateway does with checks once it does not know what the others have written lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenStale {
    /// It answers them from memory: it may allow whom another gateway has blocked since, and block whom another has unblocked.
    #[default]
    Answer,
    /// It answers them from memory, and reports that it is not ready, so that a load balancer prefers other gateways.
    Unready,
    /// It blocks all messages.
    Closed,
}

/// How far this gateway follows the others.
pub struct Staleness {
    is_shared: bool,
    stale_after: Duration,
    when_stale: WhenStale,
    began: Instant,
    /// When the last look began after which everything that it found was in the plugins, in microseconds since `began`.
    caught_up: AtomicU64,
    /// The run of the database server whose history the plugins are of, as far as is known.
    server: AtomicU64,
    state: Mutex<State>,
    /// Notified when the engine is closed.
    closed: Condvar,
    /// Whether the ledger could not be asked last.
    is_away: AtomicBool,
    /// Counts the looks at the ledger that continued an earlier one.
    epoch: AtomicU64,
}

struct State {
    /// Why the ledger could not be asked last.
    trouble: Option<Arc<LedgerError>>,
    /// Lists whose plugins could not follow a write of this gateway, because the ledger went away after it.
    behind: HashSet<ListId>,
    /// Lists that were read further than the ledger goes.
    lost: HashSet<ListId>,
    is_closed: bool,
}

/// The ledger could not be reached when it was asked last.
#[derive(Debug, thiserror::Error)]
#[error("it could not be reached a moment ago, and is tried four times a second")]
struct Away;

impl Staleness {
    /// How far a gateway follows that has just opened its ledger. `alone` is the [server](Self::server) of a ledger that is not shared.
    /// That of one that is shared is known once the gateway has followed.
    pub fn new(alone: Option<ServerRun>, stale_after: Duration, when_stale: WhenStale) -> Self {
        let state = State { trouble: None, behind: HashSet::new(), lost: HashSet::new(), is_closed: false };
        Staleness {
            is_shared: alone.is_none(),
            stale_after,
            when_stale,
            began: Instant::now(),
            caught_up: AtomicU64::new(0),
            server: AtomicU64::new(alone.unwrap_or_default().0),
            state: Mutex::new(state),
            closed: Condvar::new(),
            is_away: AtomicBool::new(false),
            epoch: AtomicU64::new(0),
        }
    }

    /// Whether others write to the ledger.
    pub fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Whether the ledger is not shared, and was restored from a backup: positions of other runs are from before.
    pub fn was_restored(&self) -> bool {
        !self.is_shared && self.server() != ServerRun::default()
    }

    /// What it does with checks once it is stale.
    pub fn when_stale(&self) -> WhenStale {
        self.when_stale
    }

    /// How long ago this gateway last knew everything that others had written; `None` if nobody else writes to the ledger.
    pub fn age(&self) -> Option<Duration> {
        let caught_up = || Duration::from_micros(self.caught_up.load(Ordering::Relaxed));
        self.is_shared.then(|| self.began.elapsed().saturating_sub(caught_up()))
    }

    /// How long ago that was, if it is longer than it may be.
    pub fn stale_for(&self) -> Option<Duration> {
        self.age().filter(|age| *age > self.stale_after)
    }

    /// Whether that is longer ago than it may be.
    pub fn is_stale(&self) -> bool {
        self.stale_for().is_some()
    }

    /// Whether all messages are blocked, because this gateway is stale.
    #[inline]
    pub fn blocks_all(&self) -> bool {
        self.when_stale == WhenStale::Closed && self.is_stale()
    }

    /// All plugins in memory have what others had written by then.
    pub fn caught_up(&self, then: Instant) {
        let since = then.saturating_duration_since(self.began).as_micros();
        self.caught_up.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The run of the database server whose history the plugins are of, as far as is known: all but those of lists that are known to have
    /// lost some of it.
    pub fn server(&self) -> ServerRun {
        ServerRun(self.server.load(Ordering::SeqCst))
    }

    /// The plugins were found to be of the history of this run of the server.
    pub fn set_server(&self, server: ServerRun) {
        self.server.store(server.0, Ordering::SeqCst);
    }

    /// The ledger was asked, and failed if `trouble` says why.
    pub fn asked(&self, trouble: Option<LedgerError>) {
        self.is_away.store(trouble.is_some(), Ordering::Relaxed);
        self.state.lock().trouble = trouble.map(Arc::new);
    }

    /// Why the shared ledger can't be asked; `None` if it can.
    pub fn trouble(&self) -> Option<Arc<LedgerError>> {
        self.state.lock().trouble.clone()
    }

    /// An error if the shared ledger could not be asked last: what needs it does not wait for it then, and what is in memory stays
    /// there.
    ///
    /// # Errors
    /// [`LedgerError::Unavailable`].
    pub fn check_ledger(&self) -> Result<(), LedgerError> {
        match self.is_away.load(Ordering::Relaxed) {
            true => Err(LedgerError::Unavailable(Box::new(Away))),
            false => Ok(()),
        }
    }

    /// Whether this error says that a shared ledger can't be asked now, or can't answer. What was read of it before stays true.
    pub fn means_away(&self, error: &LedgerError) -> bool {
        use LedgerError::{Full, HistoryLost, Io, OutcomeUnknown, Storage, TookTooLong, Unavailable};
        let is_passing = matches!(error, Unavailable(_) | OutcomeUnknown | TookTooLong | HistoryLost);
        self.is_shared && (is_passing || matches!(error, Storage(_) | Full(_) | Io(_)))
    }

    /// A list's plugin could not follow a write, because the ledger can't be asked.
    pub fn add_behind(&self, list: ListId) {
        self.state.lock().behind.insert(list);
    }

    /// Takes the lists that were added.
    pub fn take_behind(&self) -> HashSet<ListId> {
        std::mem::take(&mut self.state.lock().behind)
    }

    /// The ledger has lost changes of a list, or may have.
    pub fn add_lost(&self, list: ListId) {
        self.state.lock().lost.insert(list);
    }

    /// Whether there are such lists.
    pub fn has_lost(&self) -> bool {
        !self.state.lock().lost.is_empty()
    }

    /// Takes these lists.
    pub fn take_lost(&self) -> HashSet<ListId> {
        std::mem::take(&mut self.state.lock().lost)
    }

    /// How many looks at the ledger have continued an earlier one. What was read before the last of them is of the ledger's history.
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::SeqCst)
    }

    /// A look at the ledger continued an earlier one.
    pub fn continued(&self) {
        self.epoch.fetch_add(1, Ordering::SeqCst);
    }

    /// Ends [`pause`](Self::pause), for good.
    pub fn close(&self) {
        self.state.lock().is_closed = true;
        self.closed.notify_all();
    }

    /// Waits. Returns whether the engine is still open.
    pub fn pause(&self, wait: Duration) -> bool {
        let mut state = self.state.lock();
        if !state.is_closed {
            self.closed.wait_for(&mut state, wait);
        }
        !state.is_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_that_is_alone_is_never_stale() {
        let alone = Staleness::new(Some(ServerRun(7)), Duration::ZERO, WhenStale::Closed);
        assert!(!alone.is_stale() && !alone.blocks_all());
        assert_eq!((alone.age(), alone.server()), (None, ServerRun(7)));
        assert!(alone.was_restored());
        assert!(!alone.means_away(&LedgerError::OutcomeUnknown));
    }

    #[test]
    fn what_a_shared_database_can_t_answer_now_says_nothing_of_what_was_read() {
        let shared = Staleness::new(None, Duration::ZERO, WhenStale::Answer);
        for error in [
            LedgerError::OutcomeUnknown,
            LedgerError::Storage("out of shared memory (53200)".into()),
            LedgerError::Full("no space left (53100)".into()),
        ] {
            assert!(shared.means_away(&error), "{error}");
        }
        assert!(!shared.means_away(&LedgerError::TenantForgotten));
    }

    #[test]
    fn a_stale_gateway_blocks_all_messages_if_it_is_to_be_closed_then() {
        for (when_stale, blocks_all) in
            [(WhenStale::Answer, false), (WhenStale::Unready, false), (WhenStale::Closed, true)]
        {
            let staleness = Staleness::new(None, Duration::ZERO, when_stale);
            assert!(staleness.is_stale());
            assert_eq!(staleness.blocks_all(), blocks_all);
        }
        let fresh = Staleness::new(None, Duration::from_secs(3600), WhenStale::Closed);
        assert!(!fresh.blocks_all());
    }

    #[test]
    fn trouble_lasts_until_the_ledger_is_asked_again() {
        let staleness = Staleness::new(None, Duration::ZERO, WhenStale::Answer);
        staleness.asked(Some(LedgerError::OutcomeUnknown));
        assert!(staleness.trouble().is_some() && staleness.check_ledger().is_err());
        staleness.asked(None);
        assert!(staleness.trouble().is_none() && staleness.check_ledger().is_ok());
    }
}
