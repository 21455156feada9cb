//! Pulls plugins from registries, and puts them into service like uploads.
//!
//! What was pulled is kept in the folder of plugins, with the digest by which it was pinned. So a gateway that has it needs no registry, and
//! one that lacks it serves the others meanwhile, and goes on trying.

use std::time::Duration;

use parking_lot::Mutex;
use portcullis_engine::plugin_store::{Digest, PluginStoreError, PulledVersion};
use portcullis_engine::{Engine, Error};
use portcullis_host::ErrorChain;
use portcullis_plugin_registry::{Registry, RegistryError};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::config::PluginSource;

/// How long until the second attempt. Each later one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// The plugins that are pulled.
#[derive(Default)]
pub(crate) struct Sources {
    /// A task for each of them, which ends once the plugin is here. Dropping them stops them.
    pulling: Mutex<JoinSet<()>>,
    wanted: Mutex<Vec<PluginSource>>,
}

/// Why a plugin did not get here from its source.
#[derive(Debug, thiserror::Error)]
enum NotHere {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Plugin(PluginStoreError),
    #[error(transparent)]
    Engine(Error),
    #[error("its download was stopped")]
    Stopped,
}

impl NotHere {
    /// Whether another attempt may end otherwise while the configuration stays the same.
    fn is_transient(&self) -> bool {
        match self {
            NotHere::Registry(_) => true,
            NotHere::Plugin(error) => error.is_transient(),
            NotHere::Engine(error) => !matches!(error, Error::Closed),
            NotHere::Stopped => false,
        }
    }
}

impl From<Error> for NotHere {
    fn from(error: Error) -> Self {
        match error {
            Error::Plugin(error) => NotHere::Plugin(error),
            error => NotHere::Engine(error),
        }
    }
}

impl Sources {
    /// Says of each plugin where it has to come from, for those who ask for one that is not here. Call it before tenants are put.
    pub(crate) fn expect(engine: &Engine, wanted: &[PluginSource]) {
        for PluginSource { name, from } in wanted {
            engine.plugins().await_plugin(name, &from.to_string(), "it is being pulled");
        }
    }

    /// Brings what is not here, with one attempt for each. Blocks for about a minute at most.
    pub(crate) fn bring_all(engine: &Engine, wanted: &[PluginSource], runtime: &Handle) {
        runtime.block_on(async {
            let mut pulling = JoinSet::new();
            for source in wanted {
                let (engine, source) = (engine.clone(), source.clone());
                pulling.spawn(async move {
                    if let Err(why) = bring(&engine, &source).await {
                        report(&engine, &source, &why, None);
                    }
                });
            }
            while let Some(ended) = pulling.join_next().await {
                if let Err(error) = ended {
                    error!(%error, "bringing a plugin of plugins.sources failed by a defect: report it");
                }
            }
        });
    }

    /// Pulls these from now on, in the background, and no others.
    pub(crate) fn pull(&self, engine: &Engine, wanted: &[PluginSource], runtime: &Handle) {
        let mut pulling = self.pulling.lock();
        // What is being put into service at this moment is put.
        *pulling = JoinSet::new();
        let before = std::mem::replace(&mut *self.wanted.lock(), wanted.to_vec());
        for gone in before.iter().filter(|before| wanted.iter().all(|source| source.name != before.name)) {
            engine.plugins().end_await(&gone.name);
        }
        for source in wanted.iter().cloned() {
            pulling.spawn_on(keep_trying(engine.clone(), source), runtime);
        }
    }
}

/// Ends once the plugin is here, or can't be used.
async fn keep_trying(engine: Engine, source: PluginSource) {
    let mut pause = FIRST_PAUSE;
    while let Err(why) = bring(&engine, &source).await {
        let again = why.is_transient().then_some(pause);
        report(&engine, &source, &why, again);
        let at = engine.clone();
        // Tenants that wait for it say why.
        let _ = tokio::task::spawn_blocking(move || at.blocking_rescan_plugins()).await;
        let Some(again) = again else { return };
        tokio::time::sleep(again).await;
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

fn report(engine: &Engine, source: &PluginSource, why: &NotHere, again: Option<Duration>) {
    let PluginSource { name, from } = source;
    let why = ErrorChain(why).to_string();
    let next = match again {
        Some(_) => "it is tried again",
        None => "it is tried again when the configuration is reloaded",
    };
    engine.plugins().await_plugin(name, &from.to_string(), &format!("{why}; {next}"));
    match again {
        Some(again) => warn!(
            plugin = name, %from, error = why, retry_in_seconds = again.as_secs(),
            "the plugin can't be pulled: tenants that have a version keep it"
        ),
        None => error!(
            plugin = name, %from, error = why,
            "the plugin of this source can't be used: tenants that have a version keep it"
        ),
    }
}

/// Brings a plugin here, unless it was brought before.
async fn bring(engine: &Engine, source: &PluginSource) -> Result<(), NotHere> {
    let (at, of) = (engine.clone(), source.clone());
    let is_here = blocking(move || bring_from_folder(&at, &of)).await?;
    if !is_here {
        let limit = engine.plugins().most_bytes(&source.name);
        let pulled = Registry::new().pull(&source.from, limit).await?;
        let (at, of) = (engine.clone(), source.clone());
        blocking(move || {
            let version = Digest::of(&pulled.component);
            // Another gateway may have brought it into the ledger that they share.
            let is_there = at.is_shared() && at.plugins().version(&of.name, &version.to_string()).is_ok();
            if !is_there {
                at.blocking_put_plugin(&of.name, &pulled.component, pulled.signature)?;
            }
            note(&at, &of, version);
            info!(plugin = of.name, version = version.short(), from = %of.from, "pulled the plugin");
            Ok(())
        })
        .await?;
    }
    engine.plugins().end_await(&source.name);
    Ok(())
}

/// Whether the plugin is here. If another one was pulled since, it is put into service again.
fn bring_from_folder(engine: &Engine, source: &PluginSource) -> Result<bool, NotHere> {
    let plugins = engine.plugins();
    let PluginSource { name, from } = source;
    let pulled = plugins.pulled(name);
    let Some(place) = pulled.iter().position(|pulled| pulled.artifact.to_string() == from.digest()) else {
        return Ok(false);
    };
    let version = pulled[place].version;
    if place == 0 && plugins.version(name, &version.to_string()).is_ok() {
        return Ok(true);
    }
    let Some((component, signature)) = plugins.copy_of(name, version) else { return Ok(false) };
    engine.blocking_put_plugin(name, &component, signature)?;
    note(engine, source, version);
    Ok(true)
}

fn note(engine: &Engine, source: &PluginSource, version: Digest) {
    let PluginSource { name, from } = source;
    let Ok(artifact) = from.digest().parse() else { return };
    if let Err(error) = engine.plugins().note_pulled(name, PulledVersion { artifact, version }) {
        warn!(plugin = name, %error, "can't note that the plugin was pulled: it is pulled again after a restart");
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotHere> + Send + 'static,
) -> Result<T, NotHere> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(NotHere::Stopped))
}
