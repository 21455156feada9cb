//! A tenant's plugin chosen while the gateway runs: kept, so that the next start chooses it, too.

use std::sync::{Arc, PoisonError};

use portcullis_ledger::{Ledger, LedgerError, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tracing::info;

use super::Gateway;
use crate::config::{TenantConfig, typed};
use crate::reload::Setup;
use crate::tenant::{Origin, Tenant};

/// What the ledger keeps of a tenant's settings.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Stored {
    /// What a tenant of the configuration file has instead of what stands there.
    Choice(Choice),
    /// A tenant of the admin API, whole.
    Tenant(Box<typed::Tenant>),
}

/// A plugin that was chosen over the one in the configuration file. The later word counts: when the file says something new,
/// the choice is dropped.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choice {
    chosen: Chosen,
    over: Chosen,
}

#[derive(PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    plugin: String,
    version: Option<String>,
    options: Map<String, Value>,
}

impl Chosen {
    fn of(config: &TenantConfig) -> Self {
        Chosen {
            plugin: config.plugin.clone(),
            version: config.plugin_version.clone(),
            options: serde_json::from_str(&config.plugin_options).unwrap_or_default(),
        }
    }
}

impl Choice {
    /// Whether the file still says what the choice was made over.
    pub(super) fn applies_to(&self, in_file: &TenantConfig) -> bool {
        self.over == Chosen::of(in_file)
    }

    pub(super) fn apply(self, config: &mut TenantConfig) {
        config.plugin = self.chosen.plugin;
        config.plugin_version = self.chosen.version;
        config.plugin_options = serde_json::to_string(&self.chosen.options).unwrap_or_default();
    }
}

/// Why what the ledger keeps of tenants' settings is of no use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoredError {
    #[error("the ledger can't be read")]
    Ledger(#[from] LedgerError),
    #[error("what the ledger keeps of tenant {tenant}'s settings can't be read")]
    Unreadable {
        tenant: TenantId,
        #[source]
        source: serde_json::Error,
    },
}

/// The configuration file and the ledger, each with its say.
pub(super) struct Settled {
    /// The tenants of the file, with what was chosen while running where the file says nothing new.
    pub(super) in_file: Vec<TenantConfig>,
    /// Those of the admin API that the file does not have.
    pub(super) of_api: Vec<typed::Tenant>,
    /// Whose settings in the ledger count no more, as the file has the word.
    overtaken: Vec<TenantId>,
}

impl Settled {
    /// Changes nothing yet.
    pub(super) fn read(in_file: &[TenantConfig], ledger: &Ledger) -> Result<Self, StoredError> {
        let (in_file, of_api, overtaken) = (in_file.to_vec(), Vec::new(), Vec::new());
        let mut settled = Settled { in_file, of_api, overtaken };
        for (tenant, settings) in ledger.settings()? {
            let stored = serde_json::from_slice(&settings)
                .map_err(|source| StoredError::Unreadable { tenant: tenant.clone(), source })?;
            let in_file = settled.in_file.iter_mut().find(|config| config.id == tenant);
            match (stored, in_file) {
                (Stored::Choice(choice), Some(config)) if choice.applies_to(config) => choice.apply(config),
                // How a tenant gets from the admin API into the file: from then on the file has it.
                (Stored::Choice(_), _) | (Stored::Tenant(_), Some(_)) => settled.overtaken.push(tenant),
                (Stored::Tenant(typed), None) => settled.of_api.push(*typed),
            }
        }
        Ok(settled)
    }

    /// Drops from the ledger what counts no more.
    pub(super) fn drop_overtaken(&self, ledger: &Ledger) -> Result<(), LedgerError> {
        for tenant in &self.overtaken {
            ledger.remove_settings(tenant)?;
            info!(%tenant, "the configuration file has the word on this tenant now: what was set while running is dropped");
        }
        Ok(())
    }
}

impl Gateway {
    /// A tenant is served by another plugin now: makes that its settings, here and for the next start.
    ///
    /// # Errors
    ///
    /// Where it can't be written down: it holds all the same, until the next start.
    pub(crate) fn adopt(&self, tenant: &Tenant, setup: &Setup) -> Result<(), LedgerError> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = self.registry.load_full();
        let id = &tenant.config.id;
        let Some(now) = registry.tenant(id.as_str()) else { return Ok(()) };
        let config = TenantConfig {
            plugin: setup.version.name.clone(),
            plugin_version: setup.pinned.then(|| setup.version.digest.to_string()),
            plugin_options: setup.options.clone(),
            ..now.config.clone()
        };
        if config == now.config {
            return Ok(());
        }
        let adopted = Arc::new(now.with(config));
        self.registry.store(Arc::new(registry.with(Arc::clone(&adopted))));
        match adopted.origin {
            Origin::Api => self.store(id, &Stored::Tenant(Box::new(adopted.config.to_typed()))),
            Origin::File => {
                let in_file = self.in_file.load();
                let Some(in_file) = in_file.iter().find(|tenant| tenant.id == *id) else { return Ok(()) };
                let choice = Choice { chosen: Chosen::of(&adopted.config), over: Chosen::of(in_file) };
                match choice.chosen == choice.over {
                    true => self.equipment.ledger.remove_settings(id).map(drop),
                    false => self.store(id, &Stored::Choice(choice)),
                }
            }
        }
    }

    pub(super) fn store(&self, id: &TenantId, stored: &Stored) -> Result<(), LedgerError> {
        let settings = serde_json::to_vec(stored).unwrap_or_default();
        self.equipment.ledger.put_settings(id, &settings)
    }
}
