//! What the ledger keeps of a tenant's settings: the plugin that was chosen while the engine ran, and what the host wants kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use portcullis_ledger::{Ledger, LedgerError, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tracing::info;

use crate::spec::{PluginRef, TenantSpec};

/// What is kept of all tenants, as the ledger has it.
pub(crate) struct KeptSettings {
    ledger: Ledger,
    tenants: Mutex<BTreeMap<TenantId, Kept>>,
}

/// What is kept of one tenant.
#[derive(Clone, Default)]
struct Kept {
    choice: Option<Choice>,
    host: Option<Box<RawValue>>,
}

/// A plugin that was chosen over the one in the tenant's spec. When the spec says something new, the choice is dropped.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    chosen: PluginRef,
    over: PluginRef,
}

/// [`Kept`] as it is stored.
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

/// Why what the ledger keeps is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// The ledger can't be read.
    #[error("the ledger can't be read")]
    Ledger(#[from] LedgerError),
    /// What is kept of a tenant is no JSON.
    #[error("what the ledger keeps of tenant {tenant}'s settings can't be read")]
    Unreadable {
        /// Whose settings.
        tenant: TenantId,
        /// Where it goes wrong.
        #[source]
        source: serde_json::Error,
    },
}

/// Why something is not kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeepError {
    /// The ledger can't be written to.
    #[error("the ledger can't be changed")]
    Ledger(#[from] LedgerError),
    /// What the host wants kept is no JSON.
    #[error("what is to be kept is no JSON text")]
    NotJson(#[source] serde_json::Error),
}

impl Kept {
    fn parse(stored: &[u8]) -> Result<Self, serde_json::Error> {
        let error = match serde_json::from_slice::<Stored>(stored) {
            Ok(Stored { format: Format::Two, choice, host }) => return Ok(Kept { choice, host }),
            Err(error) => error,
        };
        // Before there was a format, it was either of the two, alone.
        if let Ok(choice) = serde_json::from_slice::<Choice>(stored) {
            return Ok(Kept { choice: Some(choice), host: None });
        }
        let host: Box<RawValue> = serde_json::from_slice(stored)?;
        if host.get().contains("\"portcullis/") {
            // A later format.
            return Err(error);
        }
        Ok(Kept { choice: None, host: Some(host) })
    }
}

impl KeptSettings {
    /// Reads what the ledger has. Changes nothing.
    pub(crate) fn load(ledger: Ledger) -> Result<Self, KeptError> {
        let mut tenants = BTreeMap::new();
        for (tenant, stored) in ledger.settings()? {
            let kept = Kept::parse(&stored)
                .map_err(|source| KeptError::Unreadable { tenant: tenant.clone(), source })?;
            tenants.insert(tenant, kept);
        }
        Ok(KeptSettings { ledger, tenants: Mutex::new(tenants) })
    }

    /// What the host wanted kept, by the tenants' names.
    pub(crate) fn hosts(&self) -> Vec<(TenantId, Vec<u8>)> {
        let host = |(tenant, kept): (&TenantId, &Kept)| {
            Some((tenant.clone(), kept.host.as_ref()?.get().as_bytes().to_vec()))
        };
        self.tenants().iter().filter_map(host).collect()
    }

    /// The plugin that was chosen over this one, if one was.
    pub(crate) fn chosen_over(&self, tenant: &TenantId, configured: &PluginRef) -> Option<PluginRef> {
        let tenants = self.tenants();
        let choice = tenants.get(tenant)?.choice.as_ref()?;
        (choice.over == *configured).then(|| choice.chosen.clone())
    }

    /// Keeps, durably, that this plugin was chosen over the one in the spec.
    pub(crate) fn choose(
        &self,
        tenant: &TenantId,
        chosen: &PluginRef,
        over: &PluginRef,
    ) -> Result<(), LedgerError> {
        let choice = (chosen != over).then(|| Choice { chosen: chosen.clone(), over: over.clone() });
        self.change(tenant, |kept| kept.choice = choice)
    }

    /// Keeps, durably, what the host wants, and the choice only where it was made over the spec's plugin.
    pub(crate) fn put(&self, spec: &TenantSpec) -> Result<(), KeepError> {
        let tenant = &spec.id;
        let host = spec.kept.as_deref();
        let host =
            host.map(serde_json::from_slice::<Box<RawValue>>).transpose().map_err(KeepError::NotJson)?;
        self.change(tenant, |kept| {
            kept.host = host;
            let is_dropped = kept
                .choice
                .as_ref()
                .is_some_and(|choice| spec.resets_choice || choice.over != spec.plugin);
            if is_dropped {
                info!(%tenant, "the plugin that was chosen by a reload is dropped: the tenant's settings name another one");
                kept.choice = None;
            }
        })?;
        Ok(())
    }

    /// After the tenant was forgotten by the ledger.
    pub(crate) fn forget(&self, tenant: &TenantId) {
        self.tenants().remove(tenant);
    }

    fn change(&self, tenant: &TenantId, change: impl FnOnce(&mut Kept)) -> Result<(), LedgerError> {
        let mut tenants = self.tenants();
        let before = tenants.get(tenant).cloned().unwrap_or_default();
        let mut after = before.clone();
        change(&mut after);
        let text = |kept: &Kept| kept.host.as_ref().map(|host| host.get().to_owned());
        if after.choice == before.choice && text(&after) == text(&before) {
            return Ok(());
        }
        if after.choice.is_none() && after.host.is_none() {
            self.ledger.remove_settings(tenant)?;
            tenants.remove(tenant);
            return Ok(());
        }
        let Kept { choice, host } = after.clone();
        let stored = serde_json::to_vec(&Stored { format: Format::Two, choice, host })
            .map_err(|_| LedgerError::Defect)?;
        self.ledger.put_settings(tenant, &stored)?;
        tenants.insert(tenant.clone(), after);
        Ok(())
    }

    fn tenants(&self) -> MutexGuard<'_, BTreeMap<TenantId, Kept>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_before_there_was_a_format_is_read() {
        let exact = r#"{"plugin":"exact","version":null,"options":{}}"#;
        let choice = Kept::parse(format!(r#"{{"chosen":{exact},"over":{exact}}}"#).as_bytes()).unwrap();
        assert!(choice.choice.is_some() && choice.host.is_none());
        let host = Kept::parse(br#"{"id":"acme","plugin":"exact"}"#).unwrap();
        assert!(host.choice.is_none());
        assert_eq!(host.host.unwrap().get(), r#"{"id":"acme","plugin":"exact"}"#);
    }

    #[test]
    fn a_later_format_is_refused() {
        assert!(Kept::parse(br#"{"format":"portcullis/3","more":1}"#).is_err());
        assert!(Kept::parse(b"not JSON").is_err());
    }
}
