//! Loading of components.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use crate::bindings::{list, rules as rules_bindings};
use crate::compile::{self, Entry};
use crate::engine::Engine;
use crate::foreign_text::ForeignText;
use crate::invalid_component::{InvalidComponent, LOG};
use crate::limits::Limits;
use crate::load_error::LoadError;
use crate::plugin::Plugin;
use crate::rules;
use crate::sandbox::State;
use crate::validate::{self, Contract, NEITHER};

/// A validated and compiled component, which is a list plugin, a rules plugin, or both in one. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Component {
    list: Option<Plugin>,
    rules: Option<rules::Plugin>,
    limits: Limits,
    code_bytes: usize,
    is_from_cache: bool,
}

impl Component {
    /// Loads a component from a file.
    ///
    /// # Errors
    ///
    /// Those of [`load`](Self::load), and [`LoadError::Read`] if the file can't be read.
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

    /// Validates a component, compiles it and gets the description of each interface that it exports, within `limits`.
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
    /// Those of [`load`](Self::load).
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
        let may_log = engine.log().is_some();
        validate::look_over(&component, limits.component_bytes, &limits.compiling, may_log)?;
        engine.compilation().run(engine.wasm(), &name, component, &limits, next)?
    }

    /// Checks the types of a component, and gets its descriptions.
    fn of(
        engine: &Engine,
        component: &wasmtime::component::Component,
        limits: &Limits,
        is_from_cache: bool,
    ) -> Result<Self, LoadError> {
        let exports = |contract: Contract| component.get_export_index(None, contract.export()).is_some();
        let (has_list, has_rules) = (exports(Contract::List), exports(Contract::Rules));
        if !has_list && !has_rules {
            return Err(InvalidComponent::World(NEITHER.to_owned()).into());
        }
        let code = component.image_range();
        let code_bytes = code.end as usize - code.start as usize;
        let linked = linker(engine)
            .and_then(|linker| linker.instantiate_pre(component))
            .map_err(|error| world(&error))?;
        let list = match has_list {
            true => {
                let pre = list::PluginPre::new(linked.clone()).map_err(|error| world(&error))?;
                Some(
                    Plugin::of(engine, pre, limits, code_bytes, is_from_cache)
                        .map_err(LoadError::Describe)?,
                )
            }
            false => None,
        };
        let rules = match has_rules {
            true => {
                let pre = rules_bindings::RulesPluginPre::new(linked).map_err(|error| world(&error))?;
                Some(rules::Plugin::of(engine, pre, limits).map_err(LoadError::Describe)?)
            }
            false => None,
        };
        Ok(Component { list, rules, limits: limits.clone(), code_bytes, is_from_cache })
    }

    /// The list plugin, if it exports `portcullis:blacklist/blacklist@0.1.0`.
    pub fn list(&self) -> Option<&Plugin> {
        self.list.as_ref()
    }

    /// The rules plugin, if it exports `portcullis:rules/rules@0.1.0`.
    pub fn rules(&self) -> Option<&rules::Plugin> {
        self.rules.as_ref()
    }

    /// The size of the machine code in bytes. All instances share it.
    pub fn code_bytes(&self) -> usize {
        self.code_bytes
    }

    /// Whether it was loaded from the engine's [cache](crate::ArtefactCache), without compiling it.
    pub fn is_from_cache(&self) -> bool {
        self.is_from_cache
    }

    /// The limits that it was loaded with.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// What plugins may import: nothing, in service.
fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine.wasm());
    if let Some(log) = engine.log() {
        let log = Arc::clone(log);
        let line = move |_: StoreContextMut<'_, State>, (text,): (String,)| {
            log(&text);
            Ok(())
        };
        linker.instance(LOG)?.func_wrap("line", line)?;
    }
    Ok(linker)
}

fn world(error: &wasmtime::Error) -> InvalidComponent {
    InvalidComponent::World(ForeignText(&format!("{error:#}")).to_string())
}
