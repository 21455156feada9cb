//! The folder of plugins, followed: whoever has a plugin of which there is a newer version gets that.

use std::sync::Arc;

use tokio::sync::Notify;
use tracing::{info, warn};

use super::Gateway;
use crate::plugins::{Finding, Version, Watch};

impl Gateway {
    /// Looks at the folder of plugins, and has what is new there exchanged. Blocks for as long as compiling takes.
    pub(crate) fn look_at_plugins(&self) {
        for finding in self.equipment.shelf.rescan() {
            match finding {
                Finding::Changed { name, version } => {
                    let (plugin, digest) = (&name, version.digest.short());
                    info!(plugin, digest, "a new version of the plugin is there");
                    self.offer(&version);
                }
                Finding::Problem { name, sentence } => {
                    warn!(
                        plugin = name,
                        "the plugin's new file can't be used: whoever has a version of it goes on with that"
                    );
                    let registry = self.registry.load();
                    for tenant in registry.tenants().filter(|tenant| tenant.config.plugin == name) {
                        tenant.reload.refuse(format!("the new file of {name}"), sentence.clone());
                    }
                }
                Finding::Gone { name } => {
                    warn!(
                        plugin = name,
                        "the plugin's file is gone: whoever has a version of it goes on with that"
                    );
                }
            }
        }
        self.forget_old_versions();
    }

    /// A version is the newest of its plugin now. Returns how many tenants have that plugin.
    pub(crate) fn offer(&self, version: &Version) -> usize {
        let registry = self.registry.load();
        let tenants = registry.tenants().filter(|tenant| tenant.config.plugin == version.name);
        tenants.map(|tenant| tenant.reload.follow(version.digest)).count()
    }

    pub(crate) fn forget_old_versions(&self) {
        let registry = self.registry.load();
        let in_use: std::collections::HashSet<_> =
            registry.tenants().flat_map(|tenant| tenant.reload.in_use()).collect();
        self.equipment.shelf.retain(|digest| in_use.contains(digest));
    }
}

/// Follows the folder, for ever.
pub(crate) async fn run(gateway: Arc<Gateway>) {
    let Some(dir) = gateway.equipment.shelf.dir() else { return };
    let changed = Arc::new(Notify::new());
    let _watch = match Watch::start(dir.to_owned(), Arc::clone(&changed)) {
        Ok(watch) => watch,
        Err(error) => {
            warn!(%error, "the folder of plugins can't be watched: SIGHUP has it looked at");
            return;
        }
    };
    loop {
        changed.notified().await;
        let looking = Arc::clone(&gateway);
        // One look at a time; what changes meanwhile is looked at next.
        let _ = tokio::task::spawn_blocking(move || looking.look_at_plugins()).await;
    }
}
