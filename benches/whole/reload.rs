//! Reload time: from the arrival of a plugin file in its directory to its serving.

use std::time::Instant;

use anyhow::ensure;
use portcullis_plugin_bundle::EXACT;
use sha2::{Digest as _, Sha256};

use crate::gateway::{Gateway, SERVER, TENANT, configure};
use crate::record;
use crate::results::{Results, median};

const ROUNDS: u8 = 7;

pub(crate) fn measure(results: &mut Results) -> anyhow::Result<()> {
    for count in [64_000, 1_000_000] {
        let folder = tempfile::tempdir()?;
        configure(folder.path(), &format!("{SERVER}{TENANT}"))?;
        record::block(&record::list(&record::open(folder.path())?, "acme", "support")?, count)?;
        let plugins = folder.path().join("plugins");
        std::fs::create_dir_all(&plugins)?;
        let gateway = Gateway::ready(folder.path())?;
        let mut times = Vec::new();
        for round in 0..=ROUNDS {
            // A different version with the same behaviour: a custom section is appended.
            let component = [EXACT.component, &[0, 3, 1, b'v', round]].concat();
            let version: String =
                Sha256::digest(&component).iter().map(|byte| format!("{byte:02x}")).collect();
            let version = format!("sha256:{version}");
            std::fs::write(plugins.join(".new"), &component)?;
            let began = Instant::now();
            std::fs::rename(plugins.join(".new"), plugins.join("exact.wasm"))?;
            gateway.until("served by the new version", || gateway.version().as_deref() == Some(&version))?;
            // The first round is not counted: it saves the state for the others.
            if round > 0 {
                times.push(began.elapsed());
            }
            let verdict = gateway.verdict("acme-secret", &record::number(7));
            ensure!(verdict.as_deref() == Some("block"), "a member is not blocked");
        }
        results.put_time(&format!("reload/{count}"), median(times));
        gateway.stop()?;
    }
    Ok(())
}
