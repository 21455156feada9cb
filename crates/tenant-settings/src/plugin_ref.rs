//! A plugin that a tenant is served by.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A plugin, its version, and its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRef {
    #[serde(rename = "plugin")]
    name: String,
    version: Option<String>,
    options: Map<String, Value>,
}

impl PluginRef {
    /// The newest version of a plugin. Newer versions are loaded as they appear.
    pub fn latest(name: impl Into<String>) -> Self {
        PluginRef { name: name.into(), version: None, options: Map::new() }
    }

    /// A fixed version of a plugin, by the SHA-256 digest of its component: `sha256:` and the hexadecimal digits, or at least
    /// the first eight of them.
    pub fn version(name: impl Into<String>, version: impl Into<String>) -> Self {
        PluginRef { name: name.into(), version: Some(version.into()), options: Map::new() }
    }

    /// Sets the plugin's options, at most 64 KiB as JSON. Only the plugin interprets them.
    #[must_use]
    pub fn options(mut self, options: Map<String, Value>) -> Self {
        self.options = options;
        self
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fixed version; `None` if the tenant follows the newest.
    pub fn pinned_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The plugin's options.
    pub fn plugin_options(&self) -> &Map<String, Value> {
        &self.options
    }
}
