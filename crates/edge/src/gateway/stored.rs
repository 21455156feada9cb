//! The configuration file and the tenants of the admin API, which the engine keeps: each with its say.

use portcullis_engine::Engine;

use super::SettingsError;
use tracing::info;

use crate::settings::TenantConfig;
use portcullis_api::settings as typed;

/// The tenants of the admin API that the file does not have.
pub(super) fn tenants_of_api(
    engine: &Engine,
    in_file: &[TenantConfig],
) -> Result<Vec<typed::Tenant>, SettingsError> {
    let mut tenants = Vec::new();
    for (tenant, stored) in engine.kept() {
        if in_file.iter().any(|config| config.id == tenant) {
            // How a tenant gets from the admin API into the file: from then on the file has it.
            info!(%tenant, "the configuration file has the word on this tenant now: what was set while running is dropped");
            continue;
        }
        let typed =
            serde_json::from_slice(&stored).map_err(|source| SettingsError::Unreadable { tenant, source })?;
        tenants.push(typed);
    }
    Ok(tenants)
}
