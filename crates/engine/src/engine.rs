//! The engine: tenants, their blacklists, and the plugins that answer for them.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use portcullis_ledger::store::Deliveries;
use portcullis_ledger::{
    Description, Fleet, KeyStatus, LedgerError, ListId, Rotated, Scope, SenderId, Stats, TenantId,
};
use portcullis_plugin_store::{Digest, PluginStore, PluginVersion, Signature, Watch};
use portcullis_rules::RecordedPage;
use portcullis_tenant_rules::{ExchangedRule, RuleExchangeError, RuleRequest, TenantMeters, TenantRules};
use portcullis_tenant_settings::{PluginRef, Put, TenantSpec};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::builder::Builder;
use crate::counts;
use crate::directory::Directory;
use crate::engine_error::Error;
use crate::error::TenantError;
use crate::expiry;
use crate::follow;
use crate::key_watch;
use crate::ledger_watch;
use crate::list::List;
use crate::live::LiveList;
use crate::members::Members;
use crate::memory_watch;
use crate::proof;
use crate::reload::{Answer, Goal, ReloadError, ReloadRequest, Reloaded};
use crate::status::{Outage, TenantStatus};
use crate::tenant::Tenant;

/// Tenants, their blacklists, and the plugins that answer for them. Cheap to clone.
///
/// Call [`close`](Self::close) before the process ends. Dropping the last clone without it loses nothing that was acknowledged: it
/// stops the background tasks, and [`List`] handles are dead from then on, but operations under way are not waited for, and states
/// that are due are not saved.
///
/// Methods that start with `blocking_` block. Don't call them on a thread of an async runtime.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    directory: Arc<Directory>,
    /// The background tasks.
    tasks: Mutex<Vec<JoinHandle<()>>>,
    /// The outage when it was asked for last.
    outage: Mutex<Option<(Instant, Outage)>>,
}

/// How long [`Engine::outage`] repeats its answer. Whoever may ask need not be known to anybody.
const OUTAGE_AGE: Duration = Duration::from_millis(100);

impl Drop for Inner {
    fn drop(&mut self) {
        let context = &self.directory.context;
        if context.lifecycle.is_closed() {
            return;
        }
        self.tasks.get_mut().iter().for_each(JoinHandle::abort);
        self.directory.abandon();
        // Freeing lists and closing the ledger block: not on this thread.
        let directory = Arc::clone(&self.directory);
        drop(context.runtime.spawn_blocking(move || drop(directory)));
    }
}

impl Engine {
    /// Starts to build an engine.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn start(directory: Directory) -> std::io::Result<Self> {
        let directory = Arc::new(directory);
        let users = Arc::downgrade(&directory);
        let uses = move |name: &str| users.upgrade().map(|users| users.uses_of(name)).unwrap_or_default();
        directory.context.plugins.set_users(uses);
        follow::start(&directory)?;
        counts::start(&directory)?;
        let runtime = &directory.context.runtime;
        let tasks = vec![
            runtime.spawn(expiry::run(Arc::clone(&directory))),
            runtime.spawn(follow_plugins(Arc::clone(&directory))),
            runtime.spawn(proof::run(Arc::clone(&directory))),
            runtime.spawn(ledger_watch::run(Arc::clone(&directory))),
            runtime.spawn(key_watch::run(Arc::clone(&directory))),
            runtime.spawn(memory_watch::run(Arc::clone(&directory))),
        ];
        Ok(Engine(Arc::new(Inner { directory, tasks: Mutex::new(tasks), outage: Mutex::default() })))
    }

    /// Puts a tenant into service, or replaces its spec. When this returns, its lists are filled.
    ///
    /// Lists that the old and the new spec have in common keep answering throughout, and their handles stay valid.
    ///
    /// # Errors
    /// [`Error::Tenant`] if the tenant can't be served as the spec says: it then stays as it was. [`Error::Closed`].
    pub async fn put_tenant(&self, spec: TenantSpec) -> Result<Put, Error> {
        self.put_tenants(vec![spec]).await?.pop().ok_or(Error::Cancelled)?.map_err(|error| match error {
            TenantError::Closed => Error::Closed,
            error => Error::Tenant(error),
        })
    }

    /// Puts several tenants into service, each by itself, and fills their lists on all processors. Returns the results in the order
    /// of the specs.
    ///
    /// # Errors
    /// The outer result is [`Error::Cancelled`] if the runtime is shutting down. The inner ones are those of each tenant: a tenant
    /// with an error stays as it was, and the others are served.
    pub async fn put_tenants(&self, specs: Vec<TenantSpec>) -> Result<Vec<Result<Put, TenantError>>, Error> {
        self.unblock(move |engine| engine.blocking_put_tenants(specs)).await
    }

    /// The blocking form of [`put_tenants`](Self::put_tenants).
    ///
    /// # Errors
    /// Those of each tenant: a tenant with an error stays as it was, and the others are served.
    #[must_use = "each tenant has a result of its own"]
    pub fn blocking_put_tenants(&self, specs: Vec<TenantSpec>) -> Vec<Result<Put, TenantError>> {
        let put = self.0.directory.put(specs);
        let context = &self.0.directory.context;
        // From now on there may be messages.
        context.host.compile_eagerly(false);
        let lacking = context.host.confinement().filter(|confinement| !confinement.is_complete());
        if let (false, Some(confinement)) = (context.started.send_replace(true), lacking) {
            warn!(
                ?confinement,
                "plugins are compiled with limits of memory and time, but this system can't confine the compiler further"
            );
        }
        put
    }

    /// Takes tenants out of service, after the writes under way. Returns how many of them were served. Their entries and settings stay
    /// in the ledger, and apply again when they are put again.
    ///
    /// # Errors
    /// [`Error::Closed`], and [`Error::Cancelled`] if the runtime is shutting down.
    pub async fn remove_tenants(&self, tenants: Vec<TenantId>) -> Result<usize, Error> {
        self.check_open()?;
        self.unblock(move |engine| engine.blocking_remove_tenants(&tenants)).await
    }

    /// The blocking form of [`remove_tenants`](Self::remove_tenants). Returns 0 once the engine is closed. Waits for reloads of these
    /// tenants that are running.
    pub fn blocking_remove_tenants(&self, tenants: &[TenantId]) -> usize {
        self.0.directory.remove(tenants)
    }

    /// Removes a tenant, its entries, and its key, without which copies of the entries can't be read.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], or [`Error::Ledger`]. In both cases the tenant is not served afterwards. If the ledger's log was
    /// being read (`LogInUse`), the entries are gone, and another call clears the log.
    pub async fn forget_tenant(&self, tenant: &TenantId) -> Result<(), Error> {
        let tenant = tenant.clone();
        self.unblock(move |engine| engine.blocking_forget_tenant(&tenant)).await?
    }

    /// The blocking form of [`forget_tenant`](Self::forget_tenant).
    ///
    /// # Errors
    /// As for [`forget_tenant`](Self::forget_tenant).
    pub fn blocking_forget_tenant(&self, tenant: &TenantId) -> Result<(), Error> {
        self.0.directory.forget(tenant)
    }

    /// The tenants that have lists in the ledger, in order, served or not. Blocks for a read of the ledger.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn blocking_all_tenants(&self) -> Result<Vec<TenantId>, Error> {
        Ok(self.0.directory.context.settings.all_tenants()?)
    }

    /// The data that hosts stored with [`TenantSpec::kept()`], by tenant. Includes tenants that are not served.
    pub fn kept(&self) -> Vec<(TenantId, Vec<u8>)> {
        self.0.directory.context.settings.host_data()
    }

    /// The data that the host stored with one tenant.
    pub fn kept_of(&self, tenant: &TenantId) -> Option<Vec<u8>> {
        self.0.directory.context.settings.host_data_of(tenant)
    }

    /// The data that the host stored with one tenant, as other engines that share the ledger have left it. Costs one lookup in the ledger
    /// if nothing has changed. Blocks. To change it, put the tenant [over](TenantSpec::kept_over()) it.
    ///
    /// # Errors
    /// If the ledger can't be read, or settings in it.
    pub fn blocking_kept_of(&self, tenant: &TenantId) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.directory.context.settings.latest_host_data_of(tenant)?)
    }

    /// The tenants whose [kept](Self::kept) data, or choice of a plugin, was changed by another engine that shares the ledger, since
    /// the last call; and those served whose lists are no longer in the ledger, because others have forgotten them, and perhaps put them again, or
    /// because a failover has lost them. Put them again, as they are [stored](TenantSpec::stored()), or remove them. Costs two lookups in the
    /// ledger if there are none. Blocks.
    ///
    /// # Errors
    /// If the ledger can't be read, or settings in it: [`Error::Kept`].
    pub fn blocking_changed_elsewhere(&self) -> Result<BTreeSet<TenantId>, Error> {
        self.0.directory.changed_elsewhere()
    }

    /// The blacklist of a sender. Its checks also consult the tenant-wide one.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], [`Error::UnknownSender`], [`Error::Closed`], or [`Error::Name`] for an invalid name.
    pub fn sender_list(&self, tenant: &str, sender: &str) -> Result<List, Error> {
        let (tenant, members) = self.members(&tenant.parse()?)?;
        let sender: SenderId = sender.parse()?;
        match members.senders.get(&sender) {
            Some(own) => Ok(List { own: Arc::clone(own), wide: Some(Arc::clone(&members.wide)), tenant }),
            None => Err(Error::UnknownSender { tenant: tenant.id.clone(), sender }),
        }
    }

    /// The blacklist that applies to all senders of a tenant.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], [`Error::Closed`], or [`Error::Name`] for an invalid name.
    pub fn tenant_list(&self, tenant: &str) -> Result<List, Error> {
        let (tenant, members) = self.members(&tenant.parse()?)?;
        Ok(List { own: Arc::clone(&members.wide), wide: None, tenant })
    }

    /// All lists of a tenant, the tenant-wide one first.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] or [`Error::Closed`].
    pub fn lists(&self, tenant: &TenantId) -> Result<Vec<List>, Error> {
        let (tenant, members) = self.members(tenant)?;
        let list = |own: &Arc<LiveList>| List {
            own: Arc::clone(own),
            wide: match own.list().scope() {
                Scope::Sender(_) => Some(Arc::clone(&members.wide)),
                Scope::Tenant => None,
            },
            tenant: Arc::clone(&tenant),
        };
        Ok(members.lists().map(list).collect())
    }

    /// A receiver that is marked as changed when entries of one of the tenant's lists changed, and when the tenant is removed or the
    /// engine closed.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] or [`Error::Closed`].
    pub fn changes(&self, tenant: &TenantId) -> Result<watch::Receiver<()>, Error> {
        Ok(self.tenant(tenant)?.changes.subscribe())
    }

    /// Whether other engines may have the ledger open, and write to it.
    pub fn is_shared(&self) -> bool {
        self.0.directory.context.staleness.is_shared()
    }

    /// How long ago this engine last knew everything that others had written to a shared ledger, if that is longer than
    /// [`stale_after`](crate::Builder::stale_after). Costs next to nothing.
    pub fn stale_for(&self) -> Option<Duration> {
        self.0.directory.context.staleness.stale_for()
    }

    /// Takes or renews a lease for this time, so that of several engines that share a ledger only one does what is to be done once.
    /// Returns whether this engine has it now. An engine that is alone always has it.
    ///
    /// # Errors
    /// [`Error::Ledger`] if the ledger can't be asked: this engine has the lease for as long as it was taken for before.
    pub async fn lease(&self, name: &'static str, time: Duration) -> Result<bool, Error> {
        self.unblock(move |engine| Ok(engine.0.directory.context.ledger.lease(name, time)?)).await?
    }

    /// Gives up a lease, so that another engine can take it at once. Does nothing if this engine does not have it.
    ///
    /// # Errors
    /// [`Error::Ledger`] if the ledger can't be asked: the lease then ends when it would have.
    pub async fn release_lease(&self, name: &'static str) -> Result<(), Error> {
        self.unblock(move |engine| Ok(engine.0.directory.context.ledger.release_lease(name)?)).await?
    }

    /// The deliveries that are made once by all engines that share the ledger. Their methods block.
    ///
    /// # Errors
    /// If the ledger could not be asked a moment ago: then nobody waits for it.
    pub fn deliveries(&self) -> Result<&dyn Deliveries, LedgerError> {
        let context = &self.0.directory.context;
        context.staleness.check_ledger().map(|()| context.ledger.deliveries())
    }

    /// Tells other engines that share the ledger what this one is, within about a second. Costs nothing if it is the same as before.
    pub fn describe(&self, description: &Description) {
        self.0.directory.context.ledger.describe(description);
    }

    /// The engines that share the ledger; none if it is not shared. Blocks.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn blocking_fleet(&self) -> Result<Fleet, Error> {
        Ok(self.0.directory.context.ledger.fleet()?)
    }

    /// Which master key is in use. Asks the ledger, as another engine that shares it may have rotated the key.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn blocking_master_key(&self) -> Result<KeyStatus, Error> {
        let context = &self.0.directory.context;
        context.ledger.find_master_key()?;
        Ok(context.key.status())
    }

    /// Rotates the master key while the engine serves, as [`KeyInUse::rotate`](portcullis_ledger::KeyInUse::rotate) does: all tenants'
    /// keys are encrypted anew under the next one.
    ///
    /// # Errors
    /// [`Error::MasterKey`] if there is no next key, or it can't be stored; [`Error::Ledger`].
    pub fn blocking_rotate_master_key(&self) -> Result<Rotated, Error> {
        let context = &self.0.directory.context;
        let rotate = |to| Ok(context.ledger.rotate_master_key(to)?);
        context.key.rotate(|| Ok(context.ledger.find_master_key()?), rotate)
    }

    /// Reloads a tenant's plugin: another plugin, version or options serve all of its lists, or none of them. No check goes
    /// unanswered meanwhile. Returns when the plugin serves, or when its shadow run began if the request asks for one.
    ///
    /// The choice survives restarts, until a spec names another plugin. If other engines share the ledger, it is made once the plugin has
    /// been watched here ([`reload_watch`](Builder::reload_watch)), and they follow then.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], [`Error::Closed`], or [`Error::Reload`] if the plugin does not serve: what served before continues.
    pub async fn reload(&self, tenant: &str, request: impl Into<ReloadRequest>) -> Result<Reloaded, Error> {
        let request = request.into();
        let shadow = request.shadow;
        let tenant = self.tenant(&tenant.parse()?)?;
        answer(tenant.reload.request(Goal::Requested(request), shadow)).await
    }

    /// Ends a shadow run: its plugin serves.
    ///
    /// # Errors
    /// As for [`reload`](Self::reload), and [`ReloadError::NotNow`] without a shadow run.
    pub async fn promote(&self, tenant: &str) -> Result<Reloaded, Error> {
        let tenant = self.tenant(&tenant.parse()?)?;
        answer(tenant.reload.promote().map_err(ReloadError::from)?).await
    }

    /// Rolls back to what served before the reload in progress, or before the last one.
    ///
    /// # Errors
    /// As for [`reload`](Self::reload), and [`ReloadError::NotNow`] if nothing else has served since the engine was opened.
    pub async fn roll_back(&self, tenant: &str) -> Result<Reloaded, Error> {
        let tenant = self.tenant(&tenant.parse()?)?;
        answer(tenant.reload.roll_back_to_previous().map_err(ReloadError::from)?).await
    }

    /// Exchanges a rule of a tenant for another version, or other options, or begins a shadow run of them. What was counted stays. No message
    /// waits for it.
    ///
    /// The choice survives restarts, until a spec names another version or other options of the plugin. Other engines that share the ledger
    /// follow.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], [`Error::Closed`], or [`Error::Rule`] if the rule does not serve: what served before continues, unless the
    /// choice [could not be stored](RuleExchangeError::NotKept).
    pub async fn exchange_rule(
        &self,
        tenant: &str,
        rule: &str,
        request: RuleRequest,
    ) -> Result<ExchangedRule, Error> {
        self.with_rules(tenant, rule, |rules, members, rule| rules.exchange(&members.spec, rule, request))
            .await
    }

    /// Ends a shadow run of a rule: its candidate serves.
    ///
    /// # Errors
    /// As for [`exchange_rule`](Self::exchange_rule), and [`RuleExchangeError::NoShadow`] without a shadow run.
    pub async fn promote_rule(&self, tenant: &str, rule: &str) -> Result<ExchangedRule, Error> {
        self.with_rules(tenant, rule, |rules, _, rule| rules.promote(rule)).await
    }

    /// Ends a shadow run of a rule, or rolls back to what served before the last exchange.
    ///
    /// # Errors
    /// As for [`exchange_rule`](Self::exchange_rule), and [`RuleExchangeError::NothingToRollBackTo`] if nothing else has served.
    pub async fn roll_back_rule(&self, tenant: &str, rule: &str) -> Result<ExchangedRule, Error> {
        self.with_rules(tenant, rule, |rules, _, rule| rules.roll_back(rule)).await
    }

    /// What a tenant's rules count, with at most `most` counts of each meter; `None` if it has no rules. Blocks for a scan of all counters.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] or [`Error::Closed`].
    pub fn blocking_meters(&self, tenant: &TenantId, most: usize) -> Result<Option<TenantMeters>, Error> {
        Ok(self.tenant(tenant)?.rules.meters(most))
    }

    /// Records the messages that a tenant's rules are asked about, for as long as this is called each few seconds, and returns those from `from`
    /// on, which the last page gave as [`next`](RecordedPage::next). `None` if it has no rules.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] or [`Error::Closed`].
    pub fn record(&self, tenant: &TenantId, from: Option<u64>) -> Result<Option<RecordedPage>, Error> {
        Ok(self.tenant(tenant)?.rules.record(from))
    }

    async fn with_rules(
        &self,
        tenant: &str,
        rule: &str,
        call: impl FnOnce(&Arc<TenantRules>, &Members, &str) -> Result<ExchangedRule, Arc<RuleExchangeError>>
        + Send
        + 'static,
    ) -> Result<ExchangedRule, Error> {
        let (tenant, members) = self.members(&tenant.parse()?)?;
        let rule = rule.to_owned();
        self.unblock(move |engine| {
            let _operation = engine.0.directory.context.lifecycle.begin()?;
            call(&tenant.rules, &members, &rule).map_err(Error::Rule)
        })
        .await?
    }

    /// Records the refusal of a tenant's new settings as its last reload. Does nothing for an unknown tenant.
    pub fn record_refusal(&self, tenant: &TenantId, to: impl Into<String>, error: Arc<TenantError>) {
        if let Some(tenant) = self.0.directory.tenant(tenant) {
            tenant.reload.refuse(to.into(), ReloadError::Settings(error));
        }
    }

    /// The store of plugins.
    pub fn plugins(&self) -> &PluginStore {
        &self.0.directory.context.plugins
    }

    /// Stores a new version of a plugin in the folder, and has the tenants that follow the plugin load it. Returns the version, and
    /// how many tenants have the plugin.
    ///
    /// If other engines share the ledger, it is stored there. It becomes the newest version, for all of them and in the folder, once a
    /// tenant of this engine has kept it, or at once if no tenant follows the plugin.
    ///
    /// # Errors
    /// [`Error::Plugin`] if there is no folder, or the component is not trusted or can't be loaded; [`Error::Ledger`]; [`Error::Closed`].
    pub async fn put_plugin(
        &self,
        name: &str,
        component: Vec<u8>,
        signature: Option<Signature>,
    ) -> Result<(Arc<PluginVersion>, usize), Error> {
        let name = name.to_owned();
        self.unblock(move |engine| engine.blocking_put_plugin(&name, &component, signature)).await?
    }

    /// The blocking form of [`put_plugin`](Self::put_plugin). Blocks while the component is compiled.
    ///
    /// # Errors
    /// As for [`put_plugin`](Self::put_plugin).
    pub fn blocking_put_plugin(
        &self,
        name: &str,
        component: &[u8],
        signature: Option<Signature>,
    ) -> Result<(Arc<PluginVersion>, usize), Error> {
        self.0.directory.put_plugin(name, component, signature)
    }

    /// Removes an old version of a plugin: one that is not the newest, and that no tenant uses or is pinned to.
    ///
    /// # Errors
    /// [`Error::Plugin`] if there is no such version, it is needed, or its file can't be removed; [`Error::Closed`].
    pub fn blocking_remove_plugin_version(&self, name: &str, version: &str) -> Result<Digest, Error> {
        self.0.directory.remove_plugin_version(name, version)
    }

    /// Takes plugins that were uploaded to other engines which share the ledger, and lets them have those that were tried here. Call it
    /// each second. Costs a lookup in the ledger if there are none. Blocks while components are compiled.
    ///
    /// # Errors
    /// If the ledger can't be read, and [`Error::Closed`].
    pub fn blocking_follow_uploads(&self) -> Result<(), Error> {
        self.0.directory.follow_uploads()
    }

    /// Has a tenant follow the plugin that another engine has chosen for it: see
    /// [`blocking_changed_elsewhere`](Self::blocking_changed_elsewhere). Does not wait until it serves.
    pub fn follow_choice(&self, tenant: &TenantId) {
        self.0.directory.follow_choice(tenant);
    }

    /// Looks for new plugins in the folder now. The folder is also watched.
    ///
    /// # Errors
    /// [`Error::Closed`], and [`Error::Cancelled`] if the runtime is shutting down.
    pub async fn rescan_plugins(&self) -> Result<(), Error> {
        self.check_open()?;
        self.unblock(|engine| engine.blocking_rescan_plugins()).await
    }

    /// The blocking form of [`rescan_plugins`](Self::rescan_plugins). Blocks while new components are compiled. Does nothing once the
    /// engine is closed.
    pub fn blocking_rescan_plugins(&self) {
        self.0.directory.rescan_plugins();
    }

    /// What was written to the ledger since the engine was opened.
    pub fn ledger_stats(&self) -> Stats {
        self.0.directory.context.ledger.stats()
    }

    /// How many lists were filled, or left to recovery, as their tenants were put: it grows while that goes on.
    pub fn lists_opened(&self) -> usize {
        self.0.directory.context.opened.load(Ordering::Relaxed)
    }

    /// A snapshot of all tenants' status, by name. May wait for writes that are being applied to plugins.
    pub fn status(&self) -> Vec<TenantStatus> {
        self.0.directory.tenants().values().filter_map(|tenant| TenantStatus::of(tenant)).collect()
    }

    /// Counts the active entries of all lists in the ledger, also of tenants that are not served. Blocks: one query of the ledger, which
    /// reads a row per list.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn blocking_entry_counts(&self) -> Result<HashMap<ListId, u64>, LedgerError> {
        let context = &self.0.directory.context;
        context.staleness.check_ledger()?;
        context.ledger.counts()
    }

    /// What does not work as it should, over all tenants. Costs some nanoseconds per list, at most ten times a second: an answer may
    /// be a tenth of a second old.
    pub fn outage(&self) -> Outage {
        let directory = &self.0.directory;
        let mut known = self.0.outage.lock();
        if let Some((_, outage)) = known.as_ref().filter(|(at, _)| at.elapsed() < OUTAGE_AGE) {
            return outage.clone();
        }
        let context = &directory.context;
        let key = context.key.trouble();
        let outage = Outage::of(context, key, directory.tenants().values());
        *known = Some((Instant::now(), outage.clone()));
        outage
    }

    /// The plugin that serves a tenant: the spec's, or the one that a reload chose over it.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] or [`Error::Closed`].
    pub fn plugin_of(&self, tenant: &TenantId) -> Result<PluginRef, Error> {
        Ok(self.members(tenant)?.1.chosen.clone())
    }

    /// A snapshot of one tenant's status. May wait for a write that is being applied to a plugin.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`] or [`Error::Closed`].
    pub fn tenant_status(&self, tenant: &TenantId) -> Result<TenantStatus, Error> {
        let found = self.tenant(tenant)?;
        TenantStatus::of(&found).ok_or_else(|| Error::UnknownTenant(tenant.clone()))
    }

    /// Closes the engine: takes no further writes and changes, waits for those under way, saves the states that are due, and unloads
    /// all plugins. From then on calls to other clones return [`Error::Closed`], and [`List`] handles
    /// [`NotServed::Closed`](crate::NotServed::Closed). Closing twice is no error.
    ///
    /// Everything that was acknowledged is on disk already. The ledger's file is closed, and can be opened again, when the last
    /// [`List`], [`TenantStatus`] and clone of the engine are dropped.
    ///
    /// A reload in progress is given up after its present stage, which may take as long as filling the tenant's lists.
    ///
    /// # Errors
    /// [`Error::Cancelled`] if the runtime is shutting down.
    pub async fn close(self) -> Result<(), Error> {
        let runtime = self.runtime();
        let tasks = std::mem::take(&mut *self.0.tasks.lock());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        let close = move || {
            self.0.directory.close();
            // Here, as dropping lists and the ledger blocks.
            drop(self);
        };
        runtime.spawn_blocking(close).await.map_err(|_| Error::Cancelled)
    }

    /// Lets another process open the ledger: ends writes and changes, and saves what is due. Lists that are in memory answer checks as
    /// before. Drop the engine then, without closing it. Blocks.
    ///
    /// # Errors
    /// If the ledger's locks can't be given up.
    pub fn blocking_give_up(&self) -> Result<(), Error> {
        self.0.tasks.lock().drain(..).for_each(|task| task.abort());
        self.0.directory.retire();
        Ok(self.0.directory.context.ledger.give_up()?)
    }

    fn tenant(&self, id: &TenantId) -> Result<Arc<Tenant>, Error> {
        self.check_open()?;
        self.0.directory.tenant(id).ok_or_else(|| Error::UnknownTenant(id.clone()))
    }

    fn members(&self, id: &TenantId) -> Result<(Arc<Tenant>, Arc<Members>), Error> {
        let tenant = self.tenant(id)?;
        let members = tenant.members.load_full().ok_or_else(|| Error::UnknownTenant(id.clone()))?;
        Ok((tenant, members))
    }

    fn check_open(&self) -> Result<(), Error> {
        Ok(self.0.directory.context.lifecycle.check()?)
    }

    fn runtime(&self) -> Handle {
        self.0.directory.context.runtime.clone()
    }

    /// Runs a blocking operation on a thread that may block.
    async fn unblock<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Engine) -> T + Send + 'static,
    ) -> Result<T, Error> {
        let engine = self.clone();
        self.runtime().spawn_blocking(move || operation(&engine)).await.map_err(|_| Error::Cancelled)
    }
}

async fn answer(answer: Answer) -> Result<Reloaded, Error> {
    match answer.await {
        Ok(answer) => answer.map_err(Error::Reload),
        // A later request replaced it in the queue.
        Err(_) => Err(ReloadError::Overtaken.into()),
    }
}

/// A watch that is dropped on a thread that may block, as it waits for the watching thread.
struct Watching(Option<Watch>, Handle);

impl Drop for Watching {
    fn drop(&mut self) {
        let watch = self.0.take();
        drop(self.1.spawn_blocking(move || drop(watch)));
    }
}

/// Follows the folder of plugins until it is aborted.
async fn follow_plugins(directory: Arc<Directory>) {
    let Some(dir) = directory.context.plugins.dir() else { return };
    let changed = Arc::new(Notify::new());
    let _watching = match Watch::start(dir.to_owned(), Arc::clone(&changed)) {
        Ok(watch) => Watching(Some(watch), directory.context.runtime.clone()),
        Err(error) => {
            warn!(%error, "the folder of plugins can't be watched: call Engine::rescan_plugins after changes");
            return;
        }
    };
    // The tenants go first.
    if directory.context.started.subscribe().wait_for(|started| *started).await.is_err() {
        return;
    }
    loop {
        changed.notified().await;
        let scanned = Arc::clone(&directory);
        // One at a time. Changes in the meantime are found by the next one.
        let _ = tokio::task::spawn_blocking(move || scanned.rescan_plugins()).await;
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("tenants", &self.0.directory.tenants().len()).finish_non_exhaustive()
    }
}
