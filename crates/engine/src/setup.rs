//! A version of a plugin, and its options.

use std::sync::Arc;

use portcullis_host::{Pace, Plugin};
use portcullis_plugin_store::{PluginStoreError, PluginVersion, TrustedBy};
use portcullis_tenant_settings::{Chosen, PluginRef};
use serde_json::{Map, Value};

/// The version of a plugin and the options that serve a tenant's lists.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) version: Arc<PluginVersion>,
    /// The version, as what answers for lists.
    pub(crate) plugin: Plugin,
    pub(crate) options: Map<String, Value>,
    pub(crate) pinned: bool,
    /// Why the plugin can't be loaded. The version is a placeholder then.
    pub(crate) missing: Option<Arc<PluginStoreError>>,
    /// Whether the plugin is fast, on all of the tenant's lists.
    pub(crate) pace: Arc<Pace>,
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
        let PluginVersion { name, digest, .. } = &*self.version;
        format!("{name} {} ({})", self.plugin.description().version, digest.short())
    }

    /// Loads the version that is stored, or else the one that the plugin's name and version mean now.
    pub(crate) fn load(chosen: &Chosen, plugins: TrustedBy<'_>) -> Result<Self, PluginStoreError> {
        let Chosen { plugin, at } = chosen;
        let version = match at.as_deref().or(plugin.pinned_version()) {
            Some(version) => plugins.version(plugin.name(), version)?,
            None => plugins.latest_or_before(plugin.name())?,
        };
        let (options, pinned) = (plugin.plugin_options().clone(), plugin.pinned_version().is_some());
        Setup::of(version, options, pinned)
    }

    /// A version that answers for lists.
    pub(crate) fn of(
        version: Arc<PluginVersion>,
        options: Map<String, Value>,
        pinned: bool,
    ) -> Result<Self, PluginStoreError> {
        let plugin = version.list()?.clone();
        Ok(Setup { version, plugin, options, pinned, missing: None, pace: Arc::default() })
    }

    pub(crate) fn is(&self, other: &Setup) -> bool {
        self.version.name == other.version.name
            && self.version.digest == other.version.digest
            && self.options == other.options
    }

    /// The same setup. If it is `known` as well, it is known how fast it is.
    pub(crate) fn knowing(mut self, known: &Setup) -> Self {
        if self.is(known) {
            self.pace = Arc::clone(&known.pace);
        }
        self
    }

    /// The same as in a spec.
    pub(crate) fn plugin_ref(&self) -> PluginRef {
        let name = self.version.name.as_str();
        let plugin = match self.pinned {
            true => PluginRef::version(name, self.version.digest.to_string()),
            false => PluginRef::latest(name),
        };
        plugin.options(self.options.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::List;
    use crate::testing::{acme, engine_of_acme};

    fn pace_of(list: &List) -> Arc<Pace> {
        Arc::clone(&list.own.generation().recipe().pace)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_plugin_s_pace_is_known_to_all_lists_and_to_what_follows_of_the_same_plugin() {
        let (_dir, engine, list) = engine_of_acme().await;
        let exact = pace_of(&list);
        let assert_known = |pace: &Arc<Pace>| {
            for list in [&list, &list.tenant_wide()] {
                assert!(Arc::ptr_eq(&pace_of(list), pace));
            }
        };
        assert_known(&exact);
        engine.reload("acme", PluginRef::latest("exact")).await.unwrap();
        assert_known(&exact);
        engine.reload("acme", PluginRef::latest("prefix")).await.unwrap();
        let prefix = pace_of(&list);
        assert!(!Arc::ptr_eq(&exact, &prefix));
        assert_known(&prefix);
        engine.roll_back("acme").await.unwrap();
        assert_known(&exact);
        engine.reload("acme", PluginRef::latest("prefix")).await.unwrap();
        assert_known(&prefix);
        engine.reload("acme", PluginRef::latest("exact")).await.unwrap();
        assert_known(&exact);
        engine.put_tenant(acme().replicas(2.try_into().unwrap()).reset_choice()).await.unwrap();
        assert_known(&exact);
    }
}
