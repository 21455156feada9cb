//! Plugins that have to come from elsewhere.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::error::PluginStoreError;
use crate::store::PluginStore;

/// Plugins that have to come from elsewhere, such as a registry, and are not here yet.
#[derive(Default)]
pub(super) struct Awaited(Mutex<BTreeMap<String, Source>>);

struct Source {
    from: String,
    why: String,
}

impl Awaited {
    /// Says of a plugin that is not here where it has to come from.
    pub(super) fn explain(&self, error: PluginStoreError) -> PluginStoreError {
        let PluginStoreError::Unknown { name } = error else { return error };
        match self.0.lock().get(&name) {
            Some(Source { from, why }) => {
                PluginStoreError::Awaited { name, from: from.clone(), why: why.clone() }
            }
            None => PluginStoreError::Unknown { name },
        }
    }
}

impl PluginStore {
    /// Says where a plugin has to come from, and why it is not here. Those who ask for it are told, unless there is a version of it.
    pub fn await_plugin(&self, name: &str, from: &str, why: &str) {
        let source = Source { from: from.to_owned(), why: why.to_owned() };
        self.awaited.0.lock().insert(name.to_owned(), source);
    }

    /// The plugin is here, or is not expected any more.
    pub fn end_await(&self, name: &str) {
        self.awaited.0.lock().remove(name);
    }
}
