//! A list plugin that was loaded.

use std::path::Path;
use std::sync::Arc;

use portcullis_msisdn::Permutation;

use crate::bindings::list::PluginPre;
use crate::call_error::CallError;
use crate::component::Component;
use crate::contract::{Description, Keyspace, Settings};
use crate::engine::Engine;
use crate::instance::Instance;
use crate::invalid_component::InvalidComponent;
use crate::limits::Limits;
use crate::load_error::LoadError;
use crate::memory::MemoryAccount;
use crate::sandbox::State;
use crate::validate::Contract;

/// A validated and compiled list plugin, ready to be instantiated. Cheap to clone.
///
/// [`Component::load`] also loads rules plugins.
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
    /// Loads a list plugin from a file.
    ///
    /// # Errors
    ///
    /// Those of [`Plugin::load`], and [`LoadError::Read`] if the file can't be read.
    pub fn load_file(engine: &Engine, path: impl AsRef<Path>, limits: Limits) -> Result<Self, LoadError> {
        Component::load_file(engine, path, limits)?.try_into()
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
        Component::load(engine, component, limits)?.try_into()
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
        Component::load_named(engine, name, component, limits)?.try_into()
    }

    /// Gets the plugin's description.
    pub(crate) fn of(
        engine: &Engine,
        pre: PluginPre<State>,
        limits: &Limits,
        code_bytes: usize,
        is_from_cache: bool,
    ) -> Result<Self, CallError> {
        let account = MemoryAccount::new(limits.describe_bytes.min(limits.instance_bytes));
        let description = Instance::describe(engine, &pre, &account, limits)?;
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

impl TryFrom<Component> for Plugin {
    type Error = LoadError;

    fn try_from(component: Component) -> Result<Self, LoadError> {
        let not_a_list = || InvalidComponent::World(Contract::List.missing());
        component.list().cloned().ok_or_else(|| not_a_list().into())
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
