//! The stored settings of the admin API's tenants, where the configuration file takes precedence.

use portcullis_engine::Engine;

use super::SettingsError;
use tracing::info;

use crate::settings::TenantConfig;
use portcullis_api::settings as typed;

/// The stored settings of the admin API's tenants, except those that the file names.
pub(super) fn tenants_of_api(
    engine: &Engine,
    in_file: &[TenantConfig],
) -> Result<Vec<typed::Tenant>, SettingsError> {
    let mut tenants = Vec::new();
    for (tenant, stored) in engine.kept() {
        if in_file.iter().any(|config| config.id == tenant) {
            // This is how a tenant moves from the admin API into the file.
            info!(%tenant, "the configuration file names this tenant: its settings from the admin API are dropped");
            continue;
        }
        let typed =
            serde_json::from_slice(&stored).map_err(|source| SettingsError::Unreadable { tenant, source })?;
        tenants.push(typed);
    }
    Ok(tenants)
}
