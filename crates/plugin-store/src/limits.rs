//! The limits with which plugins are loaded.

use std::collections::BTreeMap;

use portcullis_host::Limits;

/// The limits of all plugins, and those of plugins that an operator admits with others, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PluginLimits {
    all: Limits,
    by_name: BTreeMap<String, Limits>,
}

impl PluginLimits {
    /// The same limits for all plugins.
    pub fn new(all: Limits) -> Self {
        PluginLimits { all, by_name: BTreeMap::new() }
    }

    /// Admits one plugin with limits of its own.
    #[must_use]
    pub fn admitting(mut self, name: impl Into<String>, limits: Limits) -> Self {
        self.by_name.insert(name.into(), limits);
        self
    }

    /// The limits of the plugin of this name.
    pub fn of(&self, name: &str) -> &Limits {
        self.by_name.get(name).unwrap_or(&self.all)
    }

    /// The name, if the plugin has limits of its own: what was compiled within them is not admitted under another name.
    pub(crate) fn class<'a>(&self, name: &'a str) -> &'a str {
        if self.by_name.contains_key(name) { name } else { "" }
    }
}
