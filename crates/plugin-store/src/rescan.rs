//! Finding what is new in the folder of plugins.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use crate::error::PluginStoreError;
use crate::folder;
use crate::slot::Known;
use crate::store::PluginStore;
use crate::version::{Origin, PluginVersion};

/// A finding of a [rescan](PluginStore::rescan) about one plugin.
#[derive(Debug)]
pub enum Finding {
    /// The file has a new content, which some callers of [`PluginStore::latest`] don't have.
    Changed {
        /// The plugin.
        name: String,
        /// Its latest version.
        version: Arc<PluginVersion>,
    },
    /// The file can't be used. Versions that were handed out remain usable.
    Problem {
        /// The plugin.
        name: String,
        /// The cause.
        error: PluginStoreError,
    },
    /// The file was removed. Versions that were handed out remain usable. The latest version is the built-in plugin now, if there
    /// is one.
    Gone {
        /// The plugin.
        name: String,
    },
}

impl PluginStore {
    /// Reads every file in the folder that changed, and compiles what is new, several at a time. Calls `found` with each
    /// finding once, as soon as there is one. Asks `goes_on` before each file, and ends when that is false.
    ///
    /// A file that comes back is no change if every caller has its content. One turn to compile is left to others, such as
    /// those that upload a plugin.
    pub fn rescan(&self, goes_on: impl Fn() -> bool + Sync, found: impl Fn(Finding) + Sync) {
        let mut names: BTreeSet<String> = self.dir().map(folder::names).unwrap_or_default();
        names.extend(self.slots().keys().cloned());
        let threads = self.compiled.at_a_time().saturating_sub(1).clamp(1, names.len().max(1));
        let names = Mutex::new(names.into_iter());
        let work = || {
            loop {
                // Not held while one is looked at.
                let name = names.lock().next();
                let Some(name) = name.filter(|_| goes_on()) else { return };
                if let Some(finding) = self.rescan_one(name) {
                    found(finding);
                }
            }
        };
        thread::scope(|scope| {
            for _ in 1..threads {
                let thread = thread::Builder::new().name("portcullis-rescan".to_owned());
                if thread.spawn_scoped(scope, work).is_err() {
                    // The others do it.
                    break;
                }
            }
            work();
        });
    }

    fn rescan_one(&self, name: String) -> Option<Finding> {
        let slot = self.slot_of(&name);
        let mut file = slot.file();
        let latest = self.find_latest(&name, &slot, &mut file);
        let unreported = file.unreported.take();
        if !file.exists {
            let existed = std::mem::take(&mut file.existed);
            let is_missed = match file.known {
                Known::Nothing => false,
                Known::One(digest) => self.built_in(&name).is_none_or(|built_in| built_in.digest != digest),
                Known::Several => true,
            };
            return (existed && is_missed).then_some(Finding::Gone { name });
        }
        if let Some(error) = unreported {
            return Some(Finding::Problem { name, error });
        }
        let version = latest.ok().filter(|version| matches!(version.origin, Origin::File(_)))?;
        let known = std::mem::replace(&mut file.known, Known::One(version.digest));
        (known != file.known).then_some(Finding::Changed { name, version })
    }
}
