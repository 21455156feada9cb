//! Starts with lost, emptied, cut off, overwritten, stale and flipped ledgers.

use anyhow::Result;

use crate::cargo;

/// Damages ledgers a thousand times each: as the ledger's own tests read them, and as an engine starts with them. A start
/// must give the verdicts of the record, or say that it does not.
pub(crate) fn run() -> Result<()> {
    let command = ["test", "--release", "--workspace", "--test", "sqlite", "--test", "engine"];
    let tests = ["damage::flipped", "damage::damage_after", "damage::no_start"];
    let arguments: Vec<String> = ["--", "--nocapture"].into_iter().chain(tests).map(str::to_owned).collect();
    cargo::cargo_with(&command, &arguments, &[("PORTCULLIS_SOAK", "1")])
}
