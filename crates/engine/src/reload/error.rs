//! Errors of a reload.

use std::sync::Arc;

use portcullis_host::{CallError, ErrorChain, ExchangeError, FillError};
use portcullis_ledger::LedgerError;
use portcullis_plugin_store::PluginStoreError;

use crate::error::TenantError;
use crate::reason;

/// An error of a reload. What served before continues, unless the variant says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// The tenant was removed.
    #[error("the tenant was removed")]
    TenantRemoved,
    /// The engine is closed.
    #[error("the engine is closed")]
    Closed,
    /// The plugin, or this version of it, can't be loaded.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// The plugin's new file can't be used.
    #[error(transparent)]
    NewFile(Arc<PluginStoreError>),
    /// The plugin does not start with these options.
    #[error(transparent)]
    Start(#[from] CallError),
    /// The plugin does not take a list's entries, or does not answer for them correctly.
    #[error("{}, on the list {list}", ErrorChain(cause))]
    List {
        /// The list's name in logs.
        list: String,
        /// The cause. It and its sources are in the message.
        cause: FillError,
    },
    /// The tenant's senders changed while the plugin was filled.
    #[error("the tenant's senders changed while the plugin was filled: try again")]
    SendersChanged,
    /// The tenant's spec changed while the plugin was filled or in its shadow run.
    #[error("the tenant's settings were changed")]
    SettingsChanged,
    /// A later request replaced this one in the queue.
    #[error("a later request superseded this one")]
    Overtaken,
    /// A later request ended this one's shadow run.
    #[error("a later request ended the shadow run")]
    Superseded,
    /// An administrator rolled the reload back.
    #[error("an administrator rolled back to the previous plugin")]
    RolledBack,
    /// The plugin failed in its shadow run.
    #[error("it failed in its shadow run")]
    FailedInShadow(#[source] FillError),
    /// The plugin disagreed too often with the one that serves in its shadow run.
    #[error(
        "it disagreed with the plugin that serves on {disagreements} of {compared} checks, and {allowed} are allowed"
    )]
    Disagreed {
        /// On how many checks it disagreed.
        disagreements: u64,
        /// How many checks were compared.
        compared: u64,
        /// How many disagreements the request allows.
        allowed: u64,
    },
    /// The plugin failed while it was watched: the previous plugin serves again.
    #[error("it failed in service on the list {list}: {kind}")]
    Faulted {
        /// The list's name in logs.
        list: String,
        /// The kind of fault.
        kind: &'static str,
    },
    /// The plugin serves, but the choice could not be stored.
    #[error("it serves, but the choice can't be stored, and does not survive a restart")]
    NotKept(#[source] LedgerError),
    /// An earlier version serves, as the newest one could not at the start.
    #[error("the newest version can't serve: {}", ErrorChain(&**newest))]
    InsteadOf {
        /// Why not the newest one. Its sources are in the message.
        newest: Arc<TenantError>,
    },
    /// The plugin does not suit the tenant's new settings.
    #[error(transparent)]
    Settings(Arc<TenantError>),
    /// The system refused a thread.
    #[error("the system refused a thread")]
    Thread(#[source] std::io::Error),
    /// The reload panicked: a defect of the engine.
    #[error("a defect of the engine stopped the reload")]
    Defect,
    /// There is nothing to promote, or to roll back to.
    #[error(transparent)]
    NotNow(#[from] ExchangeError),
}

impl ReloadError {
    /// Whether the same may succeed later, with the same settings and the same plugin.
    pub fn is_transient(&self) -> bool {
        match self {
            ReloadError::Plugin(error) => error.is_transient(),
            ReloadError::Start(error) => error.is_transient(),
            ReloadError::List { cause, .. } => cause.is_transient(),
            ReloadError::Settings(error) => error.is_transient(),
            _ => false,
        }
    }

    /// Whether it says nothing about the plugin: the same may succeed later.
    pub(crate) fn passes(&self) -> bool {
        self.is_transient() || matches!(self, ReloadError::SendersChanged)
    }

    /// The error and its sources on one line, for the log: bounded and escaped, without text of a client's request, without what a
    /// plugin says of an entry, and without numbers that it repeats from its options.
    pub fn reason(&self) -> String {
        match self {
            ReloadError::Plugin(error) => error.reason(),
            ReloadError::Start(source) => source.reason(),
            ReloadError::List { list, cause } => format!("{}, on the list {list}", cause.reason()),
            ReloadError::FailedInShadow(source) => reason::after(self, source.reason()),
            ReloadError::InsteadOf { newest } => {
                format!("the newest version can't serve: {}", newest.reason())
            }
            ReloadError::Settings(error) => error.reason(),
            error => ErrorChain(error).to_string(),
        }
    }
}
