//! Why a tenant's plugin is not exchanged.

use std::sync::Arc;

use portcullis_host::{CallError, ErrorChain, ExchangeError, FillError};
use portcullis_ledger::LedgerError;
use portcullis_plugin_store::PluginStoreError;

/// Why a tenant's plugin is not exchanged. What served before goes on serving, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The tenant is not served any more.
    #[error("the tenant was removed")]
    TenantRemoved,
    /// The plugin, or this version of it, can't be had.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// The plugin's new file can't be used.
    #[error(transparent)]
    NewFile(Arc<PluginStoreError>),
    /// The plugin does not start with these options.
    #[error(transparent)]
    Start(#[from] CallError),
    /// The plugin does not take a list's entries, or does not answer for them as it should.
    #[error("{}, on the list {list}", ErrorChain(source))]
    List {
        /// The list's name in logs.
        list: String,
        /// What is wrong. Its own sources are in the message.
        source: FillError,
    },
    /// Senders came or went while the plugin was filled.
    #[error("the tenant's senders were changed meanwhile: ask again")]
    SendersChanged,
    /// The tenant was given other settings while the plugin was filled, or on trial.
    #[error("the tenant's settings were changed")]
    SettingsChanged,
    /// A later request for a reload came while this one waited.
    #[error("a later request for an exchange overtook this one")]
    Overtaken,
    /// Another reload of the same tenant was asked for while this one's plugin was on trial.
    #[error("another exchange was asked for")]
    Superseded,
    /// An administrator had the plugin before put back.
    #[error("an administrator went back to what served before")]
    RolledBack,
    /// The plugin failed in its shadow run.
    #[error("it failed in its shadow run")]
    FailedInShadow(#[source] FillError),
    /// The plugin answered too many checks of its shadow run in another way than the one that serves.
    #[error(
        "it disagreed with the plugin that serves on {disagreements} of {compared} checks, and {allowed} are allowed"
    )]
    Disagreed {
        /// On how many checks.
        disagreements: u64,
        /// Of how many.
        compared: u64,
        /// How many the request allows.
        allowed: u64,
    },
    /// The plugin failed while it served, in its first minutes: the plugin before serves again.
    #[error("it failed in service on the list {list}: {kind}")]
    Faulted {
        /// The list's name in logs.
        list: String,
        /// The kind of fault.
        kind: &'static str,
    },
    /// The plugin serves, but the choice could not be written down.
    #[error("it serves, but the choice could not be kept, and is lost with a restart")]
    NotKept(#[source] LedgerError),
    /// The tenant's new settings do not suit its plugin.
    #[error(transparent)]
    Settings(Arc<crate::error::TenantError>),
    /// The system starts no thread.
    #[error("the system starts no thread")]
    Thread(#[source] std::io::Error),
    /// There is nothing to promote, or to go back to.
    #[error(transparent)]
    NotNow(#[from] ExchangeError),
}
