//! Opening an engine.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use portcullis_ledger::{Ledger, MasterKey, StorageUrl};
use portcullis_plugin_store::PluginStore;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::context::Context;
use crate::directory::Directory;
use crate::engine::Engine;
use crate::error::OpenError;
use crate::events::{Event, Events};
use crate::residency::Residency;
use crate::settings::SettingsStore;
use crate::states::States;
use crate::workers::Workers;

/// The default of [`Builder::memory_budget`], in bytes.
pub const DEFAULT_MEMORY_BUDGET: u64 = 1 << 30;
/// The default of [`Builder::reload_watch`].
pub const DEFAULT_RELOAD_WATCH: Duration = Duration::from_secs(30);

/// Options of an engine. A ledger and a master key are required.
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
    /// Sets the ledger's URL: `sqlite://` and the path of a file, which is created if it is missing. Only one engine at a time can
    /// have it open.
    pub fn ledger(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Like [`ledger`](Self::ledger), with a parsed URL. Takes precedence over it.
    pub fn storage(mut self, storage: StorageUrl) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Sets the file of the master key, under which the ledger is sealed. It is created together with a new ledger. Store it apart
    /// from backups of the ledger, which nobody can read without it, including you.
    pub fn master_key_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.key_file = Some(path.into());
        self
    }

    /// Sets the master key itself. Takes precedence over [`master_key_file`](Self::master_key_file).
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets a folder of plugins, in addition to the built-in ones. It is watched: a new version of a plugin is loaded while messages
    /// flow. Only one engine at a time may use it.
    pub fn plugins_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.plugins_dir = Some(dir.into());
        self
    }

    /// Sets the folder of saved states: by default beside the ledger, with `.states` after its name.
    pub fn states_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.states_dir = Some(dir.into());
        self
    }

    /// Sets the memory budget shared by lists of up to 64,000 entries, in bytes: [`DEFAULT_MEMORY_BUDGET`] by default. The least
    /// recently checked lists are evicted first, and restored by their next check.
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    /// Sets how long the previous plugin stays ready after a reload, to be rolled back to if the new one fails:
    /// [`DEFAULT_RELOAD_WATCH`] by default.
    pub fn reload_watch(mut self, watch: Duration) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Adds a listener, which is called with each event on the thread that causes it.
    ///
    /// A listener may check, and may read the status. It must not block, and must not call what changes tenants or closes the engine:
    /// that may wait for the very operation which the event is about. Spawn a task for such calls. A listener that panics is
    /// reported in the log, and called again with the next event.
    pub fn on_event(mut self, listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        self.events.add(Box::new(listener));
        self
    }

    /// Opens the engine, without tenants.
    ///
    /// # Errors
    /// See [`OpenError`].
    ///
    /// # Panics
    /// Outside of a Tokio runtime, and in one without a time driver. Background tasks run on this runtime.
    pub async fn open(self) -> Result<Engine, OpenError> {
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || self.open_on(runtime)).await.map_err(|_| OpenError::Cancelled)?
    }

    /// The blocking form of [`open`](Self::open). Background tasks run on `runtime`.
    ///
    /// # Errors
    /// See [`OpenError`].
    ///
    /// # Panics
    /// If `runtime` has no time driver.
    pub fn open_on(self, runtime: Handle) -> Result<Engine, OpenError> {
        {
            // Without timers, entries would not expire, and nobody would notice.
            let _entered = runtime.enter();
            drop(tokio::time::sleep(Duration::ZERO));
        }
        let storage = match (self.storage, self.url) {
            (Some(storage), _) => storage,
            (None, Some(url)) => url.parse()?,
            (None, None) => return Err(OpenError::NoLedger),
        };
        let key = match (self.key, &self.key_file) {
            (Some(key), _) => key,
            (None, Some(file)) => master_key(&storage, file)?,
            (None, None) => return Err(OpenError::NoMasterKey),
        };
        let ledger = Ledger::open(&storage, key)?;
        let host = portcullis_host::Engine::new()?;
        // Until there are messages, the processors are idle.
        host.compile_on(thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
        let dir = self.states_dir.unwrap_or_else(|| states_dir(&storage, self.key_file.as_deref()));
        let states =
            States::open(dir.clone()).map_err(|error| OpenError::States { dir, source: Box::new(error) })?;
        let context = Arc::new(Context {
            settings: SettingsStore::load(ledger.clone())?,
            ledger,
            plugins: PluginStore::new(host.clone(), self.plugins_dir),
            states,
            residency: Residency::new(self.memory_budget.unwrap_or(DEFAULT_MEMORY_BUDGET)),
            events: self.events,
            lifecycle: Arc::default(),
            expiry: Notify::new(),
            workers: Workers::for_this_machine(),
            watch: self.watch.unwrap_or(DEFAULT_RELOAD_WATCH),
            host,
            runtime,
        });
        Ok(Engine::start(Directory::new(context)))
    }
}

/// A new key opens no existing ledger: one is created only together with a ledger.
fn master_key(storage: &StorageUrl, file: &Path) -> Result<MasterKey, OpenError> {
    let is_new = match storage {
        StorageUrl::Sqlite(ledger) => !ledger.exists(),
        _ => false,
    };
    Ok(MasterKey::from_env_or_file(None, file, is_new)?)
}

/// The ledger's full file name and `.states`, so that no two ledgers share a folder.
fn states_dir(storage: &StorageUrl, key_file: Option<&Path>) -> PathBuf {
    let file = match storage {
        StorageUrl::Sqlite(file) => file.as_path(),
        _ => key_file.unwrap_or(Path::new("portcullis")),
    };
    let mut name = file.as_os_str().to_owned();
    name.push(".states");
    name.into()
}
