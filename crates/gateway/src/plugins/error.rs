//! Why there is no plugin, or no version of it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_host::LoadError;

use super::digest::DigestError;
use super::folder::FileError;
use super::version::Origin;

/// Why there is no plugin of a name, or no version of it, or why it can't be put there.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ShelfError {
    #[error("there is no plugin {name}: put {name}.wasm into the folder that plugins.dir names")]
    Unknown { name: String },
    #[error("the plugin {name}, file {path}, can't be used")]
    File {
        name: String,
        path: PathBuf,
        #[source]
        source: FileError,
    },
    #[error("the plugin {name}, {origin}, can't be loaded")]
    Unloadable {
        name: String,
        origin: Origin,
        #[source]
        source: Arc<LoadError>,
    },
    #[error(
        "the file {path} is gone, and a version from before serves: put the file back, or choose another plugin"
    )]
    Gone { path: PathBuf },
    #[error("{text:?} names no version of the plugin {name}")]
    NoVersion {
        name: String,
        text: String,
        #[source]
        source: DigestError,
    },
    #[error("the plugin {name} has no version {text}; it has {known}")]
    UnknownVersion {
        name: String,
        text: String,
        /// Short digests, with commas between them.
        known: String,
    },
    #[error("several versions of the plugin {name} begin with {text}, {fitting}: write more digits")]
    Ambiguous {
        name: String,
        text: String,
        /// Short digests, with commas between them.
        fitting: String,
    },
    #[error("the file {path} holds other bytes than the version it is named after: delete it")]
    Tampered { path: PathBuf },
    #[error(
        "{name:?} is no name for a plugin: use 1 to 64 of a-z, 0-9, - and _, with a letter or digit first"
    )]
    Name { name: String },
    #[error(
        "there is no folder for plugins: set plugins.dir in the configuration file, and restart the gateway"
    )]
    NoFolder,
    #[error("the file {path} can't be written: make room, and let the gateway write there")]
    Write {
        path: PathBuf,
        #[source]
        source: Arc<io::Error>,
    },
}
