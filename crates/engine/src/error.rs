//! What can go wrong with an engine as a whole, and with a tenant.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_host::{CallError, EngineError as HostError, FillError};
use portcullis_ledger::{KeyError, LedgerError, NameError, SenderId, TenantId};
use portcullis_plugin_store::PluginStoreError;

use crate::kept::{KeepError, KeptError};
use crate::reload::ReloadError;

/// Why an engine can't be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// No ledger was named.
    #[error(
        "an engine needs a ledger: call Builder::ledger, and Builder::master_key_file or Builder::master_key"
    )]
    NoLedger,
    /// The ledger's URL can't be read.
    #[error("the ledger's URL can't be read")]
    StorageUrl(#[from] portcullis_ledger::StorageUrlError),
    /// The master key can't be read or made.
    #[error("the master key can't be read")]
    MasterKey(#[from] KeyError),
    /// The ledger can't be opened.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Plugins can't be run on this machine.
    #[error("plugins can't be run here")]
    Host(#[from] HostError),
    /// The folder of saved states can't be taken over.
    #[error("the saved states in {} can't be taken over", dir.display())]
    States {
        /// The folder.
        dir: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What the ledger keeps of tenants' settings can't be read.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// Opening took place on a runtime that is shutting down.
    #[error("the runtime is shutting down")]
    Cancelled,
}

/// Why a tenant can't be served as its spec says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TenantError {
    /// Its plugin can't be had.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// Its plugin does not start with its options.
    #[error("the plugin {plugin} can't be started")]
    Start {
        /// The plugin.
        plugin: String,
        /// Why.
        #[source]
        source: CallError,
    },
    /// Its plugin does not take the entries there are.
    #[error("the plugin {plugin} can't be filled with the entries there are")]
    Fill {
        /// The plugin.
        plugin: String,
        /// Why.
        #[source]
        source: FillError,
    },
    /// The ledger failed.
    #[error("the ledger gives no list")]
    Ledger(#[from] LedgerError),
    /// What is to be kept with the tenant can't be.
    #[error(transparent)]
    Keep(#[from] KeepError),
}

/// Why an engine did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A name of a tenant or a sender is none.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No tenant has this name.
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    /// The tenant has no sender of this name.
    #[error("tenant {tenant} has no sender {sender}")]
    UnknownSender {
        /// The tenant.
        tenant: TenantId,
        /// The sender.
        sender: SenderId,
    },
    /// The tenant can't be served as its spec says.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The plugin was not exchanged.
    #[error(transparent)]
    Reload(Arc<ReloadError>),
    /// A plugin can't be put into the folder.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The work was cut short, as the runtime is shutting down or the work panicked.
    #[error("the work was cut short")]
    Cancelled,
}

impl From<ReloadError> for Error {
    fn from(error: ReloadError) -> Self {
        Error::Reload(Arc::new(error))
    }
}
