//! Opens the engine with the settings of the configuration file.

use std::sync::Arc;

use portcullis_edge::metrics::Metrics;
use portcullis_engine::{Builder, Engine, OpenError};
use portcullis_host::Compiler;
use portcullis_ledger::{KeyError, MasterKey, StorageUrl};
use tokio::runtime::Handle;

use crate::config::Config;

/// What to accept of the ledger's files at this start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Accepted {
    /// That there is no ledger, although something says that there was one.
    pub(crate) new_ledger: bool,
    /// That the ledger was restored from a backup.
    pub(crate) restored: bool,
}

/// Opens the engine, with the master key from the environment or the key file.
pub(crate) fn open(
    config: &Config,
    accepted: Accepted,
    metrics: &Arc<Metrics>,
    runtime: Handle,
) -> anyhow::Result<Engine> {
    let listener = Arc::clone(metrics);
    let builder = builder(config)?
        .new_ledger(accepted.new_ledger)
        .restored(accepted.restored)
        .on_event(move |event| listener.count(&event));
    let is_shared = matches!(config.storage, StorageUrl::Postgres(_));
    match builder.open_on(runtime) {
        // The first start of a fleet, or the first one of this machine.
        Err(OpenError::MasterKey(error @ KeyError::Missing { .. })) if is_shared => anyhow::bail!(
            "{error}; if the database has no ledger yet, start once with --new-ledger, which creates both"
        ),
        opened => Ok(opened?),
    }
}

/// The options of the engine in the configuration file.
pub(crate) fn builder(config: &Config) -> anyhow::Result<Builder> {
    let mut builder = Engine::builder()
        .storage(config.storage.clone())
        .master_key_file(&config.master_key_file)
        .memory_budget(config.memory_budget_bytes)
        .plugin_limits(config.plugin_limits.clone())
        .trusted_keys(config.trusted_keys.clone())
        .reload_watch(config.watch)
        .check_patience(config.check_patience)
        .proof_share(config.proof_share)
        .stale_after(config.fleet.stale_after)
        .when_stale(config.fleet.when_stale)
        .compiler(Compiler::this_program());
    if let Some(bytes) = config.memory_limit_bytes {
        builder = builder.memory_limit(bytes);
    }
    if let Some(node) = &config.fleet.node {
        builder = builder.node(node);
    }
    let variable = std::env::var("PORTCULLIS_MASTER_KEY").ok();
    if let Some(command) = &config.master_key_command {
        anyhow::ensure!(
            variable.is_none(),
            "the variable PORTCULLIS_MASTER_KEY is set, and storage.master_key_command, too: remove one of them"
        );
        let key = command.run()?;
        let again = command.clone();
        builder = builder
            .master_key(key)
            .master_key_provider(Arc::new(move || again.run()))
            .expect_ledger("the master key that storage.master_key_command prints");
    }
    if let Some(digits) = variable {
        let (key, _) = MasterKey::from_env_or_file(Some(&digits), &config.master_key_file, false)?;
        // Like a key file, it may be all that is left.
        builder =
            builder.master_key(key).expect_ledger("the master key in the variable PORTCULLIS_MASTER_KEY");
    }
    if let Some(dir) = &config.plugins_dir {
        builder = builder.plugins_dir(dir);
    }
    Ok(builder)
}
