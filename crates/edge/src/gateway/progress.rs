//! Says how a long start gets on.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use portcullis_engine::Engine;
use tracing::info;

/// How often.
const EVERY: Duration = Duration::from_secs(2);

/// Logs every two seconds how many lists are opened, until it is dropped.
pub(super) struct Progress {
    /// Dropped to end the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// `lists` is how many there are to open. Without a thread for it, nothing is logged.
    pub(super) fn of(engine: &Engine, lists: usize) -> Self {
        let (stop, stopped) = channel();
        let (engine, start) = (engine.clone(), Instant::now());
        let before = engine.lists_opened();
        let thread = thread::Builder::new().name("portcullis-progress".to_owned()).spawn(move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let opened = engine.lists_opened().saturating_sub(before);
                info!(opened, of = lists, seconds = start.elapsed().as_secs(), "opening lists");
            }
        });
        Progress { stop: Some(stop), thread: thread.ok() }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // It does nothing that can panic.
            let _ = thread.join();
        }
    }
}
