//! Changing tenants and senders through the admin API.

use std::sync::Arc;

use portcullis_engine::{Error, KeepError, RuleError, TenantError};
use portcullis_host::ErrorChain;
use portcullis_ledger::{LedgerError, TenantId};
use tracing::info;

use super::changes::UnderWay;
use super::version::{Precondition, Version};
use super::{Gateway, SettingsError, checked_again, read_again, stored_spec};
use crate::registry::Registry;
use crate::settings::{FieldPath, Problem, TenantConfig, plugins_of, too_many_tokens, unknown_plugin};
use crate::tenant::{Origin, Tenant};
use portcullis_api::settings as typed;

pub use portcullis_engine::Put;

/// How often a change is made if each time another gateway changes or forgets the tenant meanwhile.
const TRIES: usize = 10;

/// Why a change of tenants was refused.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// No tenant has this name.
    #[error("there is no tenant of this name")]
    UnknownTenant,
    /// The tenant has no sender of this name.
    #[error("the tenant has no sender of this name")]
    UnknownSender,
    /// The tenant, or its sender, has no token of this name.
    #[error("there is no token of this name; GET lists those that there are")]
    UnknownToken,
    /// The settings are not those that the [`Precondition`] names.
    #[error(
        "the settings were changed meanwhile, or are not there: read them again, and send their ETag as If-Match"
    )]
    Changed,
    /// The tenant comes from the configuration file, and can only be changed there.
    #[error("tenant {0} is set up in the configuration file: change it there, and send the gateway SIGHUP")]
    SetUpInFile(TenantId),
    /// The settings are invalid, conflict with those of another tenant, or are refused by the plugin.
    #[error("the settings are invalid")]
    Refused(Vec<Problem>),
    /// The tenant's plugin can't be loaded at the moment, or its settings can't be read here. The same may succeed later, or elsewhere.
    #[error("{0}")]
    NotYet(String),
    /// The ledger failed, or other gateways that share it change the tenant all the time ([`LedgerError::SettingsChanged`]).
    #[error("cannot change the ledger")]
    Ledger(#[from] LedgerError),
    /// A bug in the gateway.
    #[error("a bug stopped the change")]
    Defect,
}

/// Changes block until the tenant's lists are loaded. Those of one tenant run one at a time.
impl Gateway {
    /// Adds a tenant, or replaces the settings of the one with this name. Its entries stay. The settings are stored and survive a
    /// restart.
    ///
    /// `make` makes the settings, given those that are stored, with secrets in clear. It is called again if another gateway changes the
    /// tenant meanwhile.
    ///
    /// # Errors
    /// [`AdminError::Changed`]; [`AdminError::Refused`] with all mistakes in the settings; [`AdminError::SetUpInFile`]; otherwise if the ledger
    /// fails. Those of `make`.
    pub fn put_tenant<E: From<AdminError>>(
        &self,
        id: &TenantId,
        condition: &Precondition,
        make: impl Fn(Option<&typed::Tenant>) -> Result<typed::Tenant, E>,
    ) -> Result<(Put, Arc<Tenant>), E> {
        let mut tries = 0;
        loop {
            tries += 1;
            // As in `change`.
            let _change = self.changes.begin(id.as_str());
            let found = self.found(id)?;
            if !condition.allows(found.as_ref().and_then(|found| found.version)) {
                return Err(AdminError::Changed.into());
            }
            let typed = make(found.as_ref().and_then(|found| found.typed.as_ref()))?;
            match self.put(&typed, found.map(|found| found.stored), true) {
                // By another gateway, while it was put here. If it was forgotten, it is new the next time.
                Err(AdminError::Ledger(LedgerError::SettingsChanged | LedgerError::TenantForgotten))
                    if tries < TRIES => {}
                put => return Ok(put?),
            }
        }
    }

    /// Changes settings of a tenant. `patch` makes the new settings, given those that are stored, with secrets in clear. It is called again if
    /// another gateway changes the tenant meanwhile. If it `names_the_plugin`, it is given the plugin that serves now, which an exchange may
    /// have chosen, and the plugin of the new settings serves afterwards; otherwise the choice of an exchange stays.
    ///
    /// # Errors
    /// [`AdminError::UnknownTenant`], and those of [`put_tenant`](Self::put_tenant).
    pub fn patch_tenant<E: From<AdminError>>(
        &self,
        id: &TenantId,
        condition: &Precondition,
        names_the_plugin: bool,
        patch: impl Fn(&typed::Tenant) -> Result<typed::Tenant, E>,
    ) -> Result<Arc<Tenant>, E> {
        let changed = self.change::<(), E>(id, |config, typed| {
            let served = self.as_served(config.clone());
            if !condition.allows(self.version_of(&served)) {
                return Err(AdminError::Changed.into());
            }
            *typed = match names_the_plugin {
                true => patch(&served.to_typed())?,
                false => patch(typed)?,
            };
            Ok(((), names_the_plugin))
        });
        changed.map(|((), tenant)| tenant)
    }

    /// Forgets a tenant: removes its entries, and destroys its key, so that copies of its data become unreadable. Also
    /// succeeds for a tenant that is not served but still in the ledger.
    ///
    /// # Errors
    /// [`AdminError::UnknownTenant`], [`AdminError::SetUpInFile`], [`AdminError::Changed`], or [`AdminError::Ledger`] if the ledger fails, after some seconds. In
    /// the last case the tenant may still be in the ledger: try again. If the ledger is shared, it goes on being served if it can't be
    /// reached; otherwise it is [followed](Self::follow_others) as it is stored.
    pub fn forget_tenant(&self, id: &TenantId, condition: &Precondition) -> Result<(), AdminError> {
        let _change = self.changes.begin(id.as_str());
        if *condition != Precondition::None
            && !condition.allows(self.found(id)?.and_then(|found| found.version))
        {
            return Err(AdminError::Changed);
        }
        // Before it is taken out of service: a ledger that can't be asked forgets nothing. Whatever else is wrong must not keep it from that.
        if let Err(Error::Ledger(error @ (LedgerError::Unavailable(_) | LedgerError::TookTooLong))) =
            self.engine.blocking_kept_of(id)
        {
            return Err(AdminError::Ledger(error));
        }
        self.changes.alone(|_| {
            let registry = self.registry.load_full();
            let served = registry.tenant(id.as_str());
            if served.is_some_and(|tenant| tenant.origin == Origin::File) {
                return Err(AdminError::SetUpInFile(id.clone()));
            }
            // From here on, no new request finds the tenant.
            self.serve(registry.without(id.as_str()));
            Ok(())
        })?;
        if let Err(error) = self.engine.blocking_forget_tenant(id) {
            if let Error::Ledger(_) = error {
                // It may still be there, or may not.
                self.unfollowed.lock().insert(id.clone());
            }
            return Err(error.into());
        }
        info!(tenant = %id, "forgot the tenant");
        Ok(())
    }

    /// Adds a sender to a tenant, or replaces the settings of the one with this name. Returns the changed tenant. The rest of the tenant is
    /// as other gateways that share the ledger have stored it, even if they did so a moment ago.
    ///
    /// `make` makes the sender's settings, as in [`put_tenant`](Self::put_tenant).
    ///
    /// # Errors
    /// [`AdminError::UnknownTenant`], and those of [`put_tenant`](Self::put_tenant).
    pub fn put_sender<E: From<AdminError>>(
        &self,
        tenant: &TenantId,
        sender: &str,
        condition: &Precondition,
        make: impl Fn(Option<&typed::Sender>) -> Result<typed::Sender, E>,
    ) -> Result<(Put, Arc<Tenant>), E> {
        self.change(tenant, |config, typed| {
            if !condition.allows(self.version_of_named(config, sender)) {
                return Err(AdminError::Changed.into());
            }
            let known = typed.senders.iter_mut().find(|known| known.id == sender);
            let made = make(known.as_deref())?;
            let put = match known {
                Some(known) => {
                    *known = made;
                    Put::Replaced
                }
                None => {
                    typed.senders.push(made);
                    Put::Created
                }
            };
            Ok((put, false))
        })
    }

    /// Removes a sender. Its entries stay in the ledger, and are in force again if it is added again.
    ///
    /// # Errors
    /// [`AdminError::UnknownTenant`], [`AdminError::UnknownSender`], and those of [`put_tenant`](Self::put_tenant).
    pub fn remove_sender(
        &self,
        tenant: &TenantId,
        sender: &str,
        condition: &Precondition,
    ) -> Result<(), AdminError> {
        let removed = self.change(tenant, |config, typed| {
            let position = typed.senders.iter().position(|other| other.id == sender);
            let position = position.ok_or(AdminError::UnknownSender)?;
            if !condition.allows(self.version_of_named(config, sender)) {
                return Err(AdminError::Changed);
            }
            typed.senders.remove(position);
            Ok(((), false))
        });
        removed.map(drop)
    }

    fn version_of_named(&self, config: &TenantConfig, sender: &str) -> Option<Version> {
        let known = config.senders.iter().find(|known| known.id.as_str() == sender)?;
        self.version_of_sender(config, known)
    }

    /// A tenant's settings, with the plugin, version and options that serve it now. They differ from the configured ones after an
    /// exchange. Does not block.
    pub fn settings_of(&self, tenant: &Tenant) -> TenantConfig {
        self.as_served(tenant.config.clone())
    }

    fn as_served(&self, config: TenantConfig) -> TenantConfig {
        match self.engine.plugin_of(&config.id) {
            Ok(plugin) => config.with_plugin(&plugin),
            Err(_) => config,
        }
    }

    /// Changes a tenant's settings as they are stored. If another gateway changes the tenant meanwhile, `change` is run again on what that
    /// one has stored. It also returns whether the plugin of the settings is to serve, instead of one that an exchange chose.
    pub(super) fn change<T, E: From<AdminError>>(
        &self,
        id: &TenantId,
        change: impl Fn(&TenantConfig, &mut typed::Tenant) -> Result<(T, bool), E>,
    ) -> Result<(T, Arc<Tenant>), E> {
        let mut tries = 0;
        loop {
            tries += 1;
            // Begun anew each time, because the settings of the last one are claimed.
            let _change = self.changes.begin(id.as_str());
            let (config, stored) = self.stored(id)?;
            let mut typed = config.to_typed();
            let (changed, is_to_serve) = change(&config, &mut typed)?;
            // A choice that was made over another plugin than that of the settings goes by itself.
            let resets = is_to_serve && has_same_plugin(&typed, &config);
            match self.put(&typed, Some(stored), resets) {
                Ok((_, tenant)) => return Ok((changed, tenant)),
                Err(AdminError::Ledger(LedgerError::SettingsChanged | LedgerError::TenantForgotten))
                    if tries < TRIES => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The settings of a tenant that can be put through the admin API, as they are stored; `None` if there are none.
    fn found(&self, id: &TenantId) -> Result<Option<Found>, AdminError> {
        self.refuse_of_file(id)?;
        let Some(stored) = self.engine.blocking_kept_of(id)? else { return Ok(None) };
        // Settings that can't be read here, or that are no longer valid, can be replaced.
        let typed: Option<typed::Tenant> = serde_json::from_slice(&stored).ok();
        let config = typed.as_ref().and_then(|typed| checked_again(typed).ok());
        let version = config.and_then(|config| self.version_of(&self.as_served(config)));
        Ok(Some(Found { typed, version, stored }))
    }

    fn refuse_of_file(&self, id: &TenantId) -> Result<(), AdminError> {
        let is_of_file = |tenant: &Arc<Tenant>| tenant.origin == Origin::File;
        if self.registry.load().tenant(id.as_str()).is_some_and(is_of_file) {
            return Err(AdminError::SetUpInFile(id.clone()));
        }
        Ok(())
    }

    /// The settings of a tenant that can be changed through the admin API, as gateways that share the ledger have left them, and their
    /// stored form. This gateway may not have followed the others yet.
    fn stored(&self, id: &TenantId) -> Result<(TenantConfig, Vec<u8>), AdminError> {
        self.refuse_of_file(id)?;
        let stored = self.engine.blocking_kept_of(id)?.ok_or(AdminError::UnknownTenant)?;
        match read_again(id, &stored) {
            Ok(config) => Ok((config, stored)),
            Err(SettingsError::Stale { problems, .. }) => Err(AdminError::Refused(problems)),
            // Without what it quotes.
            Err(error) => Err(AdminError::NotYet(format!(
                "{error}: if a gateway of a newer version stored them, ask that one"
            ))),
        }
    }

    /// The caller has begun a change of this tenant. If the settings are a `change_of` stored ones, they are stored only if these still
    /// are. A plugin that was chosen by an exchange stays, unless this `resets` it.
    fn put(
        &self,
        typed: &typed::Tenant,
        change_of: Option<Vec<u8>>,
        resets: bool,
    ) -> Result<(Put, Arc<Tenant>), AdminError> {
        let names = self.engine.plugins().names();
        if plugins_of(typed, &FieldPath::default()).any(|(_, plugin)| !names.contains(plugin)) {
            // It may just have been uploaded to another gateway. If the ledger can't be asked, it is unknown here.
            let _ = self.engine.blocking_follow_uploads();
        }
        let (config, before) = self.changes.alone(|under_way| {
            let registry = self.registry.load();
            let config = self.checked(typed, &registry, under_way)?;
            let before = registry.tenant(config.id.as_str()).map(Arc::clone);
            if before.as_ref().is_some_and(|tenant| tenant.origin == Origin::File) {
                return Err(AdminError::SetUpInFile(config.id));
            }
            under_way.claim(config.clone());
            Ok((config, before))
        })?;
        let spec = stored_spec(&config, Origin::Api).map_err(|_| AdminError::Defect)?;
        let spec = if resets { spec.reset_choice() } else { spec };
        let spec = match change_of {
            Some(stored) => spec.kept_over(stored),
            None => spec,
        };
        let put =
            self.engine.blocking_put_tenants(vec![spec]).pop().ok_or(AdminError::Defect)?.map_err(refused)?;
        let tenant = self.serve_put(config, Origin::Api, before.as_deref())?;
        info!(tenant = %tenant.config.id, senders = tenant.senders.len(), "serving the tenant");
        Ok((put, tenant))
    }

    /// Validates a tenant's settings, by themselves and against the other tenants', those that they have and those that they will have.
    fn checked(
        &self,
        typed: &typed::Tenant,
        registry: &Registry,
        under_way: &UnderWay,
    ) -> Result<TenantConfig, AdminError> {
        let root = FieldPath::default();
        let mut problems = Vec::new();
        let names = self.engine.plugins().names();
        for (named, _) in plugins_of(typed, &root).filter(|(_, plugin)| !names.contains(*plugin)) {
            problems.push(unknown_plugin(named, self.engine.plugins().dir(), &names));
        }
        let config = TenantConfig::check(typed, &root, &mut problems);
        let Some(config) = config.filter(|_| problems.is_empty()) else {
            return Err(AdminError::Refused(problems));
        };
        let mut problems = too_many_tokens(&config, &root);
        problems.extend(self.unique_ids_of_others(&typed.id, registry, under_way).claim(&config, &root));
        if problems.is_empty() { Ok(config) } else { Err(AdminError::Refused(problems)) }
    }
}

/// Settings as they are stored.
struct Found {
    /// `None` if they can't be read here.
    typed: Option<typed::Tenant>,
    /// The version that is served; `None` if they are not served here, such as those that another gateway has just stored.
    version: Option<Version>,
    stored: Vec<u8>,
}

fn has_same_plugin(typed: &typed::Tenant, config: &TenantConfig) -> bool {
    typed.plugin == config.plugin
        && typed.plugin_version == config.plugin_version
        && typed.plugin_options == config.plugin_options
}

/// Turns an error of the tenant's plugin into a problem with the field that names it.
fn refused(error: TenantError) -> AdminError {
    if error.is_transient() {
        return AdminError::NotYet(ErrorChain(&error).to_string());
    }
    let problem = |field: &'static str, what| {
        AdminError::Refused(vec![Problem::new(FieldPath::default().key(field), what)])
    };
    match error {
        TenantError::Ledger(error) | TenantError::Keep(KeepError::Ledger(error)) => AdminError::Ledger(error),
        TenantError::Closed => AdminError::Ledger(LedgerError::Closed),
        TenantError::Keep(error @ KeepError::Upgrading { setting }) => problem(setting, error.to_string()),
        TenantError::Rule { index, source, .. } => {
            let place = FieldPath::default().key("rules").index(index);
            let field = match &*source {
                RuleError::Grants { .. } => "grants",
                RuleError::Plugin(_) | RuleError::Senders { .. } => "plugin",
                _ => "options",
            };
            AdminError::Refused(vec![Problem::new(place.key(field), ErrorChain(&*source).to_string())])
        }
        error => {
            let field = match &error {
                TenantError::Start { .. } => "plugin_options",
                _ => "plugin",
            };
            problem(field, format!("{}; choose another plugin, or other options", ErrorChain(&error)))
        }
    }
}

impl From<Error> for AdminError {
    fn from(error: Error) -> Self {
        match error {
            Error::UnknownTenant(_) => AdminError::UnknownTenant,
            Error::UnknownSender { .. } => AdminError::UnknownSender,
            Error::Ledger(error) => AdminError::Ledger(error),
            Error::Closed => AdminError::Ledger(LedgerError::Closed),
            _ => AdminError::Defect,
        }
    }
}
