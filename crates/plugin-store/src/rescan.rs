//! What is new in the folder of plugins.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::error::PluginStoreError;
use crate::folder;
use crate::slot::Told;
use crate::store::PluginStore;
use crate::version::{Origin, PluginVersion};

/// What a [rescan](PluginStore::rescan) found out about one plugin.
#[derive(Debug)]
pub enum Finding {
    /// Its file has a content that not all know of who asked for the latest version.
    Changed {
        /// The plugin.
        name: String,
        /// Its newest version.
        version: Arc<PluginVersion>,
    },
    /// Its file can't be used. Whoever has a version of the plugin goes on with it.
    Problem {
        /// The plugin.
        name: String,
        /// Why.
        error: PluginStoreError,
    },
    /// Its file is no longer there. Whoever has a version of the plugin goes on with it; the latest is the built-in one from now
    /// on, where there is one.
    Gone {
        /// The plugin.
        name: String,
    },
}

impl PluginStore {
    /// Looks at every file in the folder, and compiles what is new. Each thing is told once.
    ///
    /// A file that is there again is no change where its content is what everybody has.
    pub fn rescan(&self) -> Vec<Finding> {
        let mut names: BTreeSet<String> = self.dir().map(folder::names).unwrap_or_default();
        names.extend(self.slots().keys().cloned());
        names.into_iter().filter_map(|name| self.rescan_one(name)).collect()
    }

    fn rescan_one(&self, name: String) -> Option<Finding> {
        let slot = self.slot_of(&name);
        let mut look = slot.look();
        let latest = self.look(&name, &slot, &mut look);
        let untold = look.untold.take();
        if !look.is_there {
            let was_there = std::mem::take(&mut look.was_there);
            let is_missed = match look.told {
                Told::Nothing => false,
                Told::One(digest) => self.built_in(&name).is_none_or(|built_in| built_in.digest != digest),
                Told::Several => true,
            };
            return (was_there && is_missed).then_some(Finding::Gone { name });
        }
        if let Some(error) = untold {
            return Some(Finding::Problem { name, error });
        }
        let version = latest.ok().filter(|version| matches!(version.origin, Origin::File(_)))?;
        let told = std::mem::replace(&mut look.told, Told::One(version.digest));
        (told != look.told).then_some(Finding::Changed { name, version })
    }
}
