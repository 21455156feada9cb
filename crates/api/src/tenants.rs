//! `/admin/tenants`

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::settings::Tenant;

/// All tenants.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TenantsAnswer {
    /// By name.
    pub tenants: Vec<TenantAnswer>,
}

/// A tenant as it is set up.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TenantAnswer {
    pub id: String,
    pub managed_by: ManagedBy,
    /// As the body of a PUT, with digests in place of tokens, and `(set)` in place of other secrets.
    pub settings: Tenant,
}

/// Where a tenant was set up, which is where it can be changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum ManagedBy {
    File,
    Api,
}

/// What was removed.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RemovedAnswer {
    /// The tenant's or the sender's name.
    pub removed: String,
}
