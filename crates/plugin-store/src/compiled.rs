//! Compiled plugins by their content.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use portcullis_host::{Component, Engine, Limits, LoadError};

use crate::digest::Digest;

/// Compiled plugins by their content. Each content is compiled once, however many names it has.
pub(super) struct Compiled {
    engine: Engine,
    cells: Mutex<HashMap<Digest, Arc<Cell>>>,
}

/// Filled by the first caller. Others that ask for the same content wait for it.
type Cell = OnceLock<Result<Component, Arc<LoadError>>>;

impl Compiled {
    pub(super) fn new(engine: Engine) -> Self {
        Compiled { engine, cells: Mutex::default() }
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
        let cell = Arc::clone(self.cells.lock().entry(digest).or_default());
        let loaded = cell.get_or_init(|| {
            Component::load_named(&self.engine, name, component, Limits::default()).map_err(Arc::new)
        });
        if loaded.is_err() {
            let mut cells = self.cells.lock();
            if cells.get(&digest).is_some_and(|now| Arc::ptr_eq(now, &cell)) {
                cells.remove(&digest);
            }
        }
        loaded.clone()
    }

    /// The plugin of this content, if it is compiled.
    pub(super) fn get(&self, digest: &Digest) -> Option<Component> {
        self.cells.lock().get(digest)?.get()?.clone().ok()
    }

    /// Drops the plugins that are not `needed`. Machine code is freed with its last user.
    pub(super) fn retain(&self, needed: impl Fn(&Digest) -> bool) {
        // A plugin that is being compiled is about to be needed.
        self.cells.lock().retain(|digest, cell| cell.get().is_none() || needed(digest));
    }
}

#[cfg(test)]
mod tests {
    use portcullis_plugin_bundle::TRIVIAL;

    use super::*;

    #[test]
    fn a_content_is_compiled_once_and_a_failure_is_retried() {
        let compiled = Compiled::new(Engine::new().unwrap());
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
}
