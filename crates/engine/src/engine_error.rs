//! Errors of calls to the engine.

use std::sync::Arc;

use portcullis_admission::Closed;
use portcullis_ledger::{KeyError, LedgerError, NameError, SenderId, TenantId};
use portcullis_plugin_store::PluginStoreError;
use portcullis_tenant_rules::RuleExchangeError;
use portcullis_tenant_settings::KeptError;

use crate::error::TenantError;
use crate::reload::ReloadError;

/// An error of a call to the engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name of a tenant or a sender is not valid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// No tenant with this name is served.
    #[error("there is no tenant {0}")]
    UnknownTenant(TenantId),
    /// The tenant has no sender with this name.
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
    /// The reload failed.
    #[error(transparent)]
    Reload(Arc<ReloadError>),
    /// The exchange of a rule failed.
    #[error(transparent)]
    Rule(Arc<RuleExchangeError>),
    /// The stored settings of tenants can't be read.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The plugin can't be stored.
    #[error(transparent)]
    Plugin(#[from] PluginStoreError),
    /// The master key can't be rotated.
    #[error(transparent)]
    MasterKey(#[from] KeyError),
    /// The ledger failed.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The engine is closed.
    #[error("the engine is closed")]
    Closed,
    /// The operation was cut short: the runtime is shutting down, or the operation panicked.
    #[error("the operation was cut short")]
    Cancelled,
}

impl From<ReloadError> for Error {
    fn from(error: ReloadError) -> Self {
        Error::Reload(Arc::new(error))
    }
}

impl From<Closed> for Error {
    fn from(_: Closed) -> Self {
        Error::Closed
    }
}
