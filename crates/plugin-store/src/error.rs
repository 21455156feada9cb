//! Errors of the plugin store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_host::{ErrorChain, LoadError};

use crate::digest::DigestError;
use crate::folder::FileError;
use crate::version::Origin;

/// An error of loading or storing a plugin.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginStoreError {
    /// No plugin has this name.
    #[error("there is no plugin {name}: put {name}.wasm into the folder that plugins.dir names")]
    Unknown {
        /// The name.
        name: String,
    },
    /// The plugin's file can't be read.
    #[error("the plugin {name}, file {path}, can't be used")]
    File {
        /// The plugin.
        name: String,
        /// Its file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: FileError,
    },
    /// The component does not compile, or does not fit the contract.
    #[error("the plugin {name}, {origin}, can't be loaded")]
    Unloadable {
        /// The plugin.
        name: String,
        /// Where the component came from.
        origin: Origin,
        /// The cause.
        #[source]
        source: Arc<LoadError>,
    },
    /// The plugin's file was removed.
    #[error(
        "the file {path} is gone, and an earlier version serves: put the file back, or choose another plugin"
    )]
    Gone {
        /// Where the file was.
        path: PathBuf,
    },
    /// The text is neither a digest nor the beginning of one.
    #[error("{text:?} is not a version of the plugin {name}")]
    NoVersion {
        /// The plugin.
        name: String,
        /// The text.
        text: String,
        /// What a version looks like.
        #[source]
        source: DigestError,
    },
    /// The plugin has no version with this digest.
    #[error("the plugin {name} has no version {text}; it has {known}")]
    UnknownVersion {
        /// The plugin.
        name: String,
        /// The requested digest, or its beginning.
        text: String,
        /// The short digests of the plugin's versions, separated by commas.
        known: String,
    },
    /// Several versions have a digest that begins like this.
    #[error("several versions of the plugin {name} begin with {text}, {fitting}: write more digits")]
    Ambiguous {
        /// The plugin.
        name: String,
        /// The beginning of the requested digest.
        text: String,
        /// The short digests of these versions, separated by commas.
        fitting: String,
    },
    /// A file in the archive does not have the digest that it is named after.
    #[error("the file {path} does not have the digest in its name: delete it")]
    Tampered {
        /// The file.
        path: PathBuf,
    },
    /// No plugin can be stored under this name.
    #[error(
        "{name:?} is not a valid plugin name: use 1 to 64 of a-z, 0-9, - and _, with a letter or digit first"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// The store has no folder.
    #[error(
        "there is no folder for plugins: set plugins.dir in the configuration file, and restart the gateway"
    )]
    NoFolder,
    /// The component can't be written into the folder.
    #[error("the file {path} can't be written: check the free space and the permissions of its folder")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
}

impl PluginStoreError {
    /// Whether both have the same message.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        ErrorChain(self).to_string() == ErrorChain(other).to_string()
    }
}
