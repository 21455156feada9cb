//! The plugins that tenants can choose from: those that are built in, and those in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use portcullis_host::{Engine, Limits, LoadError, Plugin};
use portcullis_plugin_bundle::SHIPPED;

/// Where a plugin comes from.
#[derive(Clone, Debug)]
enum Origin {
    BuiltIn(&'static [u8]),
    File(PathBuf),
}

/// Plugins by name; each is compiled when it is first asked for.
pub(crate) struct Shelf {
    engine: Engine,
    dir: Option<PathBuf>,
    loaded: Mutex<BTreeMap<String, Plugin>>,
}

/// Why there is no plugin of a name.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error("there is no plugin {name}")]
    Unknown { name: String },
    #[error("the plugin {name}, {origin}, can't be loaded")]
    Unloadable {
        name: String,
        origin: String,
        #[source]
        source: LoadError,
    },
}

impl Shelf {
    pub(crate) fn new(engine: Engine, dir: Option<PathBuf>) -> Self {
        Shelf { engine, dir, loaded: Mutex::default() }
    }

    /// The folder that was named for plugins.
    pub(crate) fn dir(&self) -> Option<&Path> {
        self.dir.as_deref()
    }

    /// The names of the plugins there are now.
    pub(crate) fn names(&self) -> BTreeSet<String> {
        names(self.dir())
    }

    /// The plugin of this name.
    pub(crate) fn get(&self, name: &str) -> Result<Plugin, ShelfError> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plugin) = loaded.get(name) {
            return Ok(plugin.clone());
        }
        let Some(origin) = origins(self.dir()).remove(name) else {
            return Err(ShelfError::Unknown { name: name.to_owned() });
        };
        let plugin = match &origin {
            Origin::BuiltIn(component) => Plugin::load(&self.engine, component, Limits::default()),
            Origin::File(path) => Plugin::load_file(&self.engine, path, Limits::default()),
        };
        let plugin = plugin.map_err(|source| ShelfError::Unloadable {
            name: name.to_owned(),
            origin: match &origin {
                Origin::BuiltIn(_) => "which is built in".to_owned(),
                Origin::File(path) => format!("file {}", path.display()),
            },
            source,
        })?;
        loaded.insert(name.to_owned(), plugin.clone());
        Ok(plugin)
    }
}

/// The names of the plugins that are built in or lie in `dir`.
pub(crate) fn names(dir: Option<&Path>) -> BTreeSet<String> {
    origins(dir).into_keys().collect()
}

/// A file goes before a built-in plugin of its name. A folder that is not there has no files.
fn origins(dir: Option<&Path>) -> BTreeMap<String, Origin> {
    let built_in = SHIPPED.iter().map(|plugin| (plugin.name.to_owned(), Origin::BuiltIn(plugin.component)));
    let files = dir.into_iter().flat_map(std::fs::read_dir).flatten().flatten().filter_map(|file| {
        let path = file.path();
        let name = path.file_stem()?.to_str()?;
        // A file whose name begins with a dot is still being written.
        let is_plugin = path.extension()? == "wasm" && !name.starts_with('.');
        is_plugin.then(|| (name.to_owned(), Origin::File(path.clone())))
    });
    built_in.chain(files).collect()
}
