//! A compiled plugin.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_msisdn::Permutation;
use wasmtime::component::{Component, Linker};

use crate::bindings::PluginPre;
use crate::contract::{Description, Keyspace, Settings};
use crate::engine::Engine;
use crate::fault::CallError;
use crate::fit::{self, Unfit};
use crate::instance::{Instance, State};
use crate::limits::Limits;
use crate::memory::MemoryAccount;
use crate::turn::NotLoaded;

/// A plugin that fits the contract, compiled and ready to be instantiated. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    engine: Engine,
    limits: Limits,
    /// Imports resolved (there are none) and types checked once for all instances.
    pre: PluginPre<State>,
    description: Description,
    code_bytes: usize,
}

/// Why a plugin can't be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file can't be read.
    #[error("the plugin file {path} can't be read")]
    Read {
        /// The file.
        path: String,
        /// What the operating system says.
        #[source]
        source: std::io::Error,
    },
    /// It is not a component that fits the contract.
    #[error("the plugin does not fit: {0}")]
    Unfit(Unfit),
    /// It was not loaded within [`Limits::load`], and is given up.
    #[error("the plugin took longer to be checked and compiled than its {} ms, and is given up", .limit.as_millis())]
    TookTooLong {
        /// The time it had.
        limit: Duration,
    },
    /// Its turn did not come within [`Limits::load`], as another plugin is still being loaded.
    #[error("another plugin is still being compiled after {} ms: ask again", .limit.as_millis())]
    NoTurn {
        /// The time it had.
        limit: Duration,
    },
    /// The operating system refused a thread.
    #[error("the thread that loads a plugin can't be started")]
    NoThread,
    /// It fits, but fails to describe itself.
    #[error("the plugin can't be asked for its description")]
    Describe(#[source] CallError),
}

// By hand, as the message holds the reason whole: told again as its source, it would stand twice in a log.
impl From<Unfit> for LoadError {
    fn from(unfit: Unfit) -> Self {
        LoadError::Unfit(unfit)
    }
}

impl LoadError {
    /// A short name of the kind, for metrics: `unreadable`, `unfit`, `too-slow`, `no-turn` or `no-description`.
    pub fn kind(&self) -> &'static str {
        match self {
            LoadError::Read { .. } => "unreadable",
            LoadError::Unfit(_) => "unfit",
            LoadError::TookTooLong { .. } => "too-slow",
            LoadError::NoTurn { .. } | LoadError::NoThread => "no-turn",
            LoadError::Describe(_) => "no-description",
        }
    }
}

impl Plugin {
    /// Loads a component from a file.
    ///
    /// # Errors
    ///
    /// As [`Plugin::load`], and where the file can't be read.
    pub fn load_file(engine: &Engine, path: impl AsRef<Path>, limits: Limits) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let read = || {
            let mut bytes = Vec::new();
            // A file may be of any size: no more of it is read than tells that it is too large.
            File::open(path)?.take(limits.component_bytes as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| LoadError::Read { path: path.display().to_string(), source })?;
        Self::load_within(engine, bytes, limits)
    }

    /// Checks that a component fits the contract, compiles it, and asks it for its description, within `limits`.
    ///
    /// Compiling takes some tens of milliseconds for a small plugin, on a thread of its own with low priority, or on
    /// [as many as are set](Engine::compile_on). One component is loaded at a time.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says why the component can't serve.
    pub fn load(engine: &Engine, component: &[u8], limits: Limits) -> Result<Self, LoadError> {
        if component.len() > limits.component_bytes {
            return Err(Unfit::TooLarge { bytes: component.len(), limit: limits.component_bytes }.into());
        }
        Self::load_within(engine, component.to_vec(), limits)
    }

    fn load_within(engine: &Engine, component: Vec<u8>, limits: Limits) -> Result<Self, LoadError> {
        let (time, here) = (limits.load, engine.clone());
        let loaded = engine
            .loads()
            .within(time, move || here.compilers().run(|| Self::load_here(&here, &component, limits)));
        loaded.flatten().unwrap_or_else(|error| {
            Err(match error {
                NotLoaded::TookTooLong => LoadError::TookTooLong { limit: time },
                NotLoaded::NoTurn => LoadError::NoTurn { limit: time },
                NotLoaded::NoThread => LoadError::NoThread,
                // By a defect of a parser or the compiler, which such bytes found.
                NotLoaded::Panicked => Unfit::Damaged("no sense can be made of it".to_owned()).into(),
            })
        })
    }

    fn load_here(engine: &Engine, component: &[u8], limits: Limits) -> Result<Self, LoadError> {
        fit::check(component, limits.component_bytes, &limits.compiling)?;
        let compile = |error: wasmtime::Error| Unfit::Compile(format!("{error:#}"));
        let component = Component::new(engine.wasm(), component).map_err(compile)?;
        let code_bytes = component.image_range().end as usize - component.image_range().start as usize;
        let pre = Linker::new(engine.wasm())
            .instantiate_pre(&component)
            .and_then(PluginPre::new)
            .map_err(|error| Unfit::World(format!("{error:#}")))?;
        let account = MemoryAccount::new(limits.instance_bytes);
        let description = Instance::describe(engine, &pre, &account, &limits).map_err(LoadError::Describe)?;
        Ok(Plugin(Arc::new(Inner { engine: engine.clone(), limits, pre, description, code_bytes })))
    }

    /// What the plugin says of itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The size of its machine code, in bytes; all instances share it.
    pub fn code_bytes(&self) -> usize {
        self.0.code_bytes
    }

    /// What a call of the plugin may take.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// A new instance with an empty list.
    ///
    /// `numbers` is the tenant's permutation where the tenant grants this plugin numbers in clear; it is used only if the
    /// plugin asks for them.
    ///
    /// # Errors
    ///
    /// [`CallError`], as from every call; [`CallError::Refused`] where the plugin refuses its options, and where it needs numbers in
    /// clear that it is not granted.
    pub fn instantiate(
        &self,
        settings: &Settings,
        account: &Arc<MemoryAccount>,
        numbers: Option<&Permutation>,
    ) -> Result<Instance, CallError> {
        let inner = &*self.0;
        let numbers = match (inner.description.keyspace, numbers) {
            (Keyspace::Hashed, _) => None,
            (Keyspace::Clear, Some(permutation)) => Some(permutation.clone()),
            (Keyspace::Clear, None) => {
                return Err(CallError::Refused(format!(
                    "the plugin {} works on numbers in clear, which this tenant does not grant: set clear_numbers = true \
                     for the tenant, or choose a plugin that works on hashed numbers",
                    inner.description.name
                )));
            }
        };
        Instance::new(&inner.engine, &inner.pre, account, &inner.limits, settings, numbers)
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plugin")
            .field("name", &self.0.description.name)
            .field("version", &self.0.description.version)
            .finish_non_exhaustive()
    }
}
