//! Reading the configuration file again, on SIGHUP.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use portcullis_edge::gateway::Gateway;
use portcullis_edge::tenant::Origin;
use portcullis_process_metrics::configuration;
use portcullis_proxy::Proxy;
use tokio::runtime::Handle;
use tracing::{error, info, warn};

use crate::config::{AbsentPlugin, Config, END, Text};
use crate::fleet::Fleet;
use crate::sources::Sources;

/// The most tenants that a refusal names.
const NAMED: usize = 5;

/// Reads the configuration file again, whenever it is told to.
pub(crate) struct Reload {
    file: PathBuf,
    at_start: Config,
    /// Whether the file that is in force said that it is whole.
    is_whole: AtomicBool,
    /// The text of the file that is in force.
    text: Mutex<Text>,
    fleet: Arc<Fleet>,
    sources: Arc<Sources>,
    proxy: Arc<Proxy>,
    runtime: Handle,
}

/// Why a valid file is not applied: a tenant's new plugin is not there, or the file seems to be torn.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// The place of the plugin's name, and what to do.
    #[error("{0}")]
    NoPlugin(String),
    #[error(
        "the configuration file that is in force ends with the line `{END}`, and this one does not, so it may be torn: write all of it, \
         and that line"
    )]
    NoEnd,
    #[error(
        "the file is the one that is in force, cut off, so it may be torn: if what follows is to go, end the file with the line `{END}`, \
         which says that it is whole"
    )]
    CutOff,
    #[error(
        "the file lacks {tenants} tenants ({named}) and {senders} senders of other tenants that are served, so it may be torn: if they \
         are to go, end the file with the line `{END}`, which says that it is whole"
    )]
    Less { tenants: usize, named: String, senders: usize },
}

impl Reload {
    pub(crate) fn new(
        file: PathBuf,
        at_start: Config,
        fleet: Arc<Fleet>,
        sources: Arc<Sources>,
        proxy: Arc<Proxy>,
        runtime: Handle,
    ) -> Self {
        let text = Mutex::new(at_start.text.clone());
        let is_whole = AtomicBool::new(at_start.is_whole);
        Reload { file, is_whole, text, at_start, fleet, sources, proxy, runtime }
    }

    /// Reads the configuration file and the plugin folder again, and applies what has changed.
    pub(crate) fn run(&self, gateway: &Gateway) {
        info!("SIGHUP: reloading the configuration file and the plugin folder");
        if let Err(error) = gateway.engine.blocking_follow_uploads() {
            // A plugin that the file names may have been uploaded to another gateway.
            warn!(%error, "plugins that were uploaded to other gateways can't be read");
        }
        match Config::read(&self.file, portcullis_engine::plugin_store::names) {
            Ok(config) => self.apply(gateway, &config),
            Err(error) => {
                error!(
                    error = portcullis_host::ErrorChain(&error).to_string(),
                    "the configuration file was rejected; keeping the current configuration"
                );
                configuration::reloaded(false);
            }
        }
        gateway.engine.blocking_rescan_plugins();
    }

    fn apply(&self, gateway: &Gateway, config: &Config) {
        if let Err(refused) = self.check(gateway, config) {
            error!(error = %refused, "the configuration file was rejected; keeping the current configuration");
            configuration::reloaded(false);
            return;
        }
        for setting in config.needing_a_restart(&self.at_start) {
            warn!(
                setting,
                "this setting has changed in the configuration file; restart the gateway to apply it"
            );
        }
        // Before tenants ask for plugins.
        let plugins = gateway.engine.plugins();
        let trusted_before = plugins.trusted_keys();
        plugins.trust(config.trusted_keys.clone());
        match gateway.reconfigure(&config.admin_tokens, &config.tenants) {
            Ok(()) => {
                self.proxy.exchange_secrets(&config.meta);
                self.sources.pull(&gateway.engine, &config.sources, &self.runtime);
                self.is_whole.store(config.is_whole, Ordering::Relaxed);
                *self.text.lock() = config.text.clone();
                self.fleet.reconfigured(config, &self.at_start);
                configuration::reloaded(true);
            }
            Err(error) => {
                plugins.trust((*trusted_before).clone());
                error!(
                    error = portcullis_host::ErrorChain(&error).to_string(),
                    "the configuration file can't be applied; keeping the current configuration"
                );
                configuration::reloaded(false);
            }
        }
    }

    /// Checks that the plugins are there, and that the file is not torn, which may leave a valid file of less.
    fn check(&self, gateway: &Gateway, config: &Config) -> Result<(), Refused> {
        if let Some(absent) = new_and_absent(gateway, config) {
            return Err(Refused::NoPlugin(absent.problem.clone()));
        }
        if config.is_whole {
            return Ok(());
        }
        if self.is_whole.load(Ordering::Relaxed) {
            return Err(Refused::NoEnd);
        }
        let registry = gateway.registry.load();
        let (mut gone, mut senders) = (Vec::new(), 0);
        for served in registry.tenants().filter(|tenant| tenant.origin == Origin::File) {
            let Some(next) = config.tenants.iter().find(|tenant| tenant.id == served.config.id) else {
                gone.push(served.config.id.as_str());
                continue;
            };
            let stays = |id| next.senders.iter().any(|sender| sender.id == id);
            senders += served.config.senders.iter().filter(|sender| !stays(sender.id.clone())).count();
        }
        if gone.is_empty() && senders == 0 {
            return match config.text.is_cut_off(&self.text.lock()) {
                true => Err(Refused::CutOff),
                false => Ok(()),
            };
        }
        let named = gone.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let named = match gone.len() {
            0 => "none".to_owned(),
            count if count > NAMED => format!("{named}, …"),
            _ => named,
        };
        Err(Refused::Less { tenants: gone.len(), named, senders })
    }
}

/// A plugin that is not there, of a tenant that has not had it so far. One that serves from memory may lack its file.
fn new_and_absent<'a>(gateway: &Gateway, config: &'a Config) -> Option<&'a AbsentPlugin> {
    let registry = gateway.registry.load();
    config.absent_plugins.iter().find(|absent| {
        let served = registry.tenant(absent.tenant.as_str()).map(|tenant| &tenant.config.plugin);
        let next = config.tenants.iter().find(|tenant| tenant.id == absent.tenant);
        served != next.map(|tenant| &tenant.plugin)
    })
}
