//! A version of a plugin, and its options.

use std::sync::Arc;

use portcullis_plugin_store::{PluginStoreError, PluginVersion};
use serde_json::{Map, Value};

use crate::spec::PluginRef;

/// The version of a plugin and the options that serve a tenant's lists.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) version: Arc<PluginVersion>,
    pub(crate) options: Map<String, Value>,
    pub(crate) pinned: bool,
    /// Why the plugin can't be loaded. The version is a placeholder then.
    pub(crate) missing: Option<Arc<PluginStoreError>>,
}

impl Setup {
    /// The plugin's version.
    pub fn version(&self) -> &PluginVersion {
        &self.version
    }

    /// The plugin's options.
    pub fn options(&self) -> &Map<String, Value> {
        &self.options
    }

    /// Whether the tenant stays with this version when a newer one appears.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// Why the plugin can't be loaded; `None` if it is. Without it, [`version`](Self::version) has the plugin's name only.
    pub fn missing(&self) -> Option<&PluginStoreError> {
        self.missing.as_deref()
    }

    /// The plugin's name and version, for display.
    pub fn name(&self) -> String {
        if self.missing.is_some() {
            return format!("{} (not loaded)", self.version.name);
        }
        let PluginVersion { name, digest, plugin, .. } = &*self.version;
        format!("{name} {} ({})", plugin.description().version, digest.short())
    }

    pub(crate) fn is(&self, other: &Setup) -> bool {
        self.version.name == other.version.name
            && self.version.digest == other.version.digest
            && self.options == other.options
    }

    /// The same as in a spec.
    pub(crate) fn plugin(&self) -> PluginRef {
        PluginRef {
            name: self.version.name.clone(),
            version: self.pinned.then(|| self.version.digest.to_string()),
            options: self.options.clone(),
        }
    }
}
