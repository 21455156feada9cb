//! Why there is no plugin, or no version of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_host::{ErrorChain, LoadError};

use crate::digest::DigestError;
use crate::folder::FileError;
use crate::version::Origin;

/// Why there is no plugin of a name, or no version of it, or why it can't be stored.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginStoreError {
    /// No plugin has this name.
    #[error("there is no plugin {name}: put {name}.wasm into the folder that plugins.dir names")]
    Unknown {
        /// The name that was asked for.
        name: String,
    },
    /// The plugin's file can't be read.
    #[error("the plugin {name}, file {path}, can't be used")]
    File {
        /// The plugin.
        name: String,
        /// Its file.
        path: PathBuf,
        /// Why.
        #[source]
        source: FileError,
    },
    /// The component does not compile, or does not fit the contract.
    #[error("the plugin {name}, {origin}, can't be loaded")]
    Unloadable {
        /// The plugin.
        name: String,
        /// Where the component comes from.
        origin: Origin,
        /// Why.
        #[source]
        source: Arc<LoadError>,
    },
    /// The plugin's file was removed.
    #[error(
        "the file {path} is gone, and a version from before serves: put the file back, or choose another plugin"
    )]
    Gone {
        /// Where the file was.
        path: PathBuf,
    },
    /// The text is neither a digest nor the beginning of one.
    #[error("{text:?} names no version of the plugin {name}")]
    NoVersion {
        /// The plugin.
        name: String,
        /// The text.
        text: String,
        /// What a version looks like.
        #[source]
        source: DigestError,
    },
    /// The plugin has no version whose digest begins so.
    #[error("the plugin {name} has no version {text}; it has {known}")]
    UnknownVersion {
        /// The plugin.
        name: String,
        /// The beginning of a digest that was asked for.
        text: String,
        /// Short digests of the versions there are, separated by commas.
        known: String,
    },
    /// Several versions have a digest that begins so.
    #[error("several versions of the plugin {name} begin with {text}, {fitting}: write more digits")]
    Ambiguous {
        /// The plugin.
        name: String,
        /// The beginning of a digest that was asked for.
        text: String,
        /// Short digests of these versions, separated by commas.
        fitting: String,
    },
    /// A stored version is not what its file name says.
    #[error("the file {path} holds other bytes than the version it is named after: delete it")]
    Tampered {
        /// The file.
        path: PathBuf,
    },
    /// No plugin can be stored under this name.
    #[error("{name:?} is no plugin name: use 1 to 64 of a-z, 0-9, - and _, with a letter or digit first")]
    Name {
        /// The name.
        name: String,
    },
    /// The store has no folder.
    #[error(
        "there is no folder for plugins: set plugins.dir in the configuration file, and restart the gateway"
    )]
    NoFolder,
    /// The component could not be written into the folder.
    #[error("the file {path} can't be written: make room, and let the gateway write there")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
}

impl PluginStoreError {
    /// Whether both say the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        ErrorChain(self).to_string() == ErrorChain(other).to_string()
    }
}
