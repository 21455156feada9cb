//! Opens the engine with the settings of the configuration file.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_edge::metrics::Metrics;
use portcullis_engine::Engine;
use portcullis_ledger::{MasterKey, StorageUrl};
use tokio::runtime::Handle;

use crate::config::Config;

/// The directory of saved states: next to the ledger, and named after its whole file name, so that no two ledgers share one.
fn states_dir(config: &Config) -> PathBuf {
    let file = match &config.storage {
        StorageUrl::Sqlite(file) => file,
        _ => &config.master_key_file,
    };
    let mut name = file.clone().into_os_string();
    name.push(".states");
    name.into()
}

/// Opens the engine, with the master key from the environment or the key file.
pub(crate) fn open(config: &Config, metrics: &Arc<Metrics>, runtime: Handle) -> anyhow::Result<Engine> {
    let from_environment = std::env::var("PORTCULLIS_MASTER_KEY").ok();
    // A new key could not open an existing ledger, so a key file is only created together with the ledger.
    let is_new = match &config.storage {
        StorageUrl::Sqlite(file) => !file.exists(),
        _ => false,
    };
    let key = MasterKey::from_env_or_file(from_environment.as_deref(), &config.master_key_file, is_new)?;
    let listener = Arc::clone(metrics);
    let mut builder = Engine::builder()
        .storage(config.storage.clone())
        .master_key(key)
        .states_dir(states_dir(config))
        .memory_budget(config.memory_budget_bytes)
        .reload_watch(config.watch)
        .on_event(move |event| listener.count(&event));
    if let Some(dir) = &config.plugins_dir {
        builder = builder.plugins_dir(dir);
    }
    Ok(builder.open_on(runtime)?)
}
