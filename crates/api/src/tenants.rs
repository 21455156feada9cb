//! `/admin/tenants`: the administrator's view of tenants.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::{Sender, Tenant};

/// All tenants.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TenantsAnswer {
    /// The tenants, sorted by name.
    pub tenants: Vec<TenantAnswer>,
}

/// A tenant and its settings.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TenantAnswer {
    /// The tenant's name.
    pub id: String,
    /// Where the tenant was configured.
    pub managed_by: ManagedBy,
    /// The settings, in the form of a PUT body, with digests in place of tokens and `(set)` in place of other secrets.
    pub settings: Tenant,
}

/// A sender and its settings.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct SenderAnswer {
    /// The sender's name.
    pub id: String,
    /// The tenant's name.
    pub tenant: String,
    /// Where the tenant was configured.
    pub managed_by: ManagedBy,
    /// The settings, in the form of a PUT body, with digests in place of tokens and `(set)` in place of other secrets.
    pub settings: Sender,
}

/// Where a tenant was configured, and so where it can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ManagedBy {
    /// In the configuration file.
    File,
    /// Through the admin API.
    Api,
}

/// A removed tenant or sender.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RemovedAnswer {
    /// Its name.
    pub removed: String,
}
