//! Watches the ledger's files, and says loudly if they are lost while the engine runs.

use std::sync::Arc;
use std::time::Duration;

use portcullis_ledger::LedgerError;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::directory::Directory;

/// How often the ledger is asked. It looks at its files by itself.
const EVERY: Duration = Duration::from_secs(1);
/// How often the log repeats what is wrong.
const AGAIN: Duration = Duration::from_secs(60);

/// Reports trouble with the ledger's files, until it is aborted.
pub(crate) async fn run(directory: Arc<Directory>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported: Option<Instant> = None;
    loop {
        ticks.tick().await;
        match directory.context.ledger.trouble() {
            None if reported.is_some() => {
                info!("the ledger's files are in order again");
                reported = None;
            }
            None => {}
            Some(_) if reported.is_some_and(|at| at.elapsed() < AGAIN) => {}
            Some(trouble) => {
                match &trouble {
                    LedgerError::Replaced { .. } => {
                        error!(error = %trouble, "THE LEDGER IS LOST: all writes are refused");
                    }
                    _ => warn!(
                        error = portcullis_host::ErrorChain(&trouble).to_string(),
                        "the ledger is in trouble"
                    ),
                }
                reported = Some(Instant::now());
            }
        }
    }
}
