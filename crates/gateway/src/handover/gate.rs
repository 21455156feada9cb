//! Whether requests are answered here, wait, or go to the process that takes over.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use portcullis_edge::AppState;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use super::relay::Relay;

/// The most requests that are held. Each has a connection, and little more.
const MOST_HELD: usize = 16_384;
/// The most short bodies that are read while requests are held.
const MOST_READ: usize = 4096;

/// How long requests are waited for that only read.
const MOMENT: Duration = Duration::from_secs(1);

/// What happens to requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Stage {
    /// They are answered here.
    Serving,
    /// Those that may write, or count, are held. Others are answered from memory.
    Holding,
    /// All are relayed to the process that has taken over.
    Relaying,
}

/// Work that is waited for before the ledger is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// It may write to the ledger.
    Writing,
    /// A message is sent, which is counted if its tenant has rules.
    Sending,
    /// It asks about numbers, and may read from the ledger.
    Checking,
}

/// The state that all connections share.
pub(crate) struct Gate {
    app: Arc<AppState>,
    stage: AtomicU8,
    changed: watch::Sender<Stage>,
    /// The requests in progress of each kind of work.
    writing: AtomicUsize,
    sending: AtomicUsize,
    checking: AtomicUsize,
    less: Notify,
    held: Arc<Semaphore>,
    read: Arc<Semaphore>,
    relay: parking_lot::Mutex<Option<Arc<Relay>>>,
    /// How long a request is held.
    patience: Duration,
}

/// A request in progress.
pub(super) struct InProgress<'a>(&'a Gate, Work);

impl Drop for InProgress<'_> {
    fn drop(&mut self) {
        // While requests are served, nobody waits for it.
        if self.0.counter(self.1).fetch_sub(1, Ordering::SeqCst) == 1 && self.0.stage() != Stage::Serving {
            self.0.less.notify_waiters();
        }
    }
}

impl Gate {
    /// A gate that is open. Requests are held for at most `patience`.
    pub(crate) fn new(app: Arc<AppState>, patience: Duration) -> Arc<Self> {
        Arc::new(Gate {
            app,
            stage: AtomicU8::new(Stage::Serving as u8),
            changed: watch::Sender::new(Stage::Serving),
            writing: AtomicUsize::new(0),
            sending: AtomicUsize::new(0),
            checking: AtomicUsize::new(0),
            less: Notify::new(),
            held: Arc::new(Semaphore::new(MOST_HELD)),
            read: Arc::new(Semaphore::new(MOST_READ)),
            relay: parking_lot::Mutex::default(),
            patience,
        })
    }

    pub(super) fn stage(&self) -> Stage {
        match self.stage.load(Ordering::SeqCst) {
            serving if serving == Stage::Serving as u8 => Stage::Serving,
            holding if holding == Stage::Holding as u8 => Stage::Holding,
            _ => Stage::Relaying,
        }
    }

    /// Whether messages of any tenant are counted, by its rules.
    pub(super) fn has_rules(&self) -> bool {
        let gateway = self.app.gateway();
        gateway.is_ok_and(|gateway| {
            gateway.registry.load().tenants().any(|tenant| !tenant.config.rules.is_empty())
        })
    }

    fn counter(&self, work: Work) -> &AtomicUsize {
        match work {
            Work::Writing => &self.writing,
            Work::Sending => &self.sending,
            Work::Checking => &self.checking,
        }
    }

    /// Begins a request. Returns `None` if it must not begin now.
    pub(super) fn enter(&self, work: Work) -> Option<InProgress<'_>> {
        // Counted first: either the request sees that it must not begin, or it is waited for.
        self.counter(work).fetch_add(1, Ordering::SeqCst);
        let entered = InProgress(self, work);
        (self.stage() == Stage::Serving).then_some(entered)
    }

    fn turn(&self, stage: Stage) {
        self.stage.store(stage as u8, Ordering::SeqCst);
        self.changed.send_replace(stage);
    }

    /// Holds requests that write from now on, and waits for those in progress; with `sends`, also for messages that are being sent. Returns
    /// whether all ended in time. If not, requests are answered as before.
    ///
    /// Others are waited for only for a moment: of them, those that need the ledger once it is given up get 503.
    pub(super) async fn hold(&self, sends: bool, time: Duration) -> bool {
        self.turn(Stage::Holding);
        let needed: &[Work] = if sends { &[Work::Writing, Work::Sending] } else { &[Work::Writing] };
        if timeout(time, self.none_of(needed)).await.is_err() {
            self.turn(Stage::Serving);
            return false;
        }
        let _ = timeout(MOMENT.min(time), self.none_of(&[Work::Sending, Work::Checking])).await;
        true
    }

    /// Waits until no such work is in progress.
    async fn none_of(&self, kinds: &[Work]) {
        loop {
            let less = self.less.notified();
            let mut less = std::pin::pin!(less);
            less.as_mut().enable();
            if kinds.iter().all(|work| self.counter(*work).load(Ordering::SeqCst) == 0) {
                return;
            }
            less.await;
        }
    }

    /// Relays all requests from now on to the socket at this path, and those that were held first.
    pub(super) fn relay_to(&self, path: PathBuf) {
        *self.relay.lock() = Some(Arc::new(Relay::new(path)));
        self.turn(Stage::Relaying);
    }

    /// Holds requests again, as the process that they were to be relayed to has ended.
    pub(super) fn hold_again(&self) {
        self.turn(Stage::Holding);
    }

    /// To where requests are relayed.
    pub(super) fn relay(&self) -> Option<Arc<Relay>> {
        self.relay.lock().clone()
    }

    /// Waits until requests are no longer held. Returns what happens to them then; [`Stage::Holding`] if it took too long, or if too many
    /// wait already.
    pub(super) async fn released(&self) -> Stage {
        let Ok(_place) = self.held.try_acquire() else { return Stage::Holding };
        let mut changed = self.changed.subscribe();
        let released = timeout(self.patience, changed.wait_for(|stage| *stage != Stage::Holding)).await;
        match released {
            Ok(Ok(stage)) => *stage,
            _ => Stage::Holding,
        }
    }

    /// A place for a short body in memory, if there is one.
    pub(super) fn place_for_body(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.read).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use portcullis_edge::settings::{Dialects, Limits};

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn gate(patience: Duration) -> Arc<Gate> {
        let app = AppState::new(
            1 << 20,
            portcullis_edge::http::peer::TrustedProxies::default(),
            Dialects::default(),
            &Limits::default(),
        );
        Gate::new(Arc::new(app), patience)
    }

    #[tokio::test]
    async fn requests_in_progress_are_waited_for_and_no_others_begin() {
        let gate = gate(LONG);
        let writing = gate.enter(Work::Writing).unwrap();
        let sending = gate.enter(Work::Sending).unwrap();
        let holding = Arc::clone(&gate);
        let held = tokio::spawn(async move { holding.hold(false, LONG).await });
        while gate.stage() != Stage::Holding {
            tokio::task::yield_now().await;
        }
        assert!(gate.enter(Work::Writing).is_none());
        assert!(!held.is_finished());
        drop(writing);
        assert!(held.await.unwrap());
        drop(sending);
        let waiting = Arc::clone(&gate);
        let waiting = tokio::spawn(async move { waiting.released().await });
        gate.turn(Stage::Serving);
        assert_eq!(waiting.await.unwrap(), Stage::Serving);
        assert!(gate.enter(Work::Writing).is_some());
    }

    #[tokio::test]
    async fn a_request_that_does_not_end_keeps_the_gate_open() {
        let gate = gate(LONG);
        let _sending = gate.enter(Work::Sending).unwrap();
        assert!(!gate.hold(true, Duration::from_millis(1)).await);
        assert_eq!(gate.stage(), Stage::Serving);
        assert!(gate.hold(false, Duration::from_millis(1)).await);
    }

    #[tokio::test]
    async fn nothing_is_held_for_ever() {
        let gate = gate(Duration::from_millis(1));
        assert!(gate.hold(true, LONG).await);
        assert_eq!(gate.released().await, Stage::Holding);
    }
}
