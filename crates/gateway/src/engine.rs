//! Opens the engine with the settings of the configuration file.

use std::sync::Arc;

use portcullis_edge::metrics::Metrics;
use portcullis_engine::Engine;
use portcullis_ledger::MasterKey;
use tokio::runtime::Handle;

use crate::config::Config;

/// Opens the engine, with the master key from the environment or the key file.
pub(crate) fn open(config: &Config, metrics: &Arc<Metrics>, runtime: Handle) -> anyhow::Result<Engine> {
    let listener = Arc::clone(metrics);
    let mut builder = Engine::builder()
        .storage(config.storage.clone())
        .master_key_file(&config.master_key_file)
        .memory_budget(config.memory_budget_bytes)
        .reload_watch(config.watch)
        .on_event(move |event| listener.count(&event));
    if let Ok(digits) = std::env::var("PORTCULLIS_MASTER_KEY") {
        builder =
            builder.master_key(MasterKey::from_env_or_file(Some(&digits), &config.master_key_file, false)?);
    }
    if let Some(dir) = &config.plugins_dir {
        builder = builder.plugins_dir(dir);
    }
    Ok(builder.open_on(runtime)?)
}
