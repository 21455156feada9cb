//! Watches the ledger's files, and says loudly if they are lost while the engine runs.

use std::mem::discriminant;
use std::sync::Arc;
use std::time::Duration;

use portcullis_admission::Reported;
use portcullis_ledger::{Ledger, LedgerError};
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::directory::Directory;

/// How often the ledger is asked. It looks at its files by itself.
const EVERY: Duration = Duration::from_secs(1);

/// Reports trouble with the ledger's files, until it is aborted.
pub(crate) async fn run(directory: Arc<Directory>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = Reported::default();
    loop {
        ticks.tick().await;
        match directory.context.ledger.trouble() {
            None if reported.is_over() => info!("the ledger is in order again"),
            Some(trouble) if reported.is_due(discriminant(&trouble)) => match &trouble {
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
            },
            _ => {}
        }
    }
}

/// The commands that copy lost files back, as long as this process runs.
fn rescue(ledger: &Ledger) -> String {
    let commands: Vec<String> =
        ledger.rescue().iter().map(|(from, to)| format!("cp {} {}", from.display(), to.display())).collect();
    commands.join(" && ")
}
