//! Watches the ledger's files, and says loudly if they are lost while the engine runs.

use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::time::Duration;

use portcullis_ledger::{Ledger, LedgerError};
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
    // What was reported, and when: another trouble does not wait.
    let mut reported: Option<(Discriminant<LedgerError>, Instant)> = None;
    loop {
        ticks.tick().await;
        match directory.context.ledger.trouble() {
            None if reported.is_some() => {
                info!("the ledger's files are in order again");
                reported = None;
            }
            None => {}
            Some(trouble)
                if reported
                    .is_some_and(|(what, at)| what == discriminant(&trouble) && at.elapsed() < AGAIN) => {}
            Some(trouble) => {
                match &trouble {
                    LedgerError::Replaced { .. } => {
                        let rescue = rescue(&directory.context.ledger);
                        error!(error = %trouble, rescue, "THE LEDGER IS LOST: all writes are refused");
                    }
                    LedgerError::Witness { .. } | LedgerError::WitnessReplaced { .. } => warn!(
                        error = portcullis_host::ErrorChain(&trouble).to_string(),
                        "the ledger is in trouble"
                    ),
                    _ => error!(
                        error = portcullis_host::ErrorChain(&trouble).to_string(),
                        "THE LEDGER CAN'T BE WRITTEN: make room, or mend the disk; it is tried each second"
                    ),
                }
                reported = Some((discriminant(&trouble), Instant::now()));
            }
        }
    }
}

/// The commands that copy lost files back, as long as this process runs.
fn rescue(ledger: &Ledger) -> String {
    let commands: Vec<String> =
        ledger.rescue().iter().map(|(from, to)| format!("cp {} {}", from.display(), to.display())).collect();
    commands.join(" && ")
}
