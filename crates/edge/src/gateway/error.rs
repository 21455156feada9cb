//! Why settings are not applied.

use std::fmt;

use portcullis_engine::{Error, TenantError};
use portcullis_ledger::TenantId;

use crate::settings::TenantConfig;
use crate::settings::{FieldPath, Problem, UniqueIds};

/// Why the settings of tenants are not applied. Nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// Two tenants have something that only one can have.
    #[error("tenant {tenant}, {place}: {what}")]
    Conflict {
        /// The second of them.
        tenant: TenantId,
        /// Where in its settings.
        place: FieldPath,
        /// What is wrong, and what to do.
        what: String,
    },
    /// What is kept of a tenant of the admin API can't be read.
    #[error("what the ledger keeps of tenant {tenant}'s settings can't be read")]
    Unreadable {
        /// The tenant.
        tenant: TenantId,
        /// What its reader says.
        source: serde_json::Error,
    },
    /// What is kept of a tenant of the admin API is not valid any more.
    #[error("the settings of tenant {tenant}, made through the admin API, are refused: {}", Listed(.problems))]
    Stale {
        /// The tenant's name.
        tenant: String,
        /// What is wrong with them.
        problems: Vec<Problem>,
    },
    /// Settings can't be written as JSON.
    #[error("the settings of a tenant can't be written down")]
    Unwritable(#[from] serde_json::Error),
    /// A tenant can't be served.
    #[error("tenant {tenant} can't be served")]
    Tenant {
        /// The tenant.
        tenant: TenantId,
        /// Why.
        source: TenantError,
    },
    /// The engine refuses something.
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
    /// Claims all that a tenant has; the first contradiction is an error.
    pub(super) fn claim_or_refuse(&mut self, config: &TenantConfig) -> Result<(), SettingsError> {
        match self.claim(config, &FieldPath::default()).into_iter().next() {
            None => Ok(()),
            Some(Problem { place, what, .. }) => {
                Err(SettingsError::Conflict { tenant: config.id.clone(), place, what })
            }
        }
    }
}
