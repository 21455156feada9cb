//! Why settings are not stored, or not read.

use portcullis_ledger::{LedgerError, TenantId};

/// An error of reading tenants' stored settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// The ledger can't be read.
    #[error("the tenants' settings can't be read from the ledger")]
    Ledger(#[from] LedgerError),
    /// A tenant's settings have an unknown format: a newer version may have written them.
    #[error("the stored settings of tenant {tenant} can't be parsed")]
    Unreadable {
        /// The tenant.
        tenant: TenantId,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
}

/// An error of storing a tenant's settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// The ledger can't be written.
    #[error("the tenant's settings can't be written to the ledger")]
    Ledger(#[from] LedgerError),
    /// The spec has [`acknowledge`](crate::TenantSpec::acknowledge()) or [`rules`](crate::TenantSpec::rules()), and the ledger's upgrade is
    /// not finished: gateways of the version before could not read that.
    #[error(
        "the ledger is being upgraded, and gateways of the version before would not heed {setting}: once all are upgraded, run \
         `portcullis migrate --finish`, and set it then"
    )]
    Upgrading {
        /// The setting's name.
        setting: &'static str,
    },
    /// The data given to [`TenantSpec::kept`](crate::TenantSpec::kept()) is not JSON.
    #[error("the data to keep with the tenant is not JSON")]
    NotJson(#[source] serde_json::Error),
}
