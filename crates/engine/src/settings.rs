//! Tenants' settings that outlive a restart: the plugin that a reload chose, and the host's own data.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use portcullis_ledger::{Ledger, LedgerError, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::info;

use crate::spec::{PluginRef, TenantSpec};

/// The settings of all tenants, in memory as they are in the ledger.
pub(crate) struct SettingsStore {
    ledger: Ledger,
    known: Mutex<Known>,
}

/// What is known of the ledger's settings.
#[derive(Default)]
struct Known {
    tenants: BTreeMap<TenantId, Settings>,
    /// The version of the settings before they were read.
    version: u64,
    /// Tenants whose settings another engine changed, and that were not yet [taken](SettingsStore::take_changed).
    changed: BTreeSet<TenantId>,
}

/// The settings of one tenant.
#[derive(Clone, Default)]
struct Settings {
    choice: Option<Choice>,
    host: Option<Box<RawValue>>,
}

/// A plugin that a reload chose over the one in the tenant's spec. It is dropped when the spec names another plugin.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    chosen: PluginRef,
    over: PluginRef,
    /// Of several engines that share the ledger: the version that all have, if `chosen` names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<String>,
}

/// The plugin that serves a tenant, as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Chosen {
    pub(crate) plugin: PluginRef,
    /// The version that all engines have which share the ledger, if `plugin` names none.
    pub(crate) at: Option<String>,
}

/// [`Settings`] as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: Format,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    choice: Option<Choice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
enum Format {
    #[serde(rename = "portcullis/2")]
    Two,
}

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
    /// The data given to [`TenantSpec::kept`] is not JSON.
    #[error("the data to keep with the tenant is not JSON")]
    NotJson(#[source] serde_json::Error),
}

impl Settings {
    fn parse(stored: &[u8]) -> Result<Self, serde_json::Error> {
        let error = match serde_json::from_slice::<Stored>(stored) {
            Ok(Stored { format: Format::Two, choice, host }) => return Ok(Settings { choice, host }),
            Err(error) => error,
        };
        // The first format stored either of the two, without a name.
        if let Ok(choice) = serde_json::from_slice::<Choice>(stored) {
            return Ok(Settings { choice: Some(choice), host: None });
        }
        let host: Box<RawValue> = serde_json::from_slice(stored)?;
        if host.get().contains("\"portcullis/") {
            // A newer format.
            return Err(error);
        }
        Ok(Settings { choice: None, host: Some(host) })
    }

    fn is_same(&self, other: &Self) -> bool {
        let host = |settings: &Self| settings.host.as_ref().map(|host| host.get().to_owned());
        self.choice == other.choice && host(self) == host(other)
    }
}

impl SettingsStore {
    /// Reads the ledger. Changes nothing in it.
    pub(crate) fn load(ledger: Ledger) -> Result<Self, KeptError> {
        let version = ledger.settings_version()?;
        let known = Known { tenants: read(&ledger)?, version, changed: BTreeSet::new() };
        Ok(SettingsStore { ledger, known: Mutex::new(known) })
    }

    /// Reads what other engines that share the ledger have changed, and returns the tenants that this is about: each once. Costs one
    /// lookup if nothing has changed.
    pub(crate) fn take_changed(&self) -> Result<BTreeSet<TenantId>, KeptError> {
        let mut known = self.known.lock();
        self.refresh(&mut known)?;
        Ok(std::mem::take(&mut known.changed))
    }

    fn refresh(&self, known: &mut Known) -> Result<(), KeptError> {
        if !self.ledger.is_shared() {
            return Ok(());
        }
        // Before the settings, so that a change meanwhile is found the next time.
        let version = self.ledger.settings_version()?;
        if version == known.version {
            return Ok(());
        }
        let tenants = read(&self.ledger)?;
        let differs = |tenant: &&TenantId| match (tenants.get(tenant), known.tenants.get(tenant)) {
            (Some(now), Some(before)) => !now.is_same(before),
            _ => true,
        };
        let changed: Vec<TenantId> =
            tenants.keys().chain(known.tenants.keys()).filter(differs).cloned().collect();
        known.changed.extend(changed);
        (known.tenants, known.version) = (tenants, version);
        Ok(())
    }

    /// The host's data of one tenant.
    pub(crate) fn host_data_of(&self, tenant: &TenantId) -> Option<Vec<u8>> {
        let known = self.known.lock();
        Some(known.tenants.get(tenant)?.host.as_ref()?.get().as_bytes().to_vec())
    }

    /// The host's data, by tenant.
    pub(crate) fn host_data(&self) -> Vec<(TenantId, Vec<u8>)> {
        let host = |(tenant, settings): (&TenantId, &Settings)| {
            Some((tenant.clone(), settings.host.as_ref()?.get().as_bytes().to_vec()))
        };
        self.known.lock().tenants.iter().filter_map(host).collect()
    }

    /// All tenants of the ledger, served or not.
    pub(crate) fn all_tenants(&self) -> Result<Vec<TenantId>, LedgerError> {
        self.ledger.tenants()
    }

    /// The plugin that a reload chose over this one.
    pub(crate) fn chosen_over(&self, tenant: &TenantId, configured: &PluginRef) -> Option<Chosen> {
        let known = self.known.lock();
        let choice = known.tenants.get(tenant)?.choice.as_ref()?;
        let chosen = || Chosen { plugin: choice.chosen.clone(), at: choice.at.clone() };
        (choice.over == *configured).then(chosen)
    }

    /// The tenants for which a choice is stored. Reads what other engines have changed.
    pub(crate) fn with_choice(&self) -> Result<BTreeSet<TenantId>, KeptError> {
        let mut known = self.known.lock();
        self.refresh(&mut known)?;
        let chosen = known.tenants.iter().filter(|(_, settings)| settings.choice.is_some());
        Ok(chosen.map(|(tenant, _)| tenant.clone()).collect())
    }

    /// The versions that reloads chose, also of tenants that are not served now, as digests in text form.
    pub(crate) fn chosen_versions(&self) -> Vec<String> {
        let version = |settings: &Settings| {
            let choice = settings.choice.as_ref()?;
            choice.at.clone().or_else(|| choice.chosen.version.clone())
        };
        self.known.lock().tenants.values().filter_map(version).collect()
    }

    /// Stores that a plugin was chosen over the one in the spec.
    pub(crate) fn choose(
        &self,
        tenant: &TenantId,
        chosen: Chosen,
        over: &PluginRef,
    ) -> Result<(), LedgerError> {
        let Chosen { plugin: chosen, at } = chosen;
        let differs = chosen != *over || at.is_some();
        let choice = differs.then(|| Choice { chosen, over: over.clone(), at });
        self.change(tenant, |settings| settings.choice = choice)
    }

    /// Stores the host's data, and drops a choice that was made over another plugin than the spec's.
    pub(crate) fn put(&self, spec: &TenantSpec) -> Result<(), KeepError> {
        let tenant = &spec.id;
        let host = spec.kept.as_deref();
        let host =
            host.map(serde_json::from_slice::<Box<RawValue>>).transpose().map_err(KeepError::NotJson)?;
        self.change(tenant, |settings| {
            settings.host = host;
            let is_dropped = settings
                .choice
                .as_ref()
                .is_some_and(|choice| spec.resets_choice || choice.over != spec.plugin);
            if is_dropped {
                info!(%tenant, "the tenant's settings name another plugin: the one chosen by a reload is dropped");
                settings.choice = None;
            }
        })?;
        Ok(())
    }

    /// Call after the ledger forgot the tenant.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.known.lock().tenants.remove(tenant);
    }

    fn change(&self, tenant: &TenantId, change: impl FnOnce(&mut Settings)) -> Result<(), LedgerError> {
        let mut known = self.known.lock();
        // Another engine may have changed the other half.
        self.refresh(&mut known).map_err(|error| match error {
            KeptError::Ledger(error) => error,
            KeptError::Unreadable { .. } => LedgerError::damaged("settings of a tenant"),
        })?;
        let tenants = &mut known.tenants;
        let before = tenants.get(tenant).cloned().unwrap_or_default();
        let mut after = before.clone();
        change(&mut after);
        if after.is_same(&before) {
            return Ok(());
        }
        if after.choice.is_none() && after.host.is_none() {
            self.ledger.remove_settings(tenant)?;
            tenants.remove(tenant);
            return Ok(());
        }
        let Settings { choice, host } = after.clone();
        let stored = serde_json::to_vec(&Stored { format: Format::Two, choice, host })
            .map_err(|_| LedgerError::Defect)?;
        self.ledger.put_settings(tenant, &stored)?;
        tenants.insert(tenant.clone(), after);
        Ok(())
    }
}

fn read(ledger: &Ledger) -> Result<BTreeMap<TenantId, Settings>, KeptError> {
    let mut tenants = BTreeMap::new();
    for (tenant, stored) in ledger.settings()? {
        let settings = Settings::parse(&stored)
            .map_err(|source| KeptError::Unreadable { tenant: tenant.clone(), source })?;
        tenants.insert(tenant, settings);
    }
    Ok(tenants)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_a_format_are_read() {
        let exact = r#"{"plugin":"exact","version":null,"options":{}}"#;
        let choice = Settings::parse(format!(r#"{{"chosen":{exact},"over":{exact}}}"#).as_bytes()).unwrap();
        assert!(choice.choice.is_some() && choice.host.is_none());
        let host = Settings::parse(br#"{"id":"acme","plugin":"exact"}"#).unwrap();
        assert!(host.choice.is_none());
        assert_eq!(host.host.unwrap().get(), r#"{"id":"acme","plugin":"exact"}"#);
    }

    #[test]
    fn a_newer_format_is_an_error() {
        assert!(Settings::parse(br#"{"format":"portcullis/3","more":1}"#).is_err());
        assert!(Settings::parse(b"not JSON").is_err());
    }
}
