//! Loading of plugins.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use portcullis_msisdn::Permutation;
use wasmtime::component::{Component, Linker};

use crate::bindings::PluginPre;
use crate::call_error::CallError;
use crate::compile_slot::NotLoaded;
use crate::contract::{Description, Keyspace, Settings};
use crate::engine::Engine;
use crate::instance::{Instance, State};
use crate::limits::Limits;
use crate::memory::MemoryAccount;
use crate::validate::{self, InvalidComponent};

/// A validated and compiled plugin, ready to be instantiated. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    engine: Engine,
    limits: Limits,
    /// Imports resolved (there are none) and types checked, once for all instances.
    pre: PluginPre<State>,
    description: Description,
    code_bytes: usize,
}

/// Why a plugin can't be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The file can't be read.
    #[error("can't read the plugin file {path}")]
    Read {
        /// The path of the file.
        path: String,
        /// The error of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// It is not a component that implements the contract.
    #[error("the plugin does not fit: {0}")]
    Invalid(InvalidComponent),
    /// It was not loaded within [`Limits::load`].
    #[error("the plugin was not checked and compiled within its {} ms", .limit.as_millis())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// Another plugin was still being loaded after [`Limits::load`].
    #[error("another plugin is still being compiled after {} ms: try again later", .limit.as_millis())]
    Busy {
        /// The limit.
        limit: Duration,
    },
    /// The operating system refused to start a thread.
    #[error("can't start the thread that loads a plugin")]
    NoThread,
    /// It implements the contract, but `describe` failed.
    #[error("can't get the plugin's description")]
    Describe(#[source] CallError),
}

// Not `#[from]`: the message already contains the error, so as its source it would appear twice in an error chain.
impl From<InvalidComponent> for LoadError {
    fn from(error: InvalidComponent) -> Self {
        LoadError::Invalid(error)
    }
}

impl LoadError {
    /// The kind of error, for metrics: `unreadable`, `unfit`, `too-slow`, `no-turn` or `no-description`.
    pub fn kind(&self) -> &'static str {
        match self {
            LoadError::Read { .. } => "unreadable",
            LoadError::Invalid(_) => "unfit",
            LoadError::TimedOut { .. } => "too-slow",
            LoadError::Busy { .. } | LoadError::NoThread => "no-turn",
            LoadError::Describe(_) => "no-description",
        }
    }
}

impl Plugin {
    /// Loads a component from a file.
    ///
    /// # Errors
    ///
    /// Those of [`Plugin::load`], and [`LoadError::Read`] if the file can't be read.
    pub fn load_file(engine: &Engine, path: impl AsRef<Path>, limits: Limits) -> Result<Self, LoadError> {
        let path = path.as_ref();
        let read = || {
            let mut bytes = Vec::new();
            // Read at most one byte past the limit, which is enough to reject a file that is too large.
            File::open(path)?.take(limits.component_bytes as u64 + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = read().map_err(|source| LoadError::Read { path: path.display().to_string(), source })?;
        Self::load_within(engine, bytes, limits)
    }

    /// Validates a component, compiles it and gets its description, within `limits`.
    ///
    /// Compiling a small plugin takes tens of milliseconds. It happens on a thread with low priority, or on
    /// [several](Engine::compile_on). Components are loaded one at a time.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says why the component can't be used.
    pub fn load(engine: &Engine, component: &[u8], limits: Limits) -> Result<Self, LoadError> {
        if component.len() > limits.component_bytes {
            return Err(
                InvalidComponent::TooLarge { bytes: component.len(), limit: limits.component_bytes }.into()
            );
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
                NotLoaded::TimedOut => LoadError::TimedOut { limit: time },
                NotLoaded::Busy => LoadError::Busy { limit: time },
                NotLoaded::NoThread => LoadError::NoThread,
                // A bug in a parser or the compiler, triggered by these bytes.
                NotLoaded::Panicked => InvalidComponent::Damaged("the compiler panicked".to_owned()).into(),
            })
        })
    }

    fn load_here(engine: &Engine, component: &[u8], limits: Limits) -> Result<Self, LoadError> {
        validate::check(component, limits.component_bytes, &limits.compiling)?;
        let compile = |error: wasmtime::Error| InvalidComponent::Compile(format!("{error:#}"));
        let component = Component::new(engine.wasm(), component).map_err(compile)?;
        let code_bytes = component.image_range().end as usize - component.image_range().start as usize;
        let pre = Linker::new(engine.wasm())
            .instantiate_pre(&component)
            .and_then(PluginPre::new)
            .map_err(|error| InvalidComponent::World(format!("{error:#}")))?;
        let account = MemoryAccount::new(limits.instance_bytes);
        let description = Instance::describe(engine, &pre, &account, &limits).map_err(LoadError::Describe)?;
        Ok(Plugin(Arc::new(Inner { engine: engine.clone(), limits, pre, description, code_bytes })))
    }

    /// What the plugin reports about itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The size of the plugin's machine code in bytes. All instances share it.
    pub fn code_bytes(&self) -> usize {
        self.0.code_bytes
    }

    /// The limits that the plugin was loaded with.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    /// Creates an instance with an empty list.
    ///
    /// `numbers` is the tenant's permutation if the tenant grants this plugin phone numbers in the clear. It is ignored
    /// unless the plugin needs them.
    ///
    /// # Errors
    ///
    /// Any [`CallError`]; [`CallError::Refused`] if the plugin rejects its options, or if it needs phone numbers in the
    /// clear and `numbers` is `None`.
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
