//! Opening an engine.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use portcullis_admission::{Lifecycle, Workers};
use portcullis_fleet::{Acknowledgements, DEFAULT_STALE_AFTER, Journal, Staleness, WhenStale, is_node_name};
use portcullis_host::{ArtefactCache, Compiler, ErrorChain, MemoryPool};
use portcullis_ledger::{
    Accepted, Finding, KeyFile, KeyInUse, KeyOrigin, KeyProvider, Ledger, LedgerError, ListState, MasterKey,
    Opening, StorageUrl, Verified,
};
use portcullis_meters::Clock;
use portcullis_plugin_store::{PluginLimits, PluginStore, TrustedKeys};
use portcullis_residency::{Residency, machine_memory};
use portcullis_saved_states::States;
use portcullis_tenant_rules::{OnRuleFault, Surroundings};
use portcullis_tenant_settings::SettingsStore;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use crate::context::Context;
use crate::directory::Directory;
use crate::engine::Engine;
use crate::error::OpenError;
use crate::events::{Event, Events};
use crate::storage::{Storage, StorageError};

/// The default of [`Builder::memory_budget`], in bytes.
pub const DEFAULT_MEMORY_BUDGET: u64 = 1 << 30;
/// The least of [`Builder::memory_limit`], in bytes.
pub const LEAST_MEMORY_LIMIT: u64 = 64 << 20;
/// The default of [`Builder::reload_watch`].
pub const DEFAULT_RELOAD_WATCH: Duration = Duration::from_secs(30);

/// The default of [`Builder::check_patience`].
pub const DEFAULT_CHECK_PATIENCE: Duration = Duration::from_millis(250);
/// The default of [`Builder::proof_share`].
pub const DEFAULT_PROOF_SHARE: f64 = 0.01;

/// Options of an engine. A ledger and a master key are required.
#[derive(Default)]
#[must_use]
pub struct Builder {
    url: Option<String>,
    storage: Option<StorageUrl>,
    key_file: Option<PathBuf>,
    key: Option<MasterKey>,
    key_provider: Option<KeyProvider>,
    plugins_dir: Option<PathBuf>,
    trusted_keys: TrustedKeys,
    states_dir: Option<PathBuf>,
    compiled_dir: Option<PathBuf>,
    compiler: Compiler,
    plugin_limits: PluginLimits,
    memory_budget: Option<u64>,
    memory_limit: Option<u64>,
    watch: Option<Duration>,
    check_patience: Option<Duration>,
    proof_share: Option<f64>,
    node: Option<String>,
    stale_after: Option<Duration>,
    when_stale: WhenStale,
    new_ledger: bool,
    restored: bool,
    expected: Option<String>,
    events: Events,
}

impl Builder {
    /// Sets the ledger's URL: `sqlite://` and the path of a file, which is created if it is missing and nothing says that there was
    /// one: a key file, saved states, or a witness or log beside it. Only one engine at a time can have it open.
    ///
    /// Or the URL of a database in PostgreSQL, such as `postgres://portcullis@db1,db2/portcullis?sslmode=verify-full`, which several
    /// engines share: each writes to it, and follows what the others write. See [`PostgresUrl`](portcullis_ledger_postgres::PostgresUrl).
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

    /// Sets the master key itself. Takes precedence over [`master_key_file`](Self::master_key_file). By itself it does not say that
    /// there was a ledger: see [`expect_ledger`](Self::expect_ledger).
    pub fn master_key(mut self, key: MasterKey) -> Self {
        self.key = Some(key);
        self
    }

    /// Sets what provides a master key that was [set](Self::master_key) again when it is to be
    /// [rotated](Engine::blocking_rotate_master_key).
    pub fn master_key_provider(mut self, provider: KeyProvider) -> Self {
        self.key_provider = Some(provider);
        self
    }

    /// Sets a folder of plugins, in addition to the built-in ones. It is watched: a new version of a plugin is loaded while messages
    /// flow. Only one engine at a time may use it.
    pub fn plugins_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.plugins_dir = Some(dir.into());
        self
    }

    /// Sets the limits with which plugins are loaded and run, and those of plugins that are admitted with others: see
    /// [`Limits`](portcullis_host::Limits).
    pub fn plugin_limits(mut self, limits: PluginLimits) -> Self {
        self.plugin_limits = limits;
        self
    }

    /// Sets the folder of saved states: by default beside the ledger, with `.states` after its name.
    pub fn states_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.states_dir = Some(dir.into());
        self
    }

    /// Sets keys by one of which plugins must be signed, unless they are built in: by default, all are trusted. See
    /// [`PluginStore::trust`](portcullis_plugin_store::PluginStore::trust).
    pub fn trusted_keys(mut self, keys: TrustedKeys) -> Self {
        self.trusted_keys = keys;
        self
    }

    /// Sets the folder of compiled plugins: by default beside the ledger, with `.compiled` after its name. With it, a start
    /// compiles nothing that was compiled before. Its files are sealed under the master key, and may be deleted.
    pub fn compiled_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.compiled_dir = Some(dir.into());
        self
    }

    /// Sets where plugins are compiled: [`Compiler::InProcess`] by default.
    ///
    /// **A hostile component can make the in-process compiler end the process.** If plugins come from people whom you do
    /// not trust as much as yourself, use a child process: call [`compile_child_main`](portcullis_host::compile_child_main)
    /// at the beginning of `main`, and pass [`Compiler::this_program`].
    pub fn compiler(mut self, compiler: Compiler) -> Self {
        self.compiler = compiler;
        self
    }

    /// Sets the memory budget shared by lists of up to 64,000 entries, in bytes: [`DEFAULT_MEMORY_BUDGET`] by default. The least
    /// recently checked lists are evicted first, and restored by their next check. It is three quarters of
    /// [`memory_limit`](Self::memory_limit) at most.
    pub fn memory_budget(mut self, bytes: u64) -> Self {
        self.memory_budget = Some(bytes);
        self
    }

    /// Limits the memory of the plugins of all tenants together, in bytes: at least [`LEAST_MEMORY_LIMIT`], and by default three
    /// quarters of the machine's memory, or of that of the control group that the process runs in.
    ///
    /// A plugin that would exceed the limit fails, and the tenant's failure policy answers until it has recovered. Tenants that take
    /// more than an equal share leave a quarter of the limit to the others.
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Sets how long the previous plugin stays ready after a reload, to be rolled back to if the new one fails:
    /// [`DEFAULT_RELOAD_WATCH`] by default.
    pub fn reload_watch(mut self, watch: Duration) -> Self {
        self.watch = Some(watch);
        self
    }

    /// Sets how long a check waits for a plugin that is slow or busy, or for room in memory for one that was evicted:
    /// [`DEFAULT_CHECK_PATIENCE`] by default. After that the tenant's [failure policy](crate::OnFailure) answers.
    pub fn check_patience(mut self, patience: Duration) -> Self {
        self.check_patience = Some(patience);
        self
    }

    /// Sets the share of one processor that verifies plugins while they serve, from 0 (never) to 1: [`DEFAULT_PROOF_SHARE`] by
    /// default. Entries and strangers at random are checked like messages; a plugin that answers wrongly is out of service at once.
    pub fn proof_share(mut self, share: f64) -> Self {
        self.proof_share = Some(if share < 1e-6 { 0.0 } else { share.min(1.0) });
        self
    }

    /// Sets the name of this engine among those that share a ledger, at most 64 letters, digits, `.`, `_` and `-`: by default the host's
    /// name. Engines on one host need names of their own. Without meaning if the ledger is a file.
    pub fn node(mut self, name: impl Into<String>) -> Self {
        self.node = Some(name.into());
        self
    }

    /// Sets after which time without a completed look at a shared ledger this engine is [stale](crate::Outage::is_stale):
    /// [`DEFAULT_STALE_AFTER`] by default.
    pub fn stale_after(mut self, after: Duration) -> Self {
        self.stale_after = Some(after);
        self
    }

    /// Sets what a stale engine does with checks: [`WhenStale::Answer`] by default.
    pub fn when_stale(mut self, when_stale: WhenStale) -> Self {
        self.when_stale = when_stale;
        self
    }

    /// Creates a new, empty ledger although there is a key file, or something else says that there was a ledger. For one start: it is
    /// an error if there is a ledger.
    pub fn new_ledger(mut self, new: bool) -> Self {
        self.new_ledger = new;
        self
    }

    /// Says that there should be a ledger, and why: `because` is the subject of "says that there was one". A missing ledger is
    /// an error then, unless [`new_ledger`](Self::new_ledger) is set.
    ///
    /// A key file says so by itself. A key that is [set](Self::master_key) does not: call this if your program has a way to ask for a
    /// new ledger.
    pub fn expect_ledger(mut self, because: impl Into<String>) -> Self {
        self.expected = Some(because.into());
        self
    }

    /// Accepts a ledger that was restored from a backup, and so lacks what was written since. For one start: it is an error if
    /// nothing is amiss with the ledger, or if it is in a database, which is used as it is.
    pub fn restored(mut self, restored: bool) -> Self {
        self.restored = restored;
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
        let storage = storage(self.storage, self.url.as_deref())?;
        let node = node(&storage, self.node)?;
        let beside = |suffix| storage.beside(self.key_file.as_deref(), &node, suffix);
        let dir = self.states_dir.unwrap_or_else(|| beside(".states"));
        let mut opening = Opening::default().new_ledger(self.new_ledger).restored(self.restored);
        if States::are_in(&dir) {
            opening = opening.evidence(&dir);
        }
        if let Some(because) = self.expected {
            opening = opening.expected(because);
        }
        let (key, origin, key_file) = match (self.key, &self.key_file) {
            (Some(key), _) => (key, None, None),
            (None, Some(file)) => {
                if file.exists() {
                    opening = opening.evidence(file);
                }
                // A new key opens no existing ledger: one is created only together with a ledger.
                let is_new = storage.may_be_new(self.new_ledger);
                let (key, origin) = MasterKey::from_file_or_new(file, is_new)?;
                (key, Some(origin), Some(file))
            }
            (None, None) => return Err(OpenError::NoMasterKey),
        };
        let made = match &origin {
            Some(KeyOrigin::NewFile(file)) => Some(file.as_path()),
            _ => None,
        };
        if self.restored {
            // If the ledger can't be read, opening it says why.
            let lists = storage.url().and_then(|url| Ledger::survey(&url, &key));
            let states = States::at(dir.clone());
            opening =
                opening.is_behind(lists.is_ok_and(|lists| lists.iter().any(|list| is_behind(list, &states))));
        }
        let ledger = storage.open(key.clone(), &node, &opening).inspect_err(|error| match (made, error) {
            // The ledger was made meanwhile by another process, under the key that it found in this file.
            (_, LedgerError::InUse { .. }) | (None, _) => {}
            // It opens nothing.
            (Some(made), _) => MasterKey::discard(made),
        });
        let ledger = ledger.map_err(|error| match (made, error) {
            // It was created with a key that is not here, and not with the one that was just made.
            (Some(_), LedgerError::WrongMasterKey { path }) => LedgerError::NotNew { path },
            (_, error) => error,
        })?;
        if let Some(file) = key_file {
            // From now on it says that there is a ledger.
            MasterKey::keep(file)?;
        }
        report(&ledger, &storage, made);
        let compiled = self.compiled_dir.unwrap_or_else(|| beside(".compiled"));
        let cache = ArtefactCache::open(compiled, *key.derive("compiled plugins")).on_problem(
            |problem| warn!(error = %ErrorChain(problem), "the cache of compiled plugins has a problem"),
        );
        let host = portcullis_host::Engine::new()?.with_compiler(self.compiler).with_cache(cache);
        // Until there are messages, the processors are idle.
        host.compile_eagerly(true);
        let opened = match &storage {
            Storage::File(_) => States::open(dir.clone()),
            // Nothing else keeps another engine from using the folder.
            Storage::Database(_) => States::open_alone(dir.clone()),
        };
        let states = opened.and_then(|states| {
            if self.restored {
                // They are of what was written since the backup was made.
                states.clear()?;
            }
            Ok(states)
        });
        let states = states.map_err(|error| OpenError::States { dir, source: Box::new(error) })?;
        let memory_limit = self.memory_limit.unwrap_or_else(|| {
            // Where the system does not say, each tenant's own limit holds.
            machine_memory().map_or(u64::MAX, |bytes| bytes / 4 * 3)
        });
        let memory = MemoryPool::new(memory_limit.max(LEAST_MEMORY_LIMIT));
        let memory_budget = self.memory_budget.unwrap_or(DEFAULT_MEMORY_BUDGET).min(memory.limit() / 4 * 3);
        let plugins = PluginStore::new(host.clone(), self.plugins_dir).with_limits(self.plugin_limits);
        let plugins = plugins.trusting(self.trusted_keys, &key.admissions());
        let plugins = match ledger.uploads() {
            Some(uploads) => plugins.sharing(uploads),
            None => plugins,
        };
        let (plugins, events) = (Arc::new(plugins), Arc::new(self.events));
        let settings = Arc::new(SettingsStore::load(ledger.clone())?);
        let (lifecycle, workers) = (Arc::<Lifecycle>::default(), Workers::for_reloads());
        let rules = Surroundings {
            ledger: ledger.clone(),
            settings: Arc::clone(&settings),
            plugins: Arc::clone(&plugins),
            memory: Arc::clone(&memory),
            lifecycle: Arc::clone(&lifecycle),
            workers: Arc::clone(&workers),
            clock: Clock::start(),
            dir: beside(".meters"),
            node: node.clone(),
            on_fault: on_rule_fault(Arc::clone(&events)),
        };
        let context = Arc::new(Context {
            staleness: Arc::new(Staleness::new(
                (!ledger.is_shared()).then(|| ledger.server()),
                self.stale_after.unwrap_or(DEFAULT_STALE_AFTER),
                self.when_stale,
            )),
            acknowledgements: Acknowledgements::default(),
            journal: Journal::new(ledger.lineage()),
            settings,
            ledger,
            key: Arc::new(match key_file {
                Some(file) => KeyInUse::of_file(key.clone(), KeyFile::new(file, &key)),
                None => KeyInUse::provided(key, self.key_provider),
            }),
            plugins,
            states,
            residency: Residency::new(memory_budget),
            memory,
            events,
            lifecycle,
            expiry: Notify::new(),
            workers,
            swaps: Workers::for_swaps(),
            slow: Workers::for_slow_plugins(),
            rules: Arc::new(rules),
            check_patience: self.check_patience.unwrap_or(DEFAULT_CHECK_PATIENCE),
            proof_share: self.proof_share.unwrap_or(DEFAULT_PROOF_SHARE),
            started: watch::Sender::new(false),
            opened: AtomicUsize::new(0),
            watch: self.watch.unwrap_or(DEFAULT_RELOAD_WATCH),
            host,
            runtime,
        });
        // Before there are tenants that need them.
        if let Err(error) = context.plugins.follow_uploads() {
            warn!(error = %ErrorChain(&error), "plugins that were uploaded to other gateways can't be read; retrying");
        }
        Engine::start(Directory::new(context)).map_err(OpenError::Thread)
    }

    /// Checks everything that is stored, and changes nothing: the ledger, as [`Ledger::verify`] does, and the saved states. No engine
    /// may be open. Blocks for a few seconds per million entries.
    ///
    /// # Errors
    /// If the check can't be made. See [`OpenError`].
    pub fn blocking_verify(self) -> Result<Verified, OpenError> {
        let storage = storage(self.storage, self.url.as_deref())?;
        let key = existing_key(self.key, self.key_file.as_deref())?;
        let mut verified = Ledger::verify(&storage.url()?, &key)?;
        let node = node(&storage, self.node)?;
        let dir =
            self.states_dir.unwrap_or_else(|| storage.beside(self.key_file.as_deref(), &node, ".states"));
        let states = States::at(dir);
        for list in &verified.lists {
            if is_behind(list, &states) {
                let what = "the ledger lacks changes that the saved state has: it is an older copy; put the latest ledger back, or \
                     start once with --restored";
                verified.findings.push(Finding::of_list(&list.tenant, &list.scope, what));
            }
            let Some(known) = list.state else { continue };
            if let Err(error) = states.of(&list.tenant, &list.scope, &list.keys).check(known) {
                let what = format!("{error}; the list will be filled from the ledger instead");
                verified.findings.push(Finding::of_list(&list.tenant, &list.scope, what));
            }
        }
        Ok(verified)
    }

    /// Checks the contents of a copy of the ledger, as [`Ledger::verify_copy`] does. An engine may be open.
    ///
    /// # Errors
    /// If the check can't be made. See [`OpenError`].
    pub fn blocking_verify_copy(self, copy: &Path) -> Result<Verified, OpenError> {
        let storage = storage(self.storage, self.url.as_deref())?;
        let key = existing_key(self.key, self.key_file.as_deref())?;
        Ok(Ledger::verify_copy(&storage.url()?, copy, &key)?)
    }

    /// Accepts what is stored as it is, although some of it is damaged, as [`Ledger::accept_damage`] does. No engine may be open.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn blocking_accept_damage(self) -> Result<Vec<Finding>, OpenError> {
        let storage = storage(self.storage, self.url.as_deref())?;
        let key = existing_key(self.key, self.key_file.as_deref())?;
        Ok(Ledger::accept_damage(&storage.url()?, &key)?)
    }
}

fn on_rule_fault(events: Arc<Events>) -> OnRuleFault {
    Box::new(move |tenant, rule, kind| {
        events.emit(|| Event::RuleFault { tenant: tenant.clone(), rule: rule.to_owned(), kind });
    })
}

fn storage(parsed: Option<StorageUrl>, url: Option<&str>) -> Result<Storage, OpenError> {
    let parsed = match (parsed, url) {
        (Some(parsed), _) => parsed,
        (None, Some(url)) => url.parse().map_err(StorageError::from)?,
        (None, None) => return Err(OpenError::NoLedger),
    };
    Ok(parsed.try_into()?)
}

/// The name of this engine among those that share a ledger.
fn node(storage: &Storage, given: Option<String>) -> Result<String, OpenError> {
    if let Storage::File(_) = storage {
        return Ok(String::new());
    }
    let name = given.unwrap_or_else(|| gethostname::gethostname().to_string_lossy().into_owned());
    match is_node_name(&name) {
        true => Ok(name),
        false => Err(OpenError::Node),
    }
}

/// The master key of a ledger that is there already.
fn existing_key(key: Option<MasterKey>, file: Option<&Path>) -> Result<MasterKey, OpenError> {
    match (key, file) {
        (Some(key), _) => Ok(key),
        (None, Some(file)) => Ok(MasterKey::from_env_or_file(None, file, false)?.0),
        (None, None) => Err(OpenError::NoMasterKey),
    }
}

/// Whether the ledger lacks changes of a list that its saved state has.
fn is_behind(list: &ListState, states: &States) -> bool {
    states.of(&list.tenant, &list.scope, &list.keys).is_ahead_of(list.sequence, list.state)
}

/// Says loudly what was accepted of the ledger: a typo in its path, or an option that was set in haste, has to be noticed.
fn report(ledger: &Ledger, storage: &Storage, made_key: Option<&Path>) {
    let path = storage.to_string();
    match ledger.accepted() {
        Accepted::New { despite } => {
            let key = match made_key {
                Some(file) => format!("a new master key was stored in {}", file.display()),
                None => "its master key was provided".to_owned(),
            };
            let despite = despite.as_deref().map_or_else(String::new, |evidence| {
                format!(", although {evidence} says that there was one, as --new-ledger accepts")
            });
            warn!(
                ledger = path,
                "a new, empty ledger was created, in which nobody is blocked{despite}; {key}"
            );
        }
        Accepted::Restored { because, missing } => {
            let missing = missing.map_or("unknown".to_owned(), |missing| missing.to_string());
            warn!(
                ledger = path,
                missing_commits = missing,
                "the ledger is accepted as restored from a backup, as --restored says, although {because}: people who opted out \
                 since are not blocked"
            );
        }
        Accepted::Upgrading { format, oldest } => {
            info!(
                ledger = path,
                format,
                oldest,
                "the ledger's database is being upgraded: gateways of the version before can still use it; once all are upgraded, run \
                 `portcullis migrate --finish`"
            );
        }
        _ => {}
    }
}
