//! Loading of plugins.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use portcullis_msisdn::Permutation;
use wasmtime::component::Linker;

use crate::bindings::PluginPre;
use crate::call_error::CallError;
use crate::compile::{self, Entry};
use crate::contract::{Description, Keyspace, Settings};
use crate::engine::Engine;
use crate::foreign_text::ForeignText;
use crate::instance::{Instance, State};
use crate::invalid_component::InvalidComponent;
use crate::limits::Limits;
use crate::load_error::LoadError;
use crate::memory::MemoryAccount;

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
    is_from_cache: bool,
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
        let bytes = read().map_err(|source| LoadError::Read {
            path: ForeignText(&path.display().to_string()).to_string(),
            source,
        })?;
        Self::load_within(engine, None, bytes, limits)
    }

    /// Validates a component, compiles it and gets its description, within `limits`.
    ///
    /// Compiling a small plugin takes tenths of a second of processor time, in the engine's
    /// [`Compiler`](crate::Compiler), with low priority. A few components are compiled at a time. One that is in the
    /// engine's [cache](crate::ArtefactCache) takes about a millisecond, and waits for nothing.
    ///
    /// # Errors
    ///
    /// [`LoadError`] says why the component can't be used.
    pub fn load(engine: &Engine, component: &[u8], limits: Limits) -> Result<Self, LoadError> {
        Self::load_within(engine, None, component.to_vec(), limits)
    }

    /// Like [`load`](Self::load), for the plugin of this name: components of one name are compiled one at a time, and
    /// names take turns, so that one which changes all the time does not delay the others.
    ///
    /// # Errors
    ///
    /// Those of [`Plugin::load`].
    pub fn load_named(
        engine: &Engine,
        name: &str,
        component: &[u8],
        limits: Limits,
    ) -> Result<Self, LoadError> {
        Self::load_within(engine, Some(name), component.to_vec(), limits)
    }

    fn load_within(
        engine: &Engine,
        name: Option<&str>,
        component: Vec<u8>,
        limits: Limits,
    ) -> Result<Self, LoadError> {
        if component.len() > limits.component_bytes {
            return Err(
                InvalidComponent::TooLarge { bytes: component.len(), limit: limits.component_bytes }.into()
            );
        }
        let entry = Entry::of(engine.wasm(), &component, &limits);
        if let Some(artefact) = engine.cache().and_then(|cache| cache.find(&entry, &limits))
            // Machine code that wasmtime does not take is compiled again.
            && let Ok(component) = compile::component(engine.wasm(), &artefact)
        {
            return Self::of(engine, &component, &limits, true);
        }
        let (here, bounds) = (engine.clone(), limits.clone());
        let name = name.unwrap_or(entry.digest()).to_owned();
        let next = move |artefact: Vec<u8>| {
            let component = compile::component(here.wasm(), &artefact)?;
            let plugin = Self::of(&here, &component, &bounds, false)?;
            if let Some(cache) = here.cache() {
                cache.keep(&entry, &artefact);
            }
            Ok(plugin)
        };
        engine.compilation().run(engine.wasm(), &name, component, &limits, next)?
    }

    /// Checks the types of a component, and gets its description.
    fn of(
        engine: &Engine,
        component: &wasmtime::component::Component,
        limits: &Limits,
        is_from_cache: bool,
    ) -> Result<Self, LoadError> {
        let code = component.image_range();
        let code_bytes = code.end as usize - code.start as usize;
        let pre = Linker::new(engine.wasm())
            .instantiate_pre(component)
            .and_then(PluginPre::new)
            .map_err(|error| InvalidComponent::World(ForeignText(&format!("{error:#}")).to_string()))?;
        let instance_bytes = limits.describe_bytes.min(limits.instance_bytes);
        let describing = Limits { instance_bytes, ..limits.clone() };
        let account = MemoryAccount::new(u64::MAX);
        let description =
            Instance::describe(engine, &pre, &account, &describing).map_err(LoadError::Describe)?;
        let (engine, limits) = (engine.clone(), limits.clone());
        Ok(Plugin(Arc::new(Inner { engine, limits, pre, description, code_bytes, is_from_cache })))
    }

    /// What the plugin reports about itself.
    pub fn description(&self) -> &Description {
        &self.0.description
    }

    /// The size of the plugin's machine code in bytes. All instances share it.
    pub fn code_bytes(&self) -> usize {
        self.0.code_bytes
    }

    /// Whether the plugin was loaded from the engine's [cache](crate::ArtefactCache), without compiling it.
    pub fn is_from_cache(&self) -> bool {
        self.0.is_from_cache
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
