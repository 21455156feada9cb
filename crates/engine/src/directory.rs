//! The tenants in service.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};
use portcullis_host::{ErrorChain, ForeignText};
use portcullis_ledger::{LedgerError, TenantId};
use portcullis_plugin_store::{Digest, Finding, PluginVersion};
use tracing::{info, warn};

use crate::context::Context;
use crate::engine_error::Error;
use crate::error::TenantError;
use crate::filling::Filling;
use crate::reload::{ReloadError, ReloadGuard};
use crate::spec::TenantSpec;
use crate::tenant::{Opened, Tenant};

/// The tenants in service.
///
/// Locks are taken in this order: the [`Reload`](crate::reload::Reload) guards of the tenants by name, `changing`, the tenant's
/// removal lock, a list's slot.
pub(crate) struct Directory {
    pub(crate) context: Arc<Context>,
    tenants: ArcSwap<BTreeMap<TenantId, Arc<Tenant>>>,
    /// Held while tenants are put or removed.
    changing: Mutex<()>,
}

/// How often the ledger is asked to clear its log of a forgotten tenant while the log is being read.
const CLEARING_ATTEMPTS: usize = 20;
const CLEARING_PAUSE: Duration = Duration::from_millis(100);

/// What a spec did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It created the tenant.
    Created,
    /// It replaced the tenant's earlier spec.
    Replaced,
}

/// All of these block for as long as it takes to fill the new lists.
impl Directory {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        Directory { context, tenants: ArcSwap::default(), changing: Mutex::new(()) }
    }

    pub(crate) fn tenant(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.tenants.load().get(id).cloned()
    }

    pub(crate) fn tenants(&self) -> Arc<BTreeMap<TenantId, Arc<Tenant>>> {
        self.tenants.load_full()
    }

    /// Puts tenants into service, each by itself: one that can't be served as its spec says stays as it was.
    pub(crate) fn put(&self, specs: Vec<TenantSpec>) -> Vec<Result<Put, TenantError>> {
        let Ok(_operation) = self.context.lifecycle.begin() else {
            return specs.iter().map(|_| Err(TenantError::Closed)).collect();
        };
        let ids: Vec<TenantId> = specs.iter().map(|spec| spec.id.clone()).collect();
        let _held = self.hold(&ids);
        let before = self.tenants();
        let mut seen = HashSet::new();
        let mut opened = Vec::with_capacity(specs.len());
        for spec in specs {
            let id = spec.id.clone();
            if !seen.insert(id.clone()) {
                // It would be prepared on the tenant as it was before the first one.
                opened.push(Err(TenantError::Duplicate(id)));
                continue;
            }
            opened.push(Opened::open(spec, before.get(&id), &self.context).inspect_err(|error| {
                warn!(tenant = %id, error = error.reason(), "the tenant's new settings are refused: it stays as it was");
            }));
        }
        Filling::run(&self.context, opened.iter_mut().flatten());
        let mut tenants = (*before).clone();
        let mut new_lists = Vec::new();
        let put = opened
            .into_iter()
            .map(|opened| {
                let opened = opened?;
                let spec = opened.spec();
                self.context.settings.put(spec)?;
                let id = spec.id.clone();
                new_lists.extend(opened.unfilled.iter().cloned());
                let is_new = tenants.insert(id, opened.put_in_place()).is_none();
                Ok(if is_new { Put::Created } else { Put::Replaced })
            })
            .collect();
        self.tenants.store(Arc::new(tenants));
        // Ties and expirations that were committed while these lists were filled did not find them.
        new_lists.iter().for_each(|list| list.catch_up());
        self.context.residency.make_room();
        put
    }

    /// Takes tenants out of service. Their entries stay in the ledger.
    pub(crate) fn remove(&self, ids: &[TenantId]) -> usize {
        let Ok(_operation) = self.context.lifecycle.begin() else { return 0 };
        let _held = self.hold(ids);
        self.take_out(ids)
    }

    fn take_out(&self, ids: &[TenantId]) -> usize {
        let mut tenants = (*self.tenants()).clone();
        let mut removed = Vec::new();
        for id in ids {
            removed.extend(tenants.remove(id));
        }
        // No caller finds them from now on.
        self.tenants.store(Arc::new(tenants));
        for tenant in &removed {
            for list in tenant.remove(ReloadError::TenantRemoved) {
                list.unload();
            }
        }
        removed.len()
    }

    /// Removes a tenant, its entries, and its key.
    pub(crate) fn forget(&self, id: &TenantId) -> Result<(), Error> {
        let _operation = self.context.lifecycle.begin()?;
        let _held = self.hold(std::slice::from_ref(id));
        // This also waits for states that are being saved.
        let was_served = self.take_out(std::slice::from_ref(id)) > 0;
        let forgotten = self.forget_entries(id);
        if let Ok(_) | Err(LedgerError::LogInUse) = forgotten {
            self.context.settings.forget(id);
            if let Err(error) = self.context.states.forget(id) {
                // Without the key they are unreadable.
                warn!(tenant = %id, %error, "the saved states of the forgotten tenant can't be removed");
            }
        }
        let was_known = forgotten?;
        match was_served || was_known {
            true => Ok(()),
            false => Err(Error::UnknownTenant(id.clone())),
        }
    }

    fn forget_entries(&self, id: &TenantId) -> Result<bool, LedgerError> {
        let mut was_known = false;
        for attempt in 1.. {
            match self.context.ledger.forget_tenant(id) {
                // A page or an export is being read, which ends soon.
                Err(LedgerError::LogInUse) if attempt < CLEARING_ATTEMPTS => {
                    was_known = true;
                    thread::sleep(CLEARING_PAUSE);
                }
                forgotten => return forgotten.map(|anything| anything || was_known),
            }
        }
        Ok(was_known)
    }

    /// Keeps others from changing these tenants, and from reloading their plugins.
    fn hold(&self, ids: &[TenantId]) -> (Vec<ReloadGuard>, MutexGuard<'_, ()>) {
        let mut ids = ids.to_vec();
        ids.sort_unstable();
        ids.dedup();
        loop {
            let found = |tenants: &BTreeMap<TenantId, Arc<Tenant>>| -> Vec<Arc<Tenant>> {
                ids.iter().filter_map(|id| tenants.get(id).cloned()).collect()
            };
            let before = found(&self.tenants.load());
            let held = before.iter().map(|tenant| tenant.reload.hold()).collect();
            let changing = self.changing.lock();
            // A tenant may have been put or removed just now.
            let now = found(&self.tenants.load());
            let is_same = before.len() == now.len()
                && before.iter().zip(&now).all(|(before, now)| Arc::ptr_eq(before, now));
            if is_same {
                return (held, changing);
            }
        }
    }

    /// Looks for new plugins in the folder, and has their tenants load them. Blocks for as long as compiling takes.
    pub(crate) fn rescan_plugins(&self) {
        let Ok(_operation) = self.context.lifecycle.begin() else { return };
        let goes_on = || !self.context.lifecycle.is_closed();
        self.context.plugins.rescan(goes_on, |finding| self.act_on(finding));
        self.retry_missing();
        self.drop_old_versions();
    }

    fn act_on(&self, finding: Finding) {
        match finding {
            Finding::Changed { name, version } => {
                info!(plugin = name, digest = version.digest.short(), "found a new version of the plugin");
                self.offer(&version);
            }
            Finding::Problem { name, error } => {
                let tenants = self.tenants_with(&name);
                let has_version = |tenant: &&Arc<Tenant>| tenant.reload.serving().missing.is_none();
                let keep_theirs = tenants.iter().filter(has_version).count();
                warn!(
                    plugin = name, tenants = tenants.len(), keep_theirs, error = %ErrorChain(&error),
                    "the plugin's new file can't be used: tenants that have a version keep it"
                );
                let error = Arc::new(error);
                for tenant in tenants {
                    tenant.reload.refuse(
                        format!("the new file of {}", ForeignText(&name)),
                        ReloadError::NewFile(Arc::clone(&error)),
                    );
                }
            }
            Finding::Gone { name } => {
                warn!(plugin = name, "the plugin's file was removed: tenants that have a version keep it");
            }
        }
    }

    /// Tries plugins again that could not be loaded when their tenants were put.
    pub(crate) fn retry_missing(&self) {
        for tenant in self.tenants().values() {
            if tenant.reload.serving().missing.is_some() {
                tenant.reload.retry();
            }
        }
    }

    /// Has the tenants that follow a plugin load its newest version. Returns how many tenants have the plugin.
    pub(crate) fn offer(&self, version: &PluginVersion) -> usize {
        let tenants = self.tenants_with(&version.name);
        tenants.iter().for_each(|tenant| tenant.reload.follow(version.digest));
        tenants.len()
    }

    fn tenants_with(&self, plugin: &str) -> Vec<Arc<Tenant>> {
        let has = |tenant: &&Arc<Tenant>| {
            tenant.members.load().as_ref().is_some_and(|members| members.chosen.name == plugin)
        };
        self.tenants.load().values().filter(has).cloned().collect()
    }

    /// Drops old versions that no tenant uses.
    pub(crate) fn drop_old_versions(&self) {
        let tenants = self.tenants();
        if tenants.is_empty() {
            // They are yet to be put, and their specs may name old versions.
            return;
        }
        // Tenants that are not served now may be put again.
        let chosen = self.context.settings.chosen_versions();
        let chosen = chosen.iter().filter_map(|version| version.parse().ok());
        let in_use: HashSet<Digest> =
            tenants.values().flat_map(|tenant| tenant.reload.in_use()).chain(chosen).collect();
        self.context.plugins.retain(|digest| in_use.contains(digest));
    }

    /// Stops everything: waits for the operations under way, saves the states that are due, and unloads the lists.
    pub(crate) fn close(&self) {
        self.context.lifecycle.close();
        let tenants = self.tenants();
        // Ends shadow runs, which otherwise last as long as there is no traffic.
        tenants.values().for_each(|tenant| tenant.reload.abandon(ReloadError::Closed));
        self.context.lifecycle.wait_until_idle();
        for tenant in tenants.values() {
            if let Some(members) = tenant.members.load_full() {
                members.lists().for_each(|list| list.save_before_closing());
            }
        }
        self.tenants.store(Arc::default());
        for tenant in tenants.values() {
            for list in tenant.remove(ReloadError::Closed) {
                list.unload();
            }
        }
    }

    /// Stops everything without waiting. Operations under way end as if nothing had happened.
    pub(crate) fn abandon(&self) {
        self.context.lifecycle.close();
        for tenant in self.tenants().values() {
            tenant.abandon(ReloadError::Closed);
        }
    }
}
