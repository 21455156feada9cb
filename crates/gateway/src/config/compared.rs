//! The settings that should be the same at all gateways of a fleet.

use std::collections::BTreeMap;

use portcullis_proxy::secrets::Secrets;
use tracing::warn;

use super::Config;

impl Config {
    /// These settings by name, in a form that is the same if they are, as they are in force: those of tenants, keys and sources, and secrets of
    /// `meta`, are of this
    /// file, and all others are of the one at the start, as they [need a restart](Config::needing_a_restart). It has **secrets in clear**.
    ///
    /// What may depend on the machine is left out: addresses, folders, memory and the limits of connections.
    pub(crate) fn compared(&self, at_start: &Config) -> BTreeMap<String, String> {
        let clear = |secrets: &Option<Secrets>| {
            secrets.as_ref().map(|secrets| secrets.iter().collect::<Vec<_>>().join("\n"))
        };
        let (fleet, meta) = (&at_start.fleet, at_start.meta.without_secrets());
        let (app_secret, verify_token) = (clear(&self.meta.app_secret), clear(&self.meta.verify_token));
        let mut settings: BTreeMap<String, String> = [
            ("plugins.limits", format!("{:?}", at_start.plugin_limits)),
            ("plugins.trusted_keys", format!("{:?}", self.trusted_keys)),
            ("plugins.sources", format!("{:?}", self.sources)),
            ("plugins.watch_seconds", at_start.watch.as_secs().to_string()),
            ("plugins.check_patience_ms", at_start.check_patience.as_millis().to_string()),
            ("plugins.on_start_failure", format!("{:?}", at_start.on_start_failure)),
            ("fleet.stale_after", fleet.stale_after.as_millis().to_string()),
            ("fleet.when_stale", format!("{:?}", fleet.when_stale)),
            ("dialects", format!("{:?}", at_start.dialects)),
            ("meta", format!("{meta:?} {app_secret:?} {verify_token:?}")),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
        for tenant in &self.tenants {
            match tenant.compared() {
                Ok(of_tenant) => settings.extend(of_tenant),
                Err(error) => warn!(tenant = %tenant.id, %error, "the tenant's settings can't be compared"),
            }
        }
        settings
    }
}
