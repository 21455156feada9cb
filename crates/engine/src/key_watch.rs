//! Watches the file of the master key, and says loudly if it does not hold the key any more while the engine runs.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_host::ErrorChain;
use portcullis_ledger::{KeyError, KeyFile};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info};

use crate::directory::Directory;

/// How often the file is looked at. It is read only if it changed.
const EVERY: Duration = Duration::from_secs(1);
/// How often the log repeats what is wrong.
const AGAIN: Duration = Duration::from_secs(60);

/// The file of the master key, and what is wrong with it.
pub(crate) struct KeyWatch {
    file: Mutex<KeyFile>,
    trouble: Mutex<Option<Arc<KeyError>>>,
}

impl KeyWatch {
    pub(crate) fn new(file: KeyFile) -> Self {
        KeyWatch { file: Mutex::new(file), trouble: Mutex::default() }
    }

    /// What was wrong with the file at the last look.
    pub(crate) fn trouble(&self) -> Option<Arc<KeyError>> {
        self.trouble.lock().clone()
    }

    fn look(&self) {
        let checked = self.file.lock().check();
        *self.trouble.lock() = checked.err().map(Arc::new);
    }

    /// The command that copies the file back, as long as this process runs; empty if there is none.
    fn rescue(&self) -> String {
        let rescue = self.file.lock().rescue();
        rescue.map_or_else(String::new, |(from, to)| format!("cp {} {}", from.display(), to.display()))
    }
}

/// Reports trouble with the file of the master key, if the key is from one, until it is aborted.
pub(crate) async fn run(directory: Arc<Directory>) {
    let Some(watch) = directory.context.key.clone() else { return };
    drop(directory);
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported: Option<Instant> = None;
    loop {
        ticks.tick().await;
        // The file may be on another machine, which does not answer.
        let looks = Arc::clone(&watch);
        if tokio::task::spawn_blocking(move || looks.look()).await.is_err() {
            continue;
        }
        match watch.trouble() {
            None if reported.is_some() => {
                info!("the file of the master key is in order again");
                reported = None;
            }
            None => {}
            Some(_) if reported.is_some_and(|at| at.elapsed() < AGAIN) => {}
            Some(trouble) => {
                error!(
                    error = ErrorChain(&*trouble).to_string(),
                    rescue = watch.rescue(),
                    "THE MASTER KEY IS LOST: don't stop this process, because without the key nobody can read the ledger; put the \
                     file back, from a backup or as `rescue` says; if there is neither, export all lists before the process ends"
                );
                reported = Some(Instant::now());
            }
        }
    }
}
