//! Tenants' settings that outlive a restart: the plugin that a reload chose, and the host's own data.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;
use portcullis_ledger::{Ledger, LedgerError, TenantId};
use serde_json::value::RawValue;
use tracing::info;

use crate::acknowledge::Acknowledge;
use crate::acknowledged::{Acknowledged, Text};
use crate::chosen::Chosen;
use crate::error::{KeepError, KeptError};
use crate::plugin_ref::PluginRef;
use crate::spec::TenantSpec;
use crate::stored::{Choice, Settings};

/// How often a change is tried if each time another engine stores one of the same tenant first.
const TRIES: usize = 10;

/// The settings of all tenants, in memory as they are in the ledger.
pub struct SettingsStore {
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
    /// Tenants whose changes were undone, and that were not yet [taken](SettingsStore::take_undone).
    undone: BTreeSet<TenantId>,
    /// Those of which another engine changed the choice, and that was not yet [taken](SettingsStore::take_choice).
    rechosen: BTreeSet<TenantId>,
    /// The ledger's [lineage](Ledger::lineage) before they were read.
    lineage: u64,
    /// What was changed lately.
    acknowledged: Acknowledged,
}

impl SettingsStore {
    /// Reads the ledger. Changes nothing in it. Blocks, as does all that reads or writes the ledger here.
    ///
    /// # Errors
    /// If the ledger can't be read, or holds settings that can't be parsed.
    pub fn load(ledger: Ledger) -> Result<Self, KeptError> {
        let version = ledger.settings_version()?;
        let lineage = ledger.lineage();
        let known = Known { tenants: read(&ledger)?, version, lineage, ..Known::default() };
        Ok(SettingsStore { ledger, known: Mutex::new(known) })
    }

    /// Reads what other engines that share the ledger have changed, and returns the tenants that this is about: each once. Costs one
    /// lookup if nothing has changed.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn take_changed(&self) -> Result<BTreeSet<TenantId>, KeptError> {
        let mut known = self.known.lock();
        self.refresh(&mut known)?;
        Ok(std::mem::take(&mut known.changed))
    }

    /// Whether another engine has changed the choice of a tenant's plugin since the last call, as far as was read.
    pub fn take_choice(&self, tenant: &TenantId) -> bool {
        self.known.lock().rechosen.remove(tenant)
    }

    fn refresh(&self, known: &mut Known) -> Result<(), KeptError> {
        if !self.ledger.is_shared() {
            return Ok(());
        }
        let version = self.ledger.settings_version()?;
        // On another server, the same number may be of other settings.
        match version == known.version && self.ledger.lineage() == known.lineage {
            true => Ok(()),
            false => self.read_again(known, version),
        }
    }

    /// `version` was read before, so that a change meanwhile is found the next time.
    fn read_again(&self, known: &mut Known, version: u64) -> Result<(), KeptError> {
        let lineage = self.ledger.lineage();
        let tenants = read(&self.ledger)?;
        let differs = |tenant: &&TenantId| match (tenants.get(tenant), known.tenants.get(tenant)) {
            (Some(now), Some(before)) => !now.is_same(before),
            _ => true,
        };
        let changed: Vec<TenantId> =
            tenants.keys().chain(known.tenants.keys()).filter(differs).cloned().collect();
        let is_rechosen = |tenant: &&TenantId| {
            let [now, before] = [&tenants, &known.tenants]
                .map(|all| all.get(*tenant).and_then(|found| found.choice.as_ref()));
            now != before
        };
        let rechosen: Vec<TenantId> = changed.iter().filter(is_rechosen).cloned().collect();
        if lineage == known.lineage {
            for tenant in &changed {
                let (before, after) = (text(known.tenants.get(tenant)), text(tenants.get(tenant)));
                known.acknowledged.note(tenant, before, after, false);
            }
        } else {
            // What differs is what others changed, or what a server that took over lacks.
            let stored = |tenant: &TenantId| text(tenants.get(tenant));
            let undone = known.acknowledged.take_undone(stored);
            known.undone.extend(undone);
        }
        known.changed.extend(changed);
        known.rechosen.extend(rechosen);
        (known.tenants, known.version, known.lineage) = (tenants, version, lineage);
        Ok(())
    }

    /// The tenants of which this engine changed something within five minutes before a shared ledger lost it, as at a failover: each
    /// once, after it was [noticed](Self::take_changed). Costs nothing if there are none.
    pub fn take_undone(&self) -> BTreeSet<TenantId> {
        std::mem::take(&mut self.known.lock().undone)
    }

    /// Notes a change that is stored.
    fn note(&self, known: &mut Known, tenant: &TenantId, after: Option<Settings>) {
        if self.ledger.is_shared() {
            let before = text(known.tenants.get(tenant));
            known.acknowledged.note(tenant, before, text(after.as_ref()), true);
        }
        match after {
            None => known.tenants.remove(tenant),
            Some(after) => known.tenants.insert(tenant.clone(), after),
        };
    }

    /// The host's data of one tenant.
    pub fn host_data_of(&self, tenant: &TenantId) -> Option<Vec<u8>> {
        let known = self.known.lock();
        Some(known.tenants.get(tenant)?.host.as_ref()?.get().as_bytes().to_vec())
    }

    /// The host's data of one tenant, as other engines that share the ledger have left it. Costs one lookup if nothing has changed.
    ///
    /// # Errors
    /// If the ledger can't be read, or holds settings that can't be parsed.
    pub fn latest_host_data_of(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>, LedgerError> {
        self.refresh(&mut self.known.lock()).map_err(of_ledger)?;
        Ok(self.host_data_of(tenant))
    }

    /// The host's data, by tenant.
    pub fn host_data(&self) -> Vec<(TenantId, Vec<u8>)> {
        let host = |(tenant, settings): (&TenantId, &Settings)| {
            Some((tenant.clone(), settings.host.as_ref()?.get().as_bytes().to_vec()))
        };
        self.known.lock().tenants.iter().filter_map(host).collect()
    }

    /// All tenants of the ledger, served or not.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn all_tenants(&self) -> Result<Vec<TenantId>, LedgerError> {
        self.ledger.tenants()
    }

    /// The plugin that a reload chose over this one.
    pub fn chosen_over(&self, tenant: &TenantId, configured: &PluginRef) -> Option<Chosen> {
        let known = self.known.lock();
        known.tenants.get(tenant)?.choice.as_ref()?.over(configured)
    }

    /// What was chosen over this rules plugin.
    pub fn rule_over(&self, tenant: &TenantId, configured: &PluginRef) -> Option<Chosen> {
        let known = self.known.lock();
        known.tenants.get(tenant)?.rules.iter().find_map(|choice| choice.over(configured))
    }

    /// Stores which version and options of a rules plugin were chosen over those in the spec. They hold until a spec names others.
    ///
    /// # Errors
    /// If the ledger can't be read or written, or is being upgraded; [`LedgerError::SettingsChanged`] if other engines change the tenant all
    /// the time.
    pub fn choose_rule(&self, tenant: &TenantId, chosen: Chosen, over: &PluginRef) -> Result<(), KeepError> {
        if self.ledger.is_upgrading()? {
            return Err(KeepError::Upgrading { setting: "rules" });
        }
        let Chosen { plugin, at } = chosen;
        let differs = plugin != *over || at.is_some();
        let choice = Choice { chosen: plugin, over: over.clone(), at };
        self.change(tenant, |settings| {
            settings.rules.retain(|other| other.over.name() != over.name());
            settings.rules.extend(differs.then(|| choice.clone()));
            Ok(())
        })?;
        Ok(())
    }

    /// The tenants for which a choice is stored. Reads what other engines have changed.
    ///
    /// # Errors
    /// Those of [`load`](Self::load).
    pub fn with_choice(&self) -> Result<BTreeSet<TenantId>, KeptError> {
        let mut known = self.known.lock();
        self.refresh(&mut known)?;
        let chosen = known.tenants.iter().filter(|(_, settings)| settings.choice.is_some());
        Ok(chosen.map(|(tenant, _)| tenant.clone()).collect())
    }

    /// The versions that reloads chose, also of tenants that are not served now: the plugins' names, and digests in text form.
    pub fn chosen_versions(&self) -> Vec<(String, String)> {
        let version = |choice: &Choice| {
            let version = choice.at.as_deref().or(choice.chosen.pinned_version())?;
            Some((choice.chosen.name().to_owned(), version.to_owned()))
        };
        let choices = |settings: &Settings| -> Vec<(String, String)> {
            settings.choice.iter().chain(&settings.rules).filter_map(version).collect()
        };
        self.known.lock().tenants.values().flat_map(choices).collect()
    }

    /// Stores that a plugin was chosen over the one in the spec. While a shared ledger is upgraded, it is not stored
    /// [which version](Chosen::at): engines of the version before could not read that. If it matters that it is `exactly` that version, the
    /// tenant is pinned to it then.
    ///
    /// `may_replace` is asked for what is stored at that moment as [chosen over](Self::chosen_over) the same plugin: another engine may have
    /// chosen something since. Returns whether it is stored: not if it may not.
    ///
    /// # Errors
    /// If the ledger can't be read or written; [`LedgerError::SettingsChanged`] if other engines change the tenant all the time.
    pub fn choose(
        &self,
        tenant: &TenantId,
        chosen: Chosen,
        exactly: bool,
        over: &PluginRef,
        may_replace: impl Fn(Option<&Chosen>) -> bool,
    ) -> Result<bool, LedgerError> {
        let Chosen { plugin: mut chosen, mut at } = chosen;
        if at.is_some()
            && self.ledger.is_upgrading()?
            && let Some(version) = at.take()
            && exactly
        {
            chosen = PluginRef::version(chosen.name(), version).options(chosen.plugin_options().clone());
        }
        let differs = chosen != *over || at.is_some();
        let choice = differs.then(|| Choice { chosen, over: over.clone(), at });
        let is_stored = Cell::new(false);
        self.change(tenant, |settings| {
            let stored = settings.choice.as_ref().and_then(|stored| stored.over(over));
            // It may be stored already, if the answer to an earlier try was lost.
            is_stored.set(settings.choice == choice || may_replace(stored.as_ref()));
            if is_stored.get() {
                settings.choice.clone_from(&choice);
            }
            Ok(())
        })?;
        Ok(is_stored.get())
    }

    /// Stores the host's data, and drops a choice that was made over another plugin than the spec's. Writes nothing if the spec is
    /// [stored](TenantSpec::stored()).
    ///
    /// # Errors
    /// If the data is not JSON, or can't be stored while the ledger is upgraded; if the ledger can't be read or written; or
    /// [`LedgerError::SettingsChanged`], if there is other data than the spec is [put over](TenantSpec::kept_over()), or if other engines
    /// change the tenant all the time.
    pub fn put(&self, spec: &TenantSpec) -> Result<(), KeepError> {
        if spec.is_stored {
            return Ok(());
        }
        let tenant = &spec.id;
        let host = spec.kept.as_deref();
        let host =
            host.map(serde_json::from_slice::<Box<RawValue>>).transpose().map_err(KeepError::NotJson)?;
        if host.is_some() {
            let setting = match spec {
                TenantSpec { acknowledge: Acknowledge::Fleet, .. } => Some("acknowledge"),
                TenantSpec { rules, .. } if !rules.is_empty() => Some("rules"),
                _ => None,
            };
            if let Some(setting) = setting
                && self.ledger.is_upgrading()?
            {
                return Err(KeepError::Upgrading { setting });
            }
        }
        self.change(tenant, |settings| {
            let found = settings.host.as_ref().map(|host| host.get().as_bytes());
            if spec.kept_over.is_some() && found != spec.kept_over.as_deref() {
                return Err(LedgerError::SettingsChanged);
            }
            settings.host.clone_from(&host);
            let is_dropped = settings
                .choice
                .as_ref()
                .is_some_and(|choice| spec.drops_choice(&choice.chosen) || choice.over != spec.plugin);
            let stays = |choice: &Choice| {
                !spec.resets_choice && spec.rules.iter().any(|rule| rule.plugin == choice.over)
            };
            settings.rules.retain(stays);
            if is_dropped {
                info!(%tenant, "the tenant's settings name another plugin: the one chosen by a reload is dropped");
                settings.choice = None;
            }
            Ok(())
        })?;
        Ok(())
    }

    /// Call after the ledger forgot the tenant.
    pub fn forget(&self, tenant: &TenantId) {
        self.note(&mut self.known.lock(), tenant, None);
    }

    /// Changes what is stored of a tenant. `change` is run again if another engine changes that meanwhile.
    fn change(
        &self,
        tenant: &TenantId,
        change: impl Fn(&mut Settings) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut known = self.known.lock();
        // Another engine may have changed the other half.
        self.refresh(&mut known).map_err(of_ledger)?;
        for _ in 0..TRIES {
            let before = known.tenants.get(tenant).cloned().unwrap_or_default();
            let mut after = before.clone();
            change(&mut after)?;
            if after.is_same(&before) {
                return Ok(());
            }
            after.stored = match after.is_empty() {
                true => None,
                false => Some(after.text().map_err(|_| LedgerError::Defect)?),
            };
            match self.ledger.replace_settings(tenant, before.stored.as_deref(), after.stored.as_deref()) {
                Ok(()) => {
                    let after = Some(after).filter(|after| !after.is_empty());
                    self.note(&mut known, tenant, after);
                    return Ok(());
                }
                // Whatever the version says: after a failover it may be one that there was before.
                Err(LedgerError::SettingsChanged) => {
                    let version = self.ledger.settings_version()?;
                    self.read_again(&mut known, version).map_err(of_ledger)?;
                }
                Err(error) => return Err(error),
            }
        }
        Err(LedgerError::SettingsChanged)
    }
}

/// The settings as they are stored.
fn text(settings: Option<&Settings>) -> Text {
    settings.and_then(|settings| settings.stored.clone())
}

/// For callers that know of errors of the ledger only.
fn of_ledger(error: KeptError) -> LedgerError {
    match error {
        KeptError::Ledger(error) => error,
        KeptError::Unreadable { .. } => LedgerError::damaged("settings of a tenant"),
    }
}

fn read(ledger: &Ledger) -> Result<BTreeMap<TenantId, Settings>, KeptError> {
    let mut tenants = BTreeMap::new();
    for (tenant, stored) in ledger.settings()? {
        let mut settings = Settings::parse(&stored)
            .map_err(|source| KeptError::Unreadable { tenant: tenant.clone(), source })?;
        settings.stored = Some(stored);
        tenants.insert(tenant, settings);
    }
    Ok(tenants)
}
