//! The engine: tenants and their blacklists, behind no interface.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_ledger::{Ledger, LedgerError, MasterKey, Scope, SenderId, StorageUrl, TenantId};
use portcullis_plugin_store::{PluginStore, PluginVersion, Watch};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::context::Context;
use crate::directory::{Directory, Put};
use crate::error::{Error, OpenError, TenantError};
use crate::events::{Event, Events};
use crate::expiry;
use crate::kept::KeptSettings;
use crate::list::List;
use crate::reload::{Answer, Goal, ReloadError, ReloadRequest, Reloaded};
use crate::residency::Residency;
use crate::slots::Slots;
use crate::spec::{PluginRef, TenantSpec};
use crate::states::States;
use crate::status::TenantStatus;
use crate::tenant::Tenant;

/// How much memory lists share unless [`Builder::memory_budget`] says otherwise, in bytes.
pub const DEFAULT_MEMORY_BUDGET: u64 = 1 << 30;
/// For how long what served before a reload stays ready unless [`Builder::reload_watch`] says otherwise.
pub const DEFAULT_RELOAD_WATCH: Duration = Duration::from_secs(30);

/// Tenants, their blacklists, and the plugins that answer for them. Cheap to clone.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    directory: Arc<Directory>,
    /// What runs in the background until the engine is closed or dropped.
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.get_mut().iter().for_each(JoinHandle::abort);
    }
}

/// How an engine is to be.
#[derive(Default)]
#[must_use]
pub struct Builder {
    url: Option<String>,
    storage: Option<StorageUrl>,
    key_file: Option<PathBuf>,
    key: Option<MasterKey>,
    plugins_dir: Option<PathBuf>,
    states_dir: Option<PathBuf>,
    memory_budget: Option<u64>,
    watch: Option<Duration>,
    events: Events,
}

impl Builder {
    /// Where the ledger is, as `sqlite://` and a file's path.
    pub fn ledger(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// As [`ledger`](Self::ledger), of a URL that was parsed before.
    pub fn storage(mut self, storage: StorageUrl) -> Self {
        self.storage = Some(storage);
        self
    }

    /// The file of the key that the ledger is sealed under. It is made together with a new ledger. Store it apart from backups of
    /// the ledger: without it they are unreadable, even to you.
    pub fn master_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }

    /// The key itself, in the place of a file.
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.key = Some(key);
        self
    }

    /// A folder of plugins, beside the built-in ones. It is watched: a new version of a plugin is loaded while messages flow.
    pub fn plugins_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.plugins_dir = Some(dir.into());
        self
    }

    /// Where plugins' saved states are kept: beside the ledger unless this is called.
    pub fn states_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.states_dir = Some(dir.into());
        self
    }

    /// Memory budget shared by lists of up to 64,000 entries, in bytes; the least recently checked are evicted first.
    /// [`DEFAULT_MEMORY_BUDGET`] unless this is called.
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    /// For how long what served before a reload stays ready, to take over again where the new plugin fails.
    /// [`DEFAULT_RELOAD_WATCH`] unless this is called.
    pub fn reload_watch(mut self, watch: Duration) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Calls `listener` with each event, on the thread that causes it: it must not block.
    pub fn on_event(mut self, listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.events.add(Box::new(listener));
        self
    }

    /// Opens the engine. It serves no tenant yet.
    ///
    /// # Errors
    /// See [`OpenError`].
    ///
    /// # Panics
    /// Outside of a Tokio runtime.
    pub async fn open(self) -> Result<Engine, OpenError> {
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || self.open_on(runtime)).await.map_err(|_| OpenError::Cancelled)?
    }

    /// As [`open`](Self::open). Blocks while the ledger is opened and read.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_on(self, runtime: Handle) -> Result<Engine, OpenError> {
        let storage = match (self.storage, self.url) {
            (Some(storage), _) => storage,
            (None, Some(url)) => url.parse()?,
            (None, None) => return Err(OpenError::NoLedger),
        };
        let key = match (self.key, &self.key_file) {
            (Some(key), _) => key,
            (None, Some(file)) => master_key(&storage, file)?,
            (None, None) => return Err(OpenError::NoLedger),
        };
        let ledger = Ledger::open(&storage, key)?;
        let host = portcullis_host::Engine::new()?;
        // Until there are messages, nobody else needs the processors.
        host.compile_on(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
        let dir = self.states_dir.unwrap_or_else(|| states_dir(&storage, self.key_file.as_deref()));
        let states =
            States::open(dir.clone()).map_err(|error| OpenError::States { dir, source: Box::new(error) })?;
        let context = Arc::new(Context {
            kept: KeptSettings::load(ledger.clone())?,
            ledger,
            plugins: PluginStore::new(host.clone(), self.plugins_dir),
            states,
            residency: Residency::new(self.memory_budget.unwrap_or(DEFAULT_MEMORY_BUDGET)),
            events: self.events,
            expiry: Notify::new(),
            slots: Slots::for_this_machine(),
            watch: self.watch.unwrap_or(DEFAULT_RELOAD_WATCH),
            host,
            runtime: runtime.clone(),
        });
        let directory = Arc::new(Directory::new(context));
        let tasks = vec![
            runtime.spawn(expiry::run(Arc::clone(&directory))),
            runtime.spawn(follow_plugins(Arc::clone(&directory))),
        ];
        Ok(Engine(Arc::new(Inner { directory, tasks: Mutex::new(tasks) })))
    }
}

/// A new key opens no old ledger: one is made only together with the ledger.
fn master_key(storage: &StorageUrl, file: &Path) -> Result<MasterKey, OpenError> {
    let is_new = match storage {
        StorageUrl::Sqlite(ledger) => !ledger.exists(),
        _ => false,
    };
    Ok(MasterKey::from_env_or_file(None, file, is_new)?)
}

/// Beside the ledger, and named after the whole name of its file: so that no two ledgers share one.
fn states_dir(storage: &StorageUrl, key_file: Option<&Path>) -> PathBuf {
    let file = match storage {
        StorageUrl::Sqlite(file) => file.as_path(),
        _ => key_file.unwrap_or(Path::new("portcullis")),
    };
    let mut name = file.as_os_str().to_owned();
    name.push(".states");
    name.into()
}

/// Follows the folder of plugins, for ever.
async fn follow_plugins(directory: Arc<Directory>) {
    let Some(dir) = directory.context.plugins.dir() else { return };
    let changed = Arc::new(Notify::new());
    let _watch = match Watch::start(dir.to_owned(), Arc::clone(&changed)) {
        Ok(watch) => watch,
        Err(error) => {
            warn!(%error, "the folder of plugins can't be watched: Engine::rescan_plugins looks at it");
            return;
        }
    };
    loop {
        changed.notified().await;
        let looking = Arc::clone(&directory);
        // One look at a time; what changes meanwhile is looked at next.
        let _ = tokio::task::spawn_blocking(move || looking.rescan_plugins()).await;
    }
}

/// Runs what blocks where it may.
async fn unblock<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Cancelled)
}

impl Engine {
    /// An engine to be.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Serves a tenant, in the place of the one that has its name, if any. Returns when its lists are filled and answer.
    ///
    /// # Errors
    /// [`Error::Tenant`] where its plugin does not serve it: the tenant then stays as it was.
    pub async fn put_tenant(&self, spec: TenantSpec) -> Result<Put, Error> {
        let engine = self.clone();
        unblock(move || engine.blocking_put_tenants(vec![spec]))
            .await?
            .pop()
            .ok_or(Error::Cancelled)?
            .map_err(Error::Tenant)
    }

    /// Serves several tenants, each by itself, and fills their lists on all processors. Blocks.
    ///
    /// # Errors
    /// For each tenant that its plugin does not serve: it then stays as it was.
    pub fn blocking_put_tenants(&self, specs: Vec<TenantSpec>) -> Vec<Result<Put, TenantError>> {
        let put = self.0.directory.put(specs);
        // From now on there may be messages.
        self.0.directory.context.host.compile_on(NonZeroUsize::MIN);
        put
    }

    /// Serves tenants no more, and returns how many of these were served. Their entries stay in the ledger, and are in force again
    /// where they are put again. Blocks while their plugins are exchanged.
    pub fn blocking_remove_tenants(&self, tenants: &[TenantId]) -> usize {
        self.0.directory.remove(tenants)
    }

    /// Removes a tenant, its entries, and the key without which copies of those are noise.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], and what the disk may report.
    pub async fn forget_tenant(&self, tenant: &TenantId) -> Result<(), Error> {
        let (engine, tenant) = (self.clone(), tenant.clone());
        unblock(move || engine.blocking_forget_tenant(&tenant)).await?
    }

    /// As [`forget_tenant`](Self::forget_tenant). Blocks.
    ///
    /// # Errors
    /// As for [`forget_tenant`](Self::forget_tenant).
    pub fn blocking_forget_tenant(&self, tenant: &TenantId) -> Result<(), Error> {
        self.0.directory.forget(tenant)
    }

    /// What [`TenantSpec::kept`] had kept, by the tenants' names.
    pub fn kept(&self) -> Vec<(TenantId, Vec<u8>)> {
        self.0.directory.context.kept.hosts()
    }

    /// The blacklist of a sender, whose checks ask the tenant-wide one, too.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], [`Error::UnknownSender`], or [`Error::Name`] where one of these is no name.
    pub fn sender_list(&self, tenant: &str, sender: &str) -> Result<List, Error> {
        let tenant = self.tenant(&tenant.parse()?)?;
        let sender: SenderId = sender.parse()?;
        let members = tenant.members.load_full().ok_or_else(|| Error::UnknownTenant(tenant.id.clone()))?;
        match members.senders.get(&sender) {
            Some(own) => Ok(List { own: Arc::clone(own), wide: Some(Arc::clone(&members.wide)), tenant }),
            None => Err(Error::UnknownSender { tenant: tenant.id.clone(), sender }),
        }
    }

    /// The blacklist that holds for all senders of a tenant.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`], or [`Error::Name`] where this is no name.
    pub fn tenant_list(&self, tenant: &str) -> Result<List, Error> {
        let tenant = self.tenant(&tenant.parse()?)?;
        let members = tenant.members.load_full().ok_or_else(|| Error::UnknownTenant(tenant.id.clone()))?;
        Ok(List { own: Arc::clone(&members.wide), wide: None, tenant })
    }

    /// All lists of a tenant, the tenant-wide one first.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`].
    pub fn lists(&self, tenant: &TenantId) -> Result<Vec<List>, Error> {
        let tenant = self.tenant(tenant)?;
        let members = tenant.members.load_full().ok_or_else(|| Error::UnknownTenant(tenant.id.clone()))?;
        let list = |own: &Arc<crate::live::LiveList>| List {
            own: Arc::clone(own),
            wide: match own.list().scope() {
                Scope::Sender(_) => Some(Arc::clone(&members.wide)),
                Scope::Tenant => None,
            },
            tenant: Arc::clone(&tenant),
        };
        Ok(members.lists().map(list).collect())
    }

    /// Marked as changed when entries of one of the tenant's lists changed, or the tenant was removed.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`].
    pub fn changes(&self, tenant: &TenantId) -> Result<watch::Receiver<()>, Error> {
        Ok(self.tenant(tenant)?.changes.subscribe())
    }

    /// Has another plugin, version or options serve a tenant, while messages flow: over all its lists, or over none. Returns when
    /// it serves, or answers beside the one that does where the request wants a shadow run. The choice survives restarts, until
    /// the spec names another plugin.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`]; [`Error::Reload`] where the plugin does not serve: what served before goes on.
    pub async fn reload(&self, tenant: &str, request: impl Into<ReloadRequest>) -> Result<Reloaded, Error> {
        let request = request.into();
        let shadow = request.shadow;
        let tenant = self.tenant(&tenant.parse()?)?;
        answer(tenant.reload.request(Goal::Requested(request), shadow)).await
    }

    /// Ends a shadow run: the plugin serves.
    ///
    /// # Errors
    /// As for [`reload`](Self::reload), and [`ReloadError::NotNow`] without a shadow run.
    pub async fn promote(&self, tenant: &str) -> Result<Reloaded, Error> {
        let tenant = self.tenant(&tenant.parse()?)?;
        answer(tenant.reload.promote().map_err(ReloadError::from)?).await
    }

    /// Goes back to what served before the last reload, or the one under way.
    ///
    /// # Errors
    /// As for [`reload`](Self::reload), and [`ReloadError::NotNow`] where nothing else has served since the engine was opened.
    pub async fn roll_back(&self, tenant: &str) -> Result<Reloaded, Error> {
        let tenant = self.tenant(&tenant.parse()?)?;
        answer(tenant.reload.go_back().map_err(ReloadError::from)?).await
    }

    /// Records, as the tenant's last reload, that its new settings were refused.
    pub fn record_refusal(&self, tenant: &TenantId, to: impl Into<String>, error: Arc<TenantError>) {
        if let Some(tenant) = self.0.directory.tenant(tenant) {
            tenant.reload.refuse(to.into(), ReloadError::Settings(error));
        }
    }

    /// The plugins that there are.
    pub fn plugins(&self) -> &PluginStore {
        &self.0.directory.context.plugins
    }

    /// Puts a new version of a plugin into the folder, and has all tenants that follow it load it. Returns the version, and how
    /// many tenants have the plugin. Blocks while the component is compiled.
    ///
    /// # Errors
    /// Where there is no folder, or the component is none that the host runs.
    pub fn blocking_put_plugin(
        &self,
        name: &str,
        component: &[u8],
    ) -> Result<(Arc<PluginVersion>, usize), Error> {
        let directory = &self.0.directory;
        let version = directory.context.plugins.put(name, component)?;
        let followers = directory.offer(&version);
        directory.drop_old_versions();
        Ok((version, followers))
    }

    /// Looks at the folder of plugins, where it can't be watched. Blocks for as long as compiling takes.
    pub fn blocking_rescan_plugins(&self) {
        self.0.directory.rescan_plugins();
    }

    /// How all tenants stand, by name.
    pub fn status(&self) -> Vec<TenantStatus> {
        self.0.directory.tenants().values().filter_map(|tenant| TenantStatus::of(tenant)).collect()
    }

    /// The plugin that serves a tenant, or is to: the spec's, or the one that was chosen over it by a reload.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`].
    pub fn plugin_of(&self, tenant: &TenantId) -> Result<PluginRef, Error> {
        let found = self.tenant(tenant)?;
        let members = found.members.load_full().ok_or_else(|| Error::UnknownTenant(tenant.clone()))?;
        Ok(members.chosen.clone())
    }

    /// How one tenant stands.
    ///
    /// # Errors
    /// [`Error::UnknownTenant`].
    pub fn tenant_status(&self, tenant: &TenantId) -> Result<TenantStatus, Error> {
        let found = self.tenant(tenant)?;
        TenantStatus::of(&found).ok_or_else(|| Error::UnknownTenant(tenant.clone()))
    }

    /// Stops what runs in the background, and waits until all that was written is in the ledger's file. Lists that were handed out
    /// work on as long as they are kept.
    ///
    /// # Errors
    /// What the disk may report.
    pub async fn close(self) -> Result<(), LedgerError> {
        let tasks = std::mem::take(&mut *self.0.tasks.lock());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        Ok(())
    }

    fn tenant(&self, id: &TenantId) -> Result<Arc<Tenant>, Error> {
        self.0.directory.tenant(id).ok_or_else(|| Error::UnknownTenant(id.clone()))
    }
}

async fn answer(answer: Answer) -> Result<Reloaded, Error> {
    match answer.await {
        Ok(answer) => answer.map_err(Error::Reload),
        // A later request took its place.
        Err(_) => Err(ReloadError::Overtaken.into()),
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("tenants", &self.0.directory.tenants().len()).finish_non_exhaustive()
    }
}
