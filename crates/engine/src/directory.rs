//! The tenants in service.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::{Condvar, Mutex};
use portcullis_host::{ErrorChain, ForeignText};
use portcullis_ledger::{LedgerError, ListId, TenantId};
use portcullis_plugin_store::{Digest, Finding, PluginVersion, Trial, Uses};
use portcullis_tenant_rules::TenantRules;
use portcullis_tenant_settings::{Put, TenantSpec};
use tracing::{debug, info, warn};

use crate::context::Context;
use crate::engine_error::Error;
use crate::error::TenantError;
use crate::filling::Filling;
use crate::live::LiveList;
use crate::reload::{Offer, ReloadError, ReloadGuard};
use crate::tenant::{Opened, Tenant};
use crate::undone;

/// The tenants in service.
///
/// Filling a tenant's lists takes as long as its plugin likes. So a change of a tenant keeps others from that one only, and
/// waits for the guard of its [`Reload`](crate::reload::Reload) without holding another tenant's.
///
/// Locks are taken in this order: a [`Change`], a `Reload` guard, the tenant's removal lock, a list's slot. `changing` itself is held
/// for moments.
pub(crate) struct Directory {
    pub(crate) context: Arc<Context>,
    tenants: ArcSwap<BTreeMap<TenantId, Arc<Tenant>>>,
    /// The tenants that are being put or removed. Locked also while `tenants` is replaced.
    changing: Mutex<BTreeSet<TenantId>>,
    /// Notified when some of them are done.
    changed: Condvar,
    /// The version of the settings, and the ledger's lineage, when it was last looked for [changes](Directory::changed_elsewhere).
    looked_at: Mutex<Option<(u64, u64)>>,
    /// Whether the folder of plugins was scanned since the engine was opened.
    has_scanned: AtomicBool,
    /// Versions that others have uploaded, and that tenants were not offered yet.
    pub(crate) unoffered: Mutex<Vec<Arc<PluginVersion>>>,
}

/// A change of some tenants. Others wait until it is dropped before they change one of these.
struct Change<'a> {
    directory: &'a Directory,
    ids: BTreeSet<TenantId>,
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        self.directory.changing.lock().retain(|id| !self.ids.contains(id));
        self.directory.changed.notify_all();
    }
}

/// A thread that opens tenants has so many at least.
const LEAST_SHARE: usize = 32;

/// How often the ledger is asked to clear its log of a forgotten tenant while the log is being read.
const CLEARING_ATTEMPTS: usize = 20;
const CLEARING_PAUSE: Duration = Duration::from_millis(100);

/// To how many tenants a version was offered.
pub(crate) struct Offered {
    /// Those that have the plugin.
    pub(crate) tenants: usize,
    /// Those of them that load it.
    pub(crate) accepting: usize,
    /// Those of them that have refused it before.
    pub(crate) refusing: usize,
}

/// All of these block for as long as it takes to fill the new lists.
impl Directory {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let (tenants, changing, changed) = (ArcSwap::default(), Mutex::default(), Condvar::new());
        let (has_scanned, unoffered) = (AtomicBool::new(false), Mutex::default());
        let looked_at = Mutex::default();
        Directory { context, tenants, changing, changed, looked_at, has_scanned, unoffered }
    }

    pub(crate) fn tenant(&self, id: &TenantId) -> Option<Arc<Tenant>> {
        self.tenants.load().get(id).cloned()
    }

    pub(crate) fn tenants(&self) -> Arc<BTreeMap<TenantId, Arc<Tenant>>> {
        self.tenants.load_full()
    }

    /// Puts tenants into service, each by itself: one that can't be served as its spec says stays as it was. New ones are filled
    /// together. Others of the engine's tenants don't wait for any of them.
    pub(crate) fn put(&self, specs: Vec<TenantSpec>) -> Vec<Result<Put, TenantError>> {
        let Ok(_operation) = self.context.lifecycle.begin() else {
            return specs.iter().map(|_| Err(TenantError::Closed)).collect();
        };
        let _change = self.change(specs.iter().map(|spec| spec.id.clone()));
        let before = self.tenants();
        let mut seen = HashSet::new();
        let mut results = Vec::with_capacity(specs.len());
        let (mut new, mut busy) = (Vec::new(), Vec::new());
        for (place, spec) in specs.into_iter().enumerate() {
            if !seen.insert(spec.id.clone()) {
                // It would be prepared on the tenant as it was before the first one.
                results.push((place, Err(TenantError::Duplicate(spec.id))));
                continue;
            }
            let Some(tenant) = before.get(&spec.id) else {
                new.push((place, spec));
                continue;
            };
            match tenant.reload.try_hold() {
                Some(held) => results.push((place, self.replace(spec, tenant, &held))),
                None => busy.push((place, spec, tenant)),
            }
        }
        results.extend(self.create(new));
        // Each of them waits for its own reload, which may take as long as filling does. The others are not held meanwhile.
        for (place, spec, tenant) in busy {
            results.push((place, self.replace(spec, tenant, &tenant.reload.hold())));
        }
        self.context.residency.make_room();
        results.sort_unstable_by_key(|(place, _)| *place);
        results.into_iter().map(|(_, result)| result).collect()
    }

    /// Puts new tenants, with their places among the specs.
    fn create(&self, specs: Vec<(usize, TenantSpec)>) -> Vec<(usize, Result<Put, TenantError>)> {
        if specs.is_empty() {
            return Vec::new();
        }
        let wanted: Vec<_> =
            specs.iter().map(|(_, spec)| (spec.id.clone(), spec.scopes().collect())).collect();
        if let Err(error) = self.context.ledger.ensure_lists(&wanted) {
            // Each of them says so when it is opened.
            debug!(error = %ErrorChain(&error), "new lists can't be created together");
        }
        let mut opened = self.open_new(specs);
        Filling::run(&self.context, opened.iter_mut().filter_map(|(_, opened)| opened.as_mut().ok()));
        let (mut created, mut new_lists) = (Vec::new(), Vec::new());
        let mut place_one = |opened: Opened| -> Result<Put, TenantError> {
            self.context.settings.put(opened.spec())?;
            new_lists.extend(opened.unfilled.iter().cloned());
            created.push(opened.put_in_place());
            Ok(Put::Created)
        };
        let put =
            opened.into_iter().map(|(place, opened)| (place, opened.and_then(&mut place_one))).collect();
        self.edit(|tenants| tenants.extend(created.into_iter().map(|tenant| (tenant.id.clone(), tenant))));
        follow(&new_lists);
        put
    }

    /// Replaces the spec of a tenant, whose reloads are held.
    fn replace(&self, spec: TenantSpec, tenant: &Arc<Tenant>, _: &ReloadGuard) -> Result<Put, TenantError> {
        let mut opened = self.open(spec, Some(tenant))?;
        Filling::run(&self.context, std::iter::once(&mut opened));
        self.context.settings.put(opened.spec())?;
        let new_lists = opened.unfilled.clone();
        let put = opened.put_in_place();
        let stays = Arc::ptr_eq(&put, tenant);
        if !stays {
            // Another engine has forgotten the one from before, which answered until here.
            self.edit(|tenants| drop(tenants.insert(put.id.clone(), Arc::clone(&put))));
            tenant.remove(ReloadError::TenantRemoved).iter().for_each(|list| list.unload());
        }
        follow(&new_lists);
        Ok(if stays { Put::Replaced } else { Put::Created })
    }

    /// The tenants whose settings others that share the ledger have changed since the last call, and those served of which it no longer has
    /// all lists: others have forgotten them, and may have put them again with the same settings, or a failover has lost them.
    /// Costs two lookups if no settings were changed and the server is the same; otherwise one for each list as well.
    pub(crate) fn changed_elsewhere(&self) -> Result<BTreeSet<TenantId>, Error> {
        let Context { ledger, settings, .. } = &*self.context;
        if !ledger.is_shared() {
            return Ok(settings.take_changed()?);
        }
        let mut looked_at = self.looked_at.lock();
        // Read first, so that what changes meanwhile is found the next time.
        let now = (ledger.settings_version()?, ledger.lineage());
        let outdated = if *looked_at == Some(now) { BTreeSet::new() } else { self.outdated()? };
        // Afterwards: of a tenant whose lists are gone, they are those that it has now, or none.
        let mut changed = settings.take_changed()?;
        undone::report(&self.context);
        *looked_at = Some(now);
        changed.extend(outdated);
        Ok(changed)
    }

    /// The tenants served of which the ledger no longer has all lists.
    fn outdated(&self) -> Result<BTreeSet<TenantId>, LedgerError> {
        let mut lists: HashMap<ListId, TenantId> = HashMap::new();
        for tenant in self.tenants().values() {
            let Some(members) = tenant.members.load_full() else { continue };
            lists.extend(members.lists().map(|list| (list.list().id(), tenant.id.clone())));
        }
        let ids: Vec<ListId> = lists.keys().copied().collect();
        let gone = self.context.ledger.gone(&ids)?;
        Ok(gone.iter().filter_map(|id| lists.remove(id)).collect())
    }

    /// Opens new tenants, on all processors if there are many: it takes some reads of the ledger for each list.
    fn open_new(&self, specs: Vec<(usize, TenantSpec)>) -> Vec<(usize, Result<Opened, TenantError>)> {
        let threads = thread::available_parallelism().map_or(1, usize::from).min(specs.len() / LEAST_SHARE);
        let (left, opened) = (Mutex::new(specs), Mutex::new(Vec::new()));
        let open = || {
            // A statement of its own, so that the lock is not held while a tenant is opened.
            let next = || left.lock().pop();
            while let Some((place, spec)) = next() {
                let result = self.open(spec, None);
                opened.lock().push((place, result));
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                // Without a thread, the others have more to do.
                let _ = thread::Builder::new().name("portcullis-open".to_owned()).spawn_scoped(scope, open);
            }
            open();
        });
        opened.into_inner()
    }

    fn open(&self, spec: TenantSpec, before: Option<&Arc<Tenant>>) -> Result<Opened, TenantError> {
        if self.context.lifecycle.is_closed() {
            // Closing the engine waits for this.
            return Err(TenantError::Closed);
        }
        let id = spec.id.clone();
        Opened::open(spec, before, &self.context).inspect_err(|error| {
            warn!(tenant = %id, error = error.reason(), "the tenant's new settings are refused: it stays as it was");
        })
    }

    /// Takes tenants out of service. Their entries stay in the ledger.
    pub(crate) fn remove(&self, ids: &[TenantId]) -> usize {
        let Ok(_operation) = self.context.lifecycle.begin() else { return 0 };
        let change = self.change(ids.iter().cloned());
        let tenants = self.tenants();
        let (mut held, mut free, mut busy) = (Vec::new(), Vec::new(), Vec::new());
        for tenant in change.ids.iter().filter_map(|id| tenants.get(id)) {
            match tenant.reload.try_hold() {
                Some(guard) => {
                    held.push(guard);
                    free.push(tenant.id.clone());
                }
                None => busy.push(tenant),
            }
        }
        let mut removed = self.take_out(&free);
        drop(held);
        // As in `put`.
        for tenant in busy {
            let _held = tenant.reload.hold();
            removed += self.take_out(std::slice::from_ref(&tenant.id));
        }
        removed
    }

    fn take_out(&self, ids: &[TenantId]) -> usize {
        let mut removed = Vec::new();
        // No caller finds them from now on.
        self.edit(|tenants| removed.extend(ids.iter().filter_map(|id| tenants.remove(id))));
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
        let _change = self.change([id.clone()]);
        let served = self.tenant(id);
        let _held = served.as_ref().map(|tenant| tenant.reload.hold());
        // This also waits for states that are being saved.
        let was_served = self.take_out(std::slice::from_ref(id)) > 0;
        let forgotten = self.forget_entries(id);
        if let Ok(_) | Err(LedgerError::LogInUse) = forgotten {
            self.context.settings.forget(id);
            TenantRules::forget(&self.context.rules, id);
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

    /// Keeps others from putting or removing these tenants. Waits for those who do, without keeping anybody from another tenant.
    fn change(&self, ids: impl IntoIterator<Item = TenantId>) -> Change<'_> {
        let ids: BTreeSet<TenantId> = ids.into_iter().collect();
        let mut changing = self.changing.lock();
        while !changing.is_disjoint(&ids) {
            self.changed.wait(&mut changing);
        }
        changing.extend(ids.iter().cloned());
        Change { directory: self, ids }
    }

    /// Changes which tenants there are.
    fn edit(&self, edit: impl FnOnce(&mut BTreeMap<TenantId, Arc<Tenant>>)) {
        let _alone = self.changing.lock();
        let mut tenants = (*self.tenants()).clone();
        edit(&mut tenants);
        self.tenants.store(Arc::new(tenants));
    }

    /// Looks for new plugins in the folder, and has their tenants load them. Blocks for as long as compiling takes.
    pub(crate) fn rescan_plugins(&self) {
        let Ok(_operation) = self.context.lifecycle.begin() else { return };
        let goes_on = || !self.context.lifecycle.is_closed();
        // What was in the folder at the start is no news for tenants whose version is stored: others that share the ledger have the same.
        let mut decided = BTreeSet::new();
        if self.context.plugins.is_shared() && !self.has_scanned.load(Ordering::Relaxed) {
            match self.context.settings.with_choice() {
                Ok(with_choice) => decided = with_choice,
                Err(error) => {
                    warn!(error = %ErrorChain(&error), "the stored choices of plugins can't be read: the folder of plugins is not followed yet");
                    return;
                }
            }
        }
        self.has_scanned.store(true, Ordering::Relaxed);
        self.context.plugins.rescan(goes_on, |finding| self.act_on(finding, &decided));
        self.retry_missing();
        self.drop_old_versions();
    }

    fn act_on(&self, finding: Finding, decided: &BTreeSet<TenantId>) {
        match finding {
            Finding::Changed { name, version } => {
                info!(plugin = name, digest = version.digest.short(), "found a new version of the plugin");
                if let Some(remark) = version.remark() {
                    warn!(plugin = name, "{remark}");
                }
                self.offer(&version, None, decided);
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
            if let Some(members) = tenant.members.load_full() {
                tenant.rules.retry_missing(&members.spec);
            }
        }
    }

    /// Has the tenants that follow a plugin load its newest version, or one that is on trial. Leaves out those that are `decided`.
    pub(crate) fn offer(
        &self,
        version: &PluginVersion,
        trial: Option<&Arc<Trial>>,
        decided: &BTreeSet<TenantId>,
    ) -> Offered {
        let tenants = self.tenants_with(&version.name);
        let open = tenants.iter().filter(|tenant| !decided.contains(&tenant.id));
        let offers: Vec<Offer> = open.map(|tenant| tenant.reload.follow(version.digest, trial)).collect();
        let count = |offer| offers.iter().filter(|found| **found == offer).count();
        let (accepting, refusing) = (count(Offer::Accepted), count(Offer::Refused));
        // A version on trial is tried by lists. Rules follow once it is released.
        let with_rule = match trial {
            None => self.offer_to_rules(version, decided),
            Some(_) => 0,
        };
        Offered { tenants: tenants.len() + with_rule, accepting, refusing }
    }

    /// Has the tenants that follow a rules plugin load its newest version. Returns how many have the plugin.
    fn offer_to_rules(&self, version: &PluginVersion, decided: &BTreeSet<TenantId>) -> usize {
        let mut with_rule = 0;
        for tenant in self.tenants().values().filter(|tenant| !decided.contains(&tenant.id)) {
            let Some(members) = tenant.members.load_full() else { continue };
            with_rule += usize::from(tenant.rules.follow(&version.name, version.digest, &members.spec));
        }
        with_rule
    }

    fn tenants_with(&self, plugin: &str) -> Vec<Arc<Tenant>> {
        let has = |tenant: &&Arc<Tenant>| {
            tenant.members.load().as_ref().is_some_and(|members| members.chosen.name() == plugin)
        };
        self.tenants.load().values().filter(has).cloned().collect()
    }

    /// As what versions of a plugin serve.
    pub(crate) fn uses_of(&self, plugin: &str) -> Uses {
        let serves = |tenant: &Arc<Tenant>| tenant.reload.serving().missing.is_none();
        let lists = self.tenants_with(plugin).iter().any(serves);
        Uses { lists, rules: self.tenants().values().any(|tenant| tenant.rules.is_served_by(plugin)) }
    }

    /// Drops old versions that no tenant uses.
    pub(crate) fn drop_old_versions(&self) {
        if self.tenants().is_empty() {
            // They are yet to be put, and their specs may name old versions.
            return;
        }
        let in_use: HashSet<Digest> = self.versions_in_use().into_iter().map(|(_, digest)| digest).collect();
        self.context.plugins.retain(|digest| in_use.contains(digest));
    }

    /// The versions that tenants use, or that are chosen for them, each with the plugin's name.
    pub(crate) fn versions_in_use(&self) -> HashSet<(String, Digest)> {
        // Tenants that are not served now may be put again.
        let chosen = self.context.settings.chosen_versions().into_iter();
        let chosen = chosen.filter_map(|(name, version)| Some((name, version.parse().ok()?)));
        let tenants = self.tenants();
        let of_rules = tenants.values().flat_map(|tenant| tenant.rules.in_use());
        tenants.values().flat_map(|tenant| tenant.reload.in_use()).chain(of_rules).chain(chosen).collect()
    }

    /// Stops writes and changes: waits for those under way, and saves what is due. Lists answer as before.
    pub(crate) fn retire(&self) {
        self.context.lifecycle.close();
        let tenants = self.tenants();
        // Ends shadow runs, which otherwise last as long as there is no traffic.
        tenants.values().for_each(|tenant| tenant.reload.abandon(ReloadError::Closed));
        self.context.staleness.close();
        self.context.acknowledgements.close();
        self.context.lifecycle.wait_until_idle();
        if let Err(error) = self.context.ledger.leave() {
            debug!(error = %ErrorChain(&error), "the others wait for this gateway until they notice that it is gone");
        }
        for tenant in tenants.values() {
            if let Some(members) = tenant.members.load_full() {
                members.lists().for_each(|list| list.save_before_closing());
            }
            tenant.rules.save(true);
        }
    }

    /// Stops everything, and unloads the lists.
    pub(crate) fn close(&self) {
        self.retire();
        for tenant in self.tenants.swap(Arc::default()).values() {
            for list in tenant.remove(ReloadError::Closed) {
                list.unload();
            }
        }
    }

    /// Stops everything without waiting. Operations under way end as if nothing had happened.
    pub(crate) fn abandon(&self) {
        self.context.lifecycle.close();
        self.context.staleness.close();
        self.context.acknowledgements.close();
        for tenant in self.tenants().values() {
            tenant.abandon(ReloadError::Closed);
        }
    }
}

/// Brings new lists up to date: ties and expirations that were committed while they were filled did not find them.
fn follow(new: &[Arc<LiveList>]) {
    for list in new {
        // If the ledger went away, the list follows when it is back.
        let _ = list.catch_up();
    }
}
