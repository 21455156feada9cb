//! The plugin that serves a tenant.

use crate::plugin_ref::PluginRef;

/// The plugin that serves a tenant, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Chosen {
    /// The plugin.
    pub plugin: PluginRef,
    /// The version that all engines have which share the ledger, if `plugin` names none.
    pub at: Option<String>,
}
