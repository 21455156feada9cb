//! Watching the folder of plugins for changes.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;
use tracing::warn;

use crate::folder::{self, Stamp};

/// Watches the folder of plugins, on a thread of its own. Dropping this ends the thread and waits for it.
///
/// Changes are reported by the system, or if it can't, found by polling ten times a second. The folder may appear, disappear and be
/// replaced by another.
pub struct Watch {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

/// A message to the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Something in the folder changed.
    Change,
    /// The folder itself was moved or removed.
    Moved,
    Stop,
}

/// The intervals of a watch.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// A change is reported when nothing more happened for this long: files are seldom written at once.
    quiet: Duration,
    /// But no later than this after it happened.
    at_most: Duration,
    /// How often to check whether the folder is still the same.
    poll: Duration,
    /// How often to report a change though none was seen: systems don't report what other machines do to a network file system, and
    /// some lose events.
    unconditional: Duration,
}

const PACE: Pace = Pace {
    quiet: Duration::from_millis(50),
    at_most: Duration::from_millis(500),
    poll: Duration::from_millis(100),
    unconditional: Duration::from_secs(10),
};

/// How changes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    /// By the system, or by polling if it can't.
    System,
    /// By polling.
    #[cfg_attr(not(test), expect(dead_code, reason = "only tests choose it"))]
    Polling,
}

impl Watch {
    /// Notifies `changed` whenever the folder may have changed: at once, about 50 ms after a file was moved into place, and every ten
    /// seconds in any case.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub fn start(dir: PathBuf, changed: Arc<Notify>) -> io::Result<Self> {
        Self::with(dir, changed, PACE, Method::System)
    }

    fn with(dir: PathBuf, changed: Arc<Notify>, pace: Pace, method: Method) -> io::Result<Self> {
        let (signals, received) = channel();
        // The form in which the system's events name it.
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        let watching = Watching {
            dir,
            pace,
            method,
            source: Source::Nothing,
            signals: signals.clone(),
            received,
            has_warned: false,
        };
        let thread = thread::Builder::new()
            .name("portcullis-watch".to_owned())
            .spawn(move || watching.run(&changed))?;
        Ok(Watch { signals, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.signals.send(Signal::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The state of the thread.
struct Watching {
    dir: PathBuf,
    pace: Pace,
    method: Method,
    source: Source,
    signals: Sender<Signal>,
    received: Receiver<Signal>,
    /// Whether it was logged that the system can't watch.
    has_warned: bool,
}

/// What is being watched.
enum Source {
    /// There is no folder.
    Nothing,
    /// The system reports changes in the folder with this identity.
    System { of: Identity, _watcher: RecommendedWatcher },
    /// The plugins in the folder with this identity, as last polled.
    Polling { of: Identity, files: BTreeMap<String, [Option<Stamp>; 2]> },
}

/// Device and inode.
type Identity = (u64, u64);

impl Watching {
    fn run(mut self, changed: &Notify) {
        let mut is_changed = true;
        let mut notified = Instant::now();
        loop {
            // Before the notification, so that no change between the two is missed.
            is_changed |= self.follow_folder();
            let is_due = notified.elapsed() >= self.pace.unconditional;
            if is_changed || is_due {
                changed.notify_one();
                notified = Instant::now();
            }
            if is_due && self.method == Method::System && matches!(self.source, Source::Polling { .. }) {
                // The system may be able to watch by now.
                self.source = Source::Nothing;
            }
            let signal = match self.received.recv_timeout(self.pace.poll) {
                Ok(signal) => Some(signal),
                Err(_) => self.poll().then_some(Signal::Change),
            };
            is_changed = signal.is_some();
            if signal.is_some_and(|signal| !self.settle(signal)) {
                return;
            }
        }
    }

    /// Waits until nothing more happens, but not for ever. Returns `false` on [`Signal::Stop`].
    fn settle(&mut self, mut signal: Signal) -> bool {
        let until = Instant::now() + self.pace.at_most;
        loop {
            match signal {
                Signal::Stop => return false,
                Signal::Moved => self.source = Source::Nothing,
                Signal::Change => {}
            }
            let wait = self.pace.quiet.min(until.saturating_duration_since(Instant::now()));
            if wait.is_zero() {
                return true;
            }
            signal = match self.received.recv_timeout(wait) {
                Ok(signal) => signal,
                Err(_) if self.poll() => Signal::Change,
                Err(_) => return true,
            };
        }
    }

    /// Watches the folder that is there now. Returns whether it is another one than before.
    fn follow_folder(&mut self) -> bool {
        let before = match &self.source {
            Source::Nothing => None,
            Source::System { of, .. } | Source::Polling { of, .. } => Some(*of),
        };
        let now = identity(&self.dir);
        if now == before {
            return false;
        }
        self.source = now.map_or(Source::Nothing, |of| self.open(of));
        true
    }

    fn open(&mut self, of: Identity) -> Source {
        if self.method == Method::System {
            match self.watcher() {
                Ok(watcher) => return Source::System { of, _watcher: watcher },
                // If it was removed just now, that is no problem of the system.
                Err(error) if !self.has_warned && identity(&self.dir) == Some(of) => {
                    self.has_warned = true;
                    warn!(
                        dir = %self.dir.display(),
                        %error,
                        "the system can't watch the folder of plugins: it is polled instead"
                    );
                }
                Err(_) => {}
            }
        }
        Source::Polling { of, files: folder::stamps(&self.dir) }
    }

    fn watcher(&self) -> notify::Result<RecommendedWatcher> {
        let (signals, dir) = (self.signals.clone(), self.dir.clone());
        let report = move |event: notify::Result<Event>| {
            if let Some(signal) = signal(&event, &dir) {
                let _ = signals.send(signal);
            }
        };
        let mut watcher = RecommendedWatcher::new(report, notify::Config::default())?;
        watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    /// Polls, unless the system watches. Returns whether there is a change.
    fn poll(&mut self) -> bool {
        let Source::Polling { files, .. } = &mut self.source else { return false };
        let now = folder::stamps(&self.dir);
        let is_other = *files != now;
        *files = now;
        is_other
    }
}

/// The identity of the folder that is there now, if there is one.
fn identity(dir: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(dir).ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

/// The meaning of an event.
fn signal(event: &notify::Result<Event>, dir: &Path) -> Option<Signal> {
    // After an error, events may be missing: start over.
    let Ok(event) = event else { return Some(Signal::Moved) };
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Signal::Change),
        // Somebody reads, such as this store.
        EventKind::Access(_) => None,
        // The next folder may get the same inode.
        EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_))
            if event.paths.iter().any(|path| path == dir) =>
        {
            Some(Signal::Moved)
        }
        _ => Some(Signal::Change),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;
    use tokio::time::timeout;

    use super::*;

    /// Longer than any test has to wait.
    const LONG: Duration = Duration::from_secs(20);
    /// Without unconditional notifications.
    const ON_CHANGE: Pace = Pace { unconditional: Duration::from_secs(3600), ..PACE };

    /// A watch of the folder `plugins` in a temporary one.
    struct Watched {
        parent: TempDir,
        changed: Arc<Notify>,
        _watch: Watch,
    }

    impl Watched {
        /// Returns after the first notification, which is no change.
        async fn new(method: Method, pace: Pace, is_there: bool) -> Self {
            let parent = tempfile::tempdir().unwrap();
            let dir = parent.path().join("plugins");
            if is_there {
                fs::create_dir(&dir).unwrap();
            }
            let changed = Arc::new(Notify::new());
            let watch = Watch::with(dir, Arc::clone(&changed), pace, method).unwrap();
            let watched = Watched { parent, changed, _watch: watch };
            watched.notified("the start").await;
            watched
        }

        fn path(&self, file: &str) -> PathBuf {
            self.parent.path().join("plugins").join(file)
        }

        async fn notified(&self, of: &str) {
            timeout(LONG, self.changed.notified())
                .await
                .unwrap_or_else(|_| panic!("no notification of {of}"));
        }

        /// Makes several changes, more than notifications of earlier ones may still be pending.
        async fn notifies_of_changes(&self) {
            for content in ["one", "the second", "3", "and a fourth"] {
                fs::write(self.path("a.wasm"), content).unwrap();
                self.notified(content).await;
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_appears_changes_and_disappears_is_reported() {
        for method in [Method::System, Method::Polling] {
            let watched = Watched::new(method, ON_CHANGE, true).await;
            fs::write(watched.path("a.wasm"), "created").unwrap();
            watched.notified("a new file").await;
            watched.notifies_of_changes().await;
            fs::write(watched.path(".incoming"), "moved into place").unwrap();
            fs::rename(watched.path(".incoming"), watched.path("a.wasm")).unwrap();
            watched.notified("a file moved over another").await;
            fs::remove_file(watched.path("a.wasm")).unwrap();
            watched.notified("a removed file").await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_appears_later_is_watched() {
        for method in [Method::System, Method::Polling] {
            let watched = Watched::new(method, ON_CHANGE, false).await;
            fs::create_dir(watched.path("")).unwrap();
            watched.notified("the folder").await;
            watched.notifies_of_changes().await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_removed_and_created_again_is_watched() {
        for method in [Method::System, Method::Polling] {
            let watched = Watched::new(method, ON_CHANGE, true).await;
            watched.notifies_of_changes().await;
            fs::remove_dir_all(watched.path("")).unwrap();
            watched.notified("the removal of the folder").await;
            fs::create_dir(watched.path("")).unwrap();
            watched.notified("the new folder").await;
            watched.notifies_of_changes().await;
            // Between two polls. It may even get the inode of the one before.
            fs::remove_dir_all(watched.path("")).unwrap();
            fs::create_dir(watched.path("")).unwrap();
            watched.notifies_of_changes().await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_replaces_another_is_watched() {
        for method in [Method::System, Method::Polling] {
            let watched = Watched::new(method, ON_CHANGE, false).await;
            for release in ["1", "2"] {
                let folder = watched.parent.path().join(release);
                fs::create_dir(&folder).unwrap();
                let link = watched.parent.path().join("link");
                std::os::unix::fs::symlink(&folder, &link).unwrap();
                fs::rename(link, watched.parent.path().join("plugins")).unwrap();
                watched.notified("another folder").await;
                watched.notifies_of_changes().await;
            }
        }
    }

    #[tokio::test]
    async fn a_folder_that_changes_all_the_time_is_reported() {
        for method in [Method::System, Method::Polling] {
            let pace = Pace { quiet: Duration::from_secs(3600), ..ON_CHANGE };
            let watched = Watched::new(method, pace, true).await;
            watched.notifies_of_changes().await;
        }
    }

    #[tokio::test]
    async fn notifications_also_come_without_a_change() {
        let parent = tempfile::tempdir().unwrap();
        let changed = Arc::new(Notify::new());
        let pace = Pace { unconditional: Duration::from_millis(1), ..PACE };
        for method in [Method::System, Method::Polling] {
            let dir = parent.path().to_owned();
            let _watch = Watch::with(dir, Arc::clone(&changed), pace, method).unwrap();
            for _ in 0..4 {
                timeout(LONG, changed.notified()).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn dropping_a_watch_ends_its_thread() {
        let parent = tempfile::tempdir().unwrap();
        let changed = Arc::new(Notify::new());
        let watch = Watch::start(parent.path().to_owned(), Arc::clone(&changed)).unwrap();
        timeout(LONG, changed.notified()).await.unwrap();
        drop(watch);
        assert_eq!(Arc::strong_count(&changed), 1);
    }

    #[test]
    fn reading_the_folder_is_not_a_change() {
        let dir = Path::new("/plugins");
        let event = |kind, path: &str| signal(&Ok(Event::new(kind).add_path(path.into())), dir);
        let file = "/plugins/a.wasm";
        for kind in [AccessKind::Read, AccessKind::Open(AccessMode::Any), AccessKind::Close(AccessMode::Read)]
        {
            assert_eq!(event(EventKind::Access(kind), file), None);
        }
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert_eq!(event(written, file), Some(Signal::Change));
        let removed = EventKind::Remove(notify::event::RemoveKind::Any);
        assert_eq!(event(removed, file), Some(Signal::Change));
        assert_eq!(event(removed, "/plugins"), Some(Signal::Moved));
    }
}
