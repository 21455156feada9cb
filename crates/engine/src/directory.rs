//! The tenants in service, and how they change.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_ledger::{LedgerError, TenantId};
use portcullis_plugin_store::{Digest, Finding, PluginVersion};
use tracing::{info, warn};

use crate::context::Context;
use crate::error::{Error, TenantError};
use crate::reload::{ReloadError, ReloadGuard};
use crate::spec::TenantSpec;
use crate::tenant::{Opened, Tenant, fill};

/// The tenants in service.
pub(crate) struct Directory {
    pub(crate) context: Arc<Context>,
    tenants: ArcSwap<BTreeMap<TenantId, Arc<Tenant>>>,
    /// Held while tenants are changed. After their [`Reload`](crate::reload::Reload)'s own lock.
    changing: Mutex<()>,
}

/// How often the log of a forgotten tenant's entries is tried to be emptied, while it is read.
const EMPTYING_ATTEMPTS: usize = 20;

/// What became of a spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// The tenant is new.
    Created,
    /// It was there before.
    Replaced,
}

/// All of these block: for as long as it takes to fill the lists that are new.
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

    /// Serves these tenants, in the place of those that have their names. Each by itself: one that can't be served as its spec
    /// says stays as it was.
    pub(crate) fn put(&self, specs: Vec<TenantSpec>) -> Vec<Result<Put, TenantError>> {
        let ids: Vec<TenantId> = specs.iter().map(|spec| spec.id.clone()).collect();
        let _held = self.hold(&ids);
        let before = self.tenants();
        let mut opened = Vec::with_capacity(specs.len());
        for spec in specs {
            let id = spec.id.clone();
            let tenant = before.get(&id);
            opened.push(Opened::open(spec, tenant, &self.context).inspect_err(|_| {
                // Without the error, which may hold the plugin's own words: the caller has it.
                warn!(tenant = %id, "the tenant can't be served with these settings: it stays as it was");
            }));
        }
        let unfilled: Vec<_> =
            opened.iter().flatten().flat_map(|opened| opened.unfilled.iter().cloned()).collect();
        fill(&unfilled, &self.context.residency);
        let mut tenants = (*before).clone();
        let put = opened
            .into_iter()
            .map(|opened| {
                let opened = opened?;
                let spec = opened.spec();
                self.context.kept.put(spec)?;
                let id = spec.id.clone();
                let is_new = tenants.insert(id, opened.put_in_place()).is_none();
                Ok(if is_new { Put::Created } else { Put::Replaced })
            })
            .collect();
        self.tenants.store(Arc::new(tenants));
        put
    }

    /// Serves these tenants no more. Their entries stay in the ledger, and are in force again where they are put again.
    pub(crate) fn remove(&self, ids: &[TenantId]) -> usize {
        let _held = self.hold(ids);
        self.take_out(ids)
    }

    fn take_out(&self, ids: &[TenantId]) -> usize {
        let mut tenants = (*self.tenants()).clone();
        let mut removed = Vec::new();
        for id in ids {
            removed.extend(tenants.remove(id));
        }
        // No caller finds them from here on.
        self.tenants.store(Arc::new(tenants));
        for tenant in &removed {
            tenant.members.store(None);
            tenant.changes.send_replace(());
        }
        removed.len()
    }

    /// Removes a tenant, its entries, and the key without which copies of those are noise.
    pub(crate) fn forget(&self, id: &TenantId) -> Result<(), Error> {
        let _held = self.hold(std::slice::from_ref(id));
        let was_served = self.take_out(std::slice::from_ref(id)) > 0;
        let was_known = self.forget_entries(id)?;
        self.context.kept.forget(id);
        if let Err(error) = self.context.states.forget(id) {
            // Nobody can read them any more, for want of the key.
            warn!(tenant = %id, %error, "the saved states of the forgotten tenant could not be removed");
        }
        match was_served || was_known {
            true => Ok(()),
            false => Err(Error::UnknownTenant(id.clone())),
        }
    }

    fn forget_entries(&self, id: &TenantId) -> Result<bool, LedgerError> {
        let mut known = false;
        for attempt in 1.. {
            match self.context.ledger.forget_tenant(id) {
                // A page or an export is being read: that is over soon.
                Err(LedgerError::LogInUse) if attempt < EMPTYING_ATTEMPTS => {
                    known = true;
                    std::thread::sleep(std::time::Duration::from_millis(100));
                }
                forgotten => return forgotten.map(|anything| anything || known),
            }
        }
        Ok(known)
    }

    /// Holds everybody else up who would change these tenants: first the exchange of their plugins, in the order of their names,
    /// then other changes.
    fn hold(&self, ids: &[TenantId]) -> (Vec<ReloadGuard>, parking_lot::MutexGuard<'_, ()>) {
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
            // Somebody may have added, or removed, one just now.
            let now = found(&self.tenants.load());
            let is_same = before.len() == now.len()
                && before.iter().zip(&now).all(|(before, now)| Arc::ptr_eq(before, now));
            if is_same {
                return (held, changing);
            }
        }
    }

    /// Looks at the folder of plugins, and has what is new there loaded. Blocks for as long as compiling takes.
    pub(crate) fn rescan_plugins(&self) {
        for finding in self.context.plugins.rescan() {
            match finding {
                Finding::Changed { name, version } => {
                    info!(
                        plugin = name,
                        digest = version.digest.short(),
                        "a new version of the plugin is there"
                    );
                    self.offer(&version);
                }
                Finding::Problem { name, error } => {
                    warn!(
                        plugin = name,
                        "the plugin's new file can't be used: whoever has a version of it goes on with that"
                    );
                    let error = Arc::new(error);
                    for tenant in self.tenants_with(&name) {
                        tenant.reload.refuse(
                            format!("the new file of {name}"),
                            ReloadError::NewFile(Arc::clone(&error)),
                        );
                    }
                }
                Finding::Gone { name } => {
                    warn!(
                        plugin = name,
                        "the plugin's file is gone: whoever has a version of it goes on with that"
                    );
                }
            }
        }
        self.drop_old_versions();
    }

    /// A version is the newest of its plugin now. Returns how many tenants have that plugin.
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

    /// Lets go of versions that no tenant has.
    pub(crate) fn drop_old_versions(&self) {
        let in_use: HashSet<Digest> =
            self.tenants.load().values().flat_map(|tenant| tenant.reload.in_use()).collect();
        self.context.plugins.retain(|digest| in_use.contains(digest));
    }
}
