//! Durable blocks: acknowledged when they are on disk, from one client and from many.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use portcullis_host::{Permutation, PermutationKey, Subject};
use portcullis_ledger::Actor;

use crate::record;
use crate::results::{Results, median};

const ROUNDS: u64 = 5;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let ledger = record::open(folder.path())?;
    let list = record::list(&ledger, "acme", "support")?;
    let actor = Actor::new("bench")?;
    let (mut flushes, mut ones, mut many) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        // Interleaved, because the speed of the disk varies over time.
        flushes.push(flush(folder.path())?);
        for (clients, each, times) in [(1, 400, &mut ones), (64, 200, &mut many)] {
            let before = Instant::now();
            std::thread::scope(|scope| {
                let threads: Vec<_> = (0..clients)
                    .map(|client: u64| {
                        let (list, actor) = (&list, &actor);
                        scope.spawn(move || -> anyhow::Result<()> {
                            for n in 0..each {
                                let subject = subject((round << 40) | (clients << 32) | (client << 20) | n)?;
                                list.write(vec![record::write(subject, actor)])?;
                            }
                            Ok(())
                        })
                    })
                    .collect();
                threads.into_iter().try_for_each(|thread| thread.join().ok().context("a client failed")?)
            })?;
            times.push(before.elapsed() / u32::try_from(clients * each)?);
        }
    }
    results.put_time("durable/flush", median(flushes));
    results.put_time("durable/one-client", median(ones));
    results.put_time("durable/64-clients", median(many));
    Ok(())
}

/// Measures the time to append a page to a file and flush it.
fn flush(folder: &Path) -> anyhow::Result<Duration> {
    let mut file = File::create(folder.join("flushed"))?;
    let start = Instant::now();
    for _ in 0..200 {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
    }
    Ok(start.elapsed() / 200)
}

/// The n-th subject in a random order without repetitions.
fn subject(n: u64) -> anyhow::Result<Subject> {
    let hidden = Permutation::new(PermutationKey::from_bytes([1; 16]));
    Ok(hidden.permute(Subject::new(n).context("50 bits")?))
}
