//! Why the settings of tenants can't be applied.

use std::fmt;

use portcullis_engine::{Error, TenantError};
use portcullis_ledger::TenantId;

use crate::settings::{FieldPath, Problem, TenantConfig, UniqueIds};

/// Why the settings of tenants can't be applied.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Two tenants have the same name, token or id, which must be unique.
    #[error("tenant {tenant}, {place}: {what}")]
    Conflict {
        /// The second of the two tenants.
        tenant: TenantId,
        /// The place in its settings.
        place: FieldPath,
        /// What is wrong, and what to do.
        what: String,
    },
    /// The stored settings of a tenant of the admin API can't be parsed.
    #[error("cannot parse the settings of tenant {tenant} that are stored in the ledger")]
    Unreadable {
        /// The tenant.
        tenant: TenantId,
        /// The parser's error.
        source: serde_json::Error,
    },
    /// The stored settings of a tenant of the admin API are no longer valid.
    #[error("the settings of tenant {tenant}, made through the admin API, are invalid: {}", Listed(.problems))]
    Stale {
        /// The tenant's name.
        tenant: String,
        /// What is wrong with them.
        problems: Vec<Problem>,
    },
    /// The settings can't be serialized as JSON.
    #[error("cannot serialize the settings of a tenant")]
    Unwritable(#[from] serde_json::Error),
    /// A tenant can't be served.
    #[error("tenant {tenant} can't be served")]
    Tenant {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        source: TenantError,
    },
    /// The engine failed.
    #[error(transparent)]
    Engine(#[from] Error),
}

struct Listed<'a>(&'a [Problem]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Problem { place, what, .. }) in self.0.iter().enumerate() {
            write!(f, "{}{place}: {what}", if index == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl UniqueIds {
    /// Claims the tenant's unique ids. The first conflict is an error.
    pub(super) fn claim_or_refuse(&mut self, config: &TenantConfig) -> Result<(), SettingsError> {
        match self.claim(config, &FieldPath::default()).into_iter().next() {
            None => Ok(()),
            Some(Problem { place, what, .. }) => {
                Err(SettingsError::Conflict { tenant: config.id.clone(), place, what })
            }
        }
    }
}
