//! Watches the file of the master key, and says loudly if it does not hold the key any more while the engine runs.

use std::sync::Arc;
use std::time::Duration;

use portcullis_admission::Reported;
use portcullis_host::ErrorChain;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info};

use crate::directory::Directory;

/// How often the file is looked at. It is read only if it changed.
const EVERY: Duration = Duration::from_secs(1);

/// Reports trouble with the file of the master key, if the key is from one, until it is aborted.
pub(crate) async fn run(directory: Arc<Directory>) {
    let (state, ledger) = (Arc::clone(&directory.context.key), directory.context.ledger.clone());
    drop(directory);
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = Reported::default();
    loop {
        ticks.tick().await;
        // The file may be on another machine, which does not answer.
        let (looks, asked) = (Arc::clone(&state), ledger.clone());
        // If another gateway has exchanged the key, the file may have only the new one. That the ledger can't be asked is reported elsewhere.
        let look = move || looks.look(|| drop(asked.find_master_key()));
        if tokio::task::spawn_blocking(look).await.is_err() {
            continue;
        }
        match state.trouble() {
            None if reported.is_over() => info!("the file of the master key is in order again"),
            Some(trouble) if reported.is_due(()) => error!(
                error = ErrorChain(&*trouble).to_string(),
                rescue = state.rescue(),
                "THE MASTER KEY IS LOST: don't stop this process, because without the key nobody can read the ledger; put the \
                 file back, from a backup or as `rescue` says; if there is neither, export all lists before the process ends"
            ),
            _ => {}
        }
    }
}
