//! Start time: from the start of the program to its first correct response.

use std::time::{Duration, Instant};

use anyhow::ensure;

use crate::gateway::{Gateway, SERVER, TENANT, configure, program};
use crate::record;
use crate::results::{Results, median};

const ROUNDS: usize = 7;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    results.put("start/program-bytes", std::fs::metadata(program()?)?.len() as f64);

    let folder = tempfile::tempdir()?;
    configure(folder.path(), SERVER)?;
    let start = |times: &mut Vec<Duration>| -> anyhow::Result<Gateway> {
        let began = Instant::now();
        let gateway = Gateway::ready(folder.path())?;
        times.push(began.elapsed());
        Ok(gateway)
    };
    // The first start creates the key and the ledger.
    start(&mut Vec::new())?.stop()?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        start(&mut times)?.stop()?;
    }
    results.put_time("start/empty", median(times));

    for count in [64_000, 1_000_000] {
        let folder = tempfile::tempdir()?;
        configure(folder.path(), &format!("{SERVER}{TENANT}"))?;
        record::block(&record::list(&record::open(folder.path())?, "acme", "support")?, count)?;
        wait_for_state(&folder)?;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let gateway = Gateway::start(folder.path())?;
            gateway.until("right", || gateway.verdict("acme-secret", &record::number(7)).is_some())?;
            times.push(began.elapsed());
            let verdict = gateway.verdict("acme-secret", &record::number(7));
            ensure!(verdict.as_deref() == Some("block"), "a member is not blocked");
            if times.len() == ROUNDS {
                results.put(&format!("start/{count}/resident-bytes"), gateway.resident_bytes()?);
            }
            gateway.stop()?;
        }
        results.put_time(&format!("start/{count}"), median(times));
    }
    Ok(())
}

/// Starts the gateway once, until the plugin's state is saved.
fn wait_for_state(folder: &tempfile::TempDir) -> anyhow::Result<()> {
    let gateway = Gateway::ready(folder.path())?;
    let states = folder.path().join("portcullis.db.states/tenant-acme");
    let is_saved = || {
        let mut files = std::fs::read_dir(&states).into_iter().flatten().flatten();
        files.any(|file| file.path().extension().is_some_and(|extension| extension == "state"))
    };
    gateway.until("through with saving", is_saved)?;
    gateway.stop()
}
