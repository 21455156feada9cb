//! When to look at the folder of plugins again.

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

/// Watches the folder of plugins on a thread of its own, which ends when this is dropped.
///
/// The system tells of changes; where it can't, the files' stamps are compared every tenth of a second. The folder may
/// appear, disappear and be exchanged for another.
pub struct Watch {
    signals: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

/// What the thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// Something in the folder changed.
    Change,
    /// The folder itself is no longer where it was.
    Moved,
    Stop,
}

/// How often, and how long.
#[derive(Clone, Copy, Debug)]
struct Pace {
    /// A change is told when nothing more has happened for so long: a file is seldom written at once.
    quiet: Duration,
    /// But a change is told when it is so old, whatever happens.
    at_most: Duration,
    /// How often to see whether the folder is still the same one.
    look: Duration,
    /// How often to tell of a change though none was seen: no system tells of what another machine does to a network's
    /// file system, and some lose events.
    anyway: Duration,
}

const PACE: Pace = Pace {
    quiet: Duration::from_millis(50),
    at_most: Duration::from_millis(500),
    look: Duration::from_millis(100),
    anyway: Duration::from_secs(10),
};

/// Who sees changes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eyes {
    System,
    /// As where the system can't.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests ask for what otherwise the system brings about"))]
    Own,
}

impl Watch {
    /// Tells `changed` whenever the folder may have changed, the first time at once, and every ten seconds in any case.
    ///
    /// From the moment a file is moved into place it takes about 50 ms.
    ///
    /// # Errors
    ///
    /// Where the operating system starts no more threads.
    pub fn start(dir: PathBuf, changed: Arc<Notify>) -> io::Result<Self> {
        Self::with(dir, changed, PACE, Eyes::System)
    }

    fn with(dir: PathBuf, changed: Arc<Notify>, pace: Pace, eyes: Eyes) -> io::Result<Self> {
        let (signals, received) = channel();
        // As the system's events name it.
        let dir = std::path::absolute(&dir).unwrap_or(dir);
        let watching = Watching {
            dir,
            pace,
            eyes,
            sight: Sight::Nothing,
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

/// What the thread has.
struct Watching {
    dir: PathBuf,
    pace: Pace,
    eyes: Eyes,
    sight: Sight,
    signals: Sender<Signal>,
    received: Receiver<Signal>,
    /// That the system can't see.
    has_warned: bool,
}

/// How the folder is seen.
enum Sight {
    /// It is not there.
    Nothing,
    /// The system tells of changes in the folder of this identity.
    System { of: Identity, _watcher: RecommendedWatcher },
    /// The plugins in the folder of this identity when they were looked at last.
    Own { of: Identity, files: BTreeMap<String, Option<Stamp>> },
}

/// Device and inode.
type Identity = (u64, u64);

impl Watching {
    fn run(mut self, changed: &Notify) {
        let mut is_changed = true;
        let mut told = Instant::now();
        loop {
            // Before it is told, so that nothing happens unseen between the telling and the watch.
            is_changed |= self.turn_to_folder();
            let is_due = told.elapsed() >= self.pace.anyway;
            if is_changed || is_due {
                changed.notify_one();
                told = Instant::now();
            }
            if is_due && self.eyes == Eyes::System && matches!(self.sight, Sight::Own { .. }) {
                // The system may be able to by now.
                self.sight = Sight::Nothing;
            }
            let signal = match self.received.recv_timeout(self.pace.look) {
                Ok(signal) => Some(signal),
                Err(_) => self.looks_other().then_some(Signal::Change),
            };
            is_changed = signal.is_some();
            if signal.is_some_and(|signal| !self.calm_down(signal)) {
                return;
            }
        }
    }

    /// Waits until nothing more happens, but not for ever. `false` where something else than waiting is wanted: the end.
    fn calm_down(&mut self, mut signal: Signal) -> bool {
        let until = Instant::now() + self.pace.at_most;
        loop {
            match signal {
                Signal::Stop => return false,
                Signal::Moved => self.sight = Sight::Nothing,
                Signal::Change => {}
            }
            let wait = self.pace.quiet.min(until.saturating_duration_since(Instant::now()));
            if wait.is_zero() {
                return true;
            }
            signal = match self.received.recv_timeout(wait) {
                Ok(signal) => signal,
                Err(_) if self.looks_other() => Signal::Change,
                Err(_) => return true,
            };
        }
    }

    /// Sees to it that the folder is watched which is there now. Whether that is another one than before.
    fn turn_to_folder(&mut self) -> bool {
        let before = match &self.sight {
            Sight::Nothing => None,
            Sight::System { of, .. } | Sight::Own { of, .. } => Some(*of),
        };
        let now = identity(&self.dir);
        if now == before {
            return false;
        }
        self.sight = now.map_or(Sight::Nothing, |of| self.see(of));
        true
    }

    fn see(&mut self, of: Identity) -> Sight {
        if self.eyes == Eyes::System {
            match self.watcher() {
                Ok(watcher) => return Sight::System { of, _watcher: watcher },
                // One that went away meanwhile is nothing to speak of.
                Err(error) if !self.has_warned && identity(&self.dir) == Some(of) => {
                    self.has_warned = true;
                    warn!(
                        dir = %self.dir.display(),
                        %error,
                        "the system can't watch the folder of plugins: its files are looked at again and again"
                    );
                }
                Err(_) => {}
            }
        }
        Sight::Own { of, files: folder::stamps(&self.dir) }
    }

    fn watcher(&self) -> notify::Result<RecommendedWatcher> {
        let (signals, dir) = (self.signals.clone(), self.dir.clone());
        let tell = move |event: notify::Result<Event>| {
            if let Some(signal) = signal(&event, &dir) {
                let _ = signals.send(signal);
            }
        };
        let mut watcher = RecommendedWatcher::new(tell, notify::Config::default())?;
        watcher.watch(&self.dir, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    }

    /// Whether the gateway's own eyes see a difference, where it depends on them.
    fn looks_other(&mut self) -> bool {
        let Sight::Own { files, .. } = &mut self.sight else { return false };
        let now = folder::stamps(&self.dir);
        let is_other = *files != now;
        *files = now;
        is_other
    }
}

/// Which folder is there now, if one is.
fn identity(dir: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(dir).ok().filter(std::fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

/// What an event means.
fn signal(event: &notify::Result<Event>, dir: &Path) -> Option<Signal> {
    // After an error nothing is certain: watched anew, nothing is missed.
    let Ok(event) = event else { return Some(Signal::Moved) };
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Signal::Change),
        // Reading, the gateway's own as well.
        EventKind::Access(_) => None,
        // The folder's inode may be used again for the one that comes in its place.
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

    /// Longer than anything takes that a test waits for.
    const LONG: Duration = Duration::from_secs(20);
    /// So that only a change is told.
    const ON_CHANGE: Pace = Pace { anyway: Duration::from_secs(3600), ..PACE };

    /// A watch on the folder `plugins` in another one.
    struct Watched {
        parent: TempDir,
        changed: Arc<Notify>,
        _watch: Watch,
    }

    impl Watched {
        /// Begins after the first telling, which is no change.
        async fn new(eyes: Eyes, pace: Pace, is_there: bool) -> Self {
            let parent = tempfile::tempdir().unwrap();
            let dir = parent.path().join("plugins");
            if is_there {
                fs::create_dir(&dir).unwrap();
            }
            let changed = Arc::new(Notify::new());
            let watch = Watch::with(dir, Arc::clone(&changed), pace, eyes).unwrap();
            let watched = Watched { parent, changed, _watch: watch };
            watched.told("the first look").await;
            watched
        }

        fn path(&self, file: &str) -> PathBuf {
            self.parent.path().join("plugins").join(file)
        }

        async fn told(&self, of: &str) {
            timeout(LONG, self.changed.notified()).await.unwrap_or_else(|_| panic!("not told of {of}"));
        }

        /// Several changes, each told: more than could still be under way from what was done before.
        async fn tells_changes(&self) {
            for content in ["one", "the second", "3", "and a fourth"] {
                fs::write(self.path("a.wasm"), content).unwrap();
                self.told(content).await;
            }
        }
    }

    #[tokio::test]
    async fn a_file_that_comes_changes_and_goes_is_told() {
        for eyes in [Eyes::System, Eyes::Own] {
            let watched = Watched::new(eyes, ON_CHANGE, true).await;
            fs::write(watched.path("a.wasm"), "created").unwrap();
            watched.told("a new file").await;
            watched.tells_changes().await;
            fs::write(watched.path(".incoming"), "moved into place").unwrap();
            fs::rename(watched.path(".incoming"), watched.path("a.wasm")).unwrap();
            watched.told("a file moved over another").await;
            fs::remove_file(watched.path("a.wasm")).unwrap();
            watched.told("a file that is gone").await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_comes_later_is_watched() {
        for eyes in [Eyes::System, Eyes::Own] {
            let watched = Watched::new(eyes, ON_CHANGE, false).await;
            fs::create_dir(watched.path("")).unwrap();
            watched.told("the folder").await;
            watched.tells_changes().await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_is_removed_and_made_again_is_watched() {
        for eyes in [Eyes::System, Eyes::Own] {
            let watched = Watched::new(eyes, ON_CHANGE, true).await;
            watched.tells_changes().await;
            fs::remove_dir_all(watched.path("")).unwrap();
            watched.told("the folder's end").await;
            fs::create_dir(watched.path("")).unwrap();
            watched.told("the new folder").await;
            watched.tells_changes().await;
            // Between two looks: it may even get the inode of the one before.
            fs::remove_dir_all(watched.path("")).unwrap();
            fs::create_dir(watched.path("")).unwrap();
            watched.tells_changes().await;
        }
    }

    #[tokio::test]
    async fn a_folder_that_takes_the_place_of_another_is_watched() {
        for eyes in [Eyes::System, Eyes::Own] {
            let watched = Watched::new(eyes, ON_CHANGE, false).await;
            for release in ["1", "2"] {
                let folder = watched.parent.path().join(release);
                fs::create_dir(&folder).unwrap();
                let link = watched.parent.path().join("link");
                std::os::unix::fs::symlink(&folder, &link).unwrap();
                fs::rename(link, watched.parent.path().join("plugins")).unwrap();
                watched.told("another folder").await;
                watched.tells_changes().await;
            }
        }
    }

    #[tokio::test]
    async fn a_folder_that_never_rests_is_told_of_nevertheless() {
        for eyes in [Eyes::System, Eyes::Own] {
            let pace = Pace { quiet: Duration::from_secs(3600), ..ON_CHANGE };
            let watched = Watched::new(eyes, pace, true).await;
            watched.tells_changes().await;
        }
    }

    #[tokio::test]
    async fn now_and_then_it_is_told_without_a_change() {
        let parent = tempfile::tempdir().unwrap();
        let changed = Arc::new(Notify::new());
        let pace = Pace { anyway: Duration::from_millis(1), ..PACE };
        for eyes in [Eyes::System, Eyes::Own] {
            let dir = parent.path().to_owned();
            let _watch = Watch::with(dir, Arc::clone(&changed), pace, eyes).unwrap();
            for _ in 0..4 {
                timeout(LONG, changed.notified()).await.unwrap();
            }
        }
    }

    #[tokio::test]
    async fn a_watch_that_is_dropped_has_ended() {
        let parent = tempfile::tempdir().unwrap();
        let changed = Arc::new(Notify::new());
        let watch = Watch::start(parent.path().to_owned(), Arc::clone(&changed)).unwrap();
        timeout(LONG, changed.notified()).await.unwrap();
        drop(watch);
        assert_eq!(Arc::strong_count(&changed), 1);
    }

    #[test]
    fn reading_the_folder_is_no_change() {
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
