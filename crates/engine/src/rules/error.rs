//! Why a rule can't be put into service.

use portcullis_host::CallError;
use portcullis_meters::TooManyMeters;
use portcullis_plugin_store::PluginStoreError;

/// An error of putting a rules plugin into service.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// The plugin, or its version, can't be loaded, or is no rules plugin.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// The plugin needs to know what the tenant does not grant.
    #[error(
        "it needs {missing}, which is not granted to it: add that to its grants, or choose another plugin"
    )]
    Grants {
        /// The names of what is missing, with commas between them.
        missing: String,
    },
    /// The plugin does not start with these options.
    #[error(transparent)]
    Start(#[from] CallError),
    /// The tenant's rules declare too many meters.
    #[error(transparent)]
    Meters(#[from] TooManyMeters),
}

impl RuleError {
    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            RuleError::Plugin(error) => error.is_transient(),
            RuleError::Start(error) => error.is_transient(),
            RuleError::Grants { .. } | RuleError::Meters(_) => false,
        }
    }
}
