//! Compiled plugins by their content.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use portcullis_host::{Component, Engine, LoadError};

use crate::digest::Digest;
use crate::limits::PluginLimits;

/// Compiled plugins by their content. Each content is compiled once, however many names it has that have the same limits.
pub(super) struct Compiled {
    engine: Engine,
    limits: PluginLimits,
    cells: Mutex<HashMap<Key, Arc<Cell>>>,
}

/// A content, and the class of limits that it was compiled within.
type Key = (Digest, String);

/// Filled by the first caller. Others that ask for the same content wait for it.
type Cell = OnceLock<Result<Component, Arc<LoadError>>>;

impl Compiled {
    pub(super) fn new(engine: Engine, limits: PluginLimits) -> Self {
        Compiled { engine, limits, cells: Mutex::default() }
    }

    pub(super) fn limits(&self) -> &PluginLimits {
        &self.limits
    }

    /// How many components are compiled at a time.
    pub(super) fn at_a_time(&self) -> usize {
        self.engine.compiles_at_a_time()
    }

    /// Compiles the component of a plugin, unless it is compiled already. Plugins take turns.
    ///
    /// A failure is not remembered: the machine may have been short of memory.
    pub(super) fn load(
        &self,
        name: &str,
        digest: Digest,
        component: &[u8],
    ) -> Result<Component, Arc<LoadError>> {
        let key: Key = (digest, self.limits.class(name).to_owned());
        let cell = Arc::clone(self.cells.lock().entry(key.clone()).or_default());
        let loaded = cell.get_or_init(|| {
            let limits = self.limits.of(name).clone();
            Component::load_named(&self.engine, name, component, limits).map_err(Arc::new)
        });
        if loaded.is_err() {
            let mut cells = self.cells.lock();
            if cells.get(&key).is_some_and(|now| Arc::ptr_eq(now, &cell)) {
                cells.remove(&key);
            }
        }
        loaded.clone()
    }

    /// The plugin of this content, if it is compiled.
    pub(super) fn get(&self, digest: &Digest) -> Option<Component> {
        let cells = self.cells.lock();
        let mut of_content = cells.iter().filter(|((content, _), _)| content == digest);
        of_content.find_map(|(_, cell)| cell.get()?.clone().ok())
    }

    /// Drops the plugins that are not `needed`. Machine code is freed with its last user.
    pub(super) fn retain(&self, needed: impl Fn(&Digest) -> bool) {
        // A plugin that is being compiled is about to be needed.
        self.cells.lock().retain(|(digest, _), cell| cell.get().is_none() || needed(digest));
    }
}

#[cfg(test)]
mod tests {
    use portcullis_host::{Bound, Limits};
    use portcullis_plugin_bundle::TRIVIAL;

    use super::*;

    #[test]
    fn a_content_is_compiled_once_and_a_failure_is_retried() {
        let compiled = Compiled::new(Engine::new().unwrap(), PluginLimits::default());
        let digest = Digest::of(TRIVIAL.component);
        assert!(compiled.load("a", digest, b"noise").is_err());
        assert!(compiled.get(&digest).is_none());
        assert!(compiled.load("a", digest, TRIVIAL.component).is_ok());
        assert!(compiled.load("a", digest, b"not looked at").is_ok());
        compiled.retain(|needed| *needed == digest);
        assert!(compiled.get(&digest).is_some());
        compiled.retain(|_| false);
        assert!(compiled.get(&digest).is_none());
    }

    #[test]
    fn what_is_admitted_under_one_name_is_not_under_another() {
        let mut few = Limits::default();
        Bound::named("functions").unwrap().set(&mut few, 3);
        let limits = PluginLimits::new(few).admitting("large", Limits::default());
        let compiled = Compiled::new(Engine::new().unwrap(), limits);
        let digest = Digest::of(TRIVIAL.component);
        assert!(compiled.load("large", digest, TRIVIAL.component).is_ok());
        let error = compiled.load("other", digest, TRIVIAL.component).unwrap_err();
        assert!(error.to_string().contains("functions, and 3 are allowed"), "{error}");
    }
}
