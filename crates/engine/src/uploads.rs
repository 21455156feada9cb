//! Plugins that are uploaded, to this engine or to another one that shares its ledger.

use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_host::ErrorChain;
use portcullis_ledger::TenantId;
use portcullis_plugin_store::{Digest, PluginVersion, Signature, UploadError};
use portcullis_tenant_settings::Chosen;
use tracing::{debug, warn};

use crate::directory::Directory;
use crate::engine_error::Error;

impl Directory {
    /// Stores a new version of a plugin, and has the tenants that follow the plugin load it. Returns the version, and how many tenants have
    /// the plugin.
    ///
    /// If others share the ledger, they can have the version from then on. It is the newest one, here and there, once it was tried by the
    /// tenants of this engine that follow the plugin, and at once if there are none.
    pub(crate) fn put_plugin(
        &self,
        name: &str,
        component: &[u8],
        signature: Option<Signature>,
    ) -> Result<(Arc<PluginVersion>, usize), Error> {
        let _operation = self.context.lifecycle.begin()?;
        let plugins = &self.context.plugins;
        let (version, offered) = if plugins.is_shared() {
            let trial = plugins.upload(name, component, signature)?;
            let version = Arc::clone(&trial.version);
            let offered = self.offer(&version, Some(&trial), &BTreeSet::new());
            // One that was refused here is over with that.
            let is_unopposed = offered.accepting == 0 && offered.refusing == 0;
            if is_unopposed {
                trial.pass();
            }
            plugins.follow_trial(trial);
            if is_unopposed {
                self.take_uploads()?;
            }
            self.drop_old_uploads(name);
            (version, offered)
        } else {
            let version = plugins.put(name, component, signature)?;
            let offered = self.offer(&version, None, &BTreeSet::new());
            (version, offered)
        };
        self.drop_old_versions();
        if let Some(remark) = version.remark() {
            warn!(plugin = name, "{remark}");
        }
        Ok((version, offered.tenants))
    }

    /// Removes an old version of a plugin that no tenant uses.
    pub(crate) fn remove_plugin_version(&self, name: &str, version: &str) -> Result<Digest, Error> {
        let _operation = self.context.lifecycle.begin()?;
        // What others have chosen a moment ago is in use, too.
        self.context.settings.with_choice()?;
        let in_use = self.versions_in_use();
        // The same component may be in use under another name.
        let is_used = |digest: &Digest| in_use.contains(&(name.to_owned(), *digest));
        Ok(self.context.plugins.remove_version(name, version, is_used)?)
    }

    /// Takes what others have uploaded, releases what was tried here, and does what the ledger kept tenants' reloads from. Blocks for as
    /// long as compiling takes.
    pub(crate) fn follow_uploads(&self) -> Result<(), Error> {
        let _operation = self.context.lifecycle.begin()?;
        let taken = self.take_uploads();
        self.tenants().values().for_each(|tenant| tenant.reload.tend());
        for name in self.context.plugins.take_grown() {
            self.drop_old_uploads(&name);
        }
        taken
    }

    fn drop_old_uploads(&self, name: &str) {
        // What others have chosen a moment ago is in use, too.
        let dropped = self.context.settings.with_choice().map_err(Error::from).and_then(|_| {
            let in_use = self.versions_in_use();
            let is_used = |digest: &Digest| in_use.contains(&(name.to_owned(), *digest));
            Ok(self.context.plugins.drop_old_uploads(name, is_used)?)
        });
        if let Err(error) = dropped {
            debug!(plugin = name, error = %ErrorChain(&error), "old uploads can't be dropped");
        }
    }

    fn take_uploads(&self) -> Result<(), Error> {
        let taken = self.context.plugins.follow_uploads()?;
        let mut unoffered = self.unoffered.lock();
        unoffered.extend(taken);
        if unoffered.is_empty() {
            return Ok(());
        }
        // What became of the version for a tenant is stored, if it was tried. It may be one that the engine which tried it does not have.
        let decided = self.context.settings.with_choice()?;
        for version in unoffered.drain(..) {
            self.offer(&version, None, &decided);
        }
        drop(unoffered);
        self.retry_missing();
        self.drop_old_versions();
        Ok(())
    }

    /// Follows the plugin that another engine has chosen for a tenant, if one has. What is tried here goes on if something else of the tenant
    /// was changed.
    pub(crate) fn follow_choice(&self, id: &TenantId) {
        if !self.context.settings.take_choice(id) {
            return;
        }
        let Some(tenant) = self.tenant(id) else { return };
        let Some(members) = tenant.members.load_full() else { return };
        let configured = &members.spec.plugin;
        let chosen = self.context.settings.chosen_over(id, configured);
        let chosen = chosen.unwrap_or_else(|| Chosen { plugin: configured.clone(), at: None });
        tenant.reload.follow_stored(chosen);
    }
}

impl From<UploadError> for Error {
    fn from(error: UploadError) -> Self {
        match error {
            UploadError::Plugin(error) => Error::Plugin(error),
            UploadError::Ledger(error) => Error::Ledger(error),
        }
    }
}
