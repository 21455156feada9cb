//! One content that a plugin has, or had.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use portcullis_host::Plugin;

use crate::digest::Digest;

/// One content that a plugin has, or had: compiled, and ready to be instantiated.
#[derive(Debug)]
pub struct PluginVersion {
    /// What a tenant's `plugin` names.
    pub name: String,
    /// What tells it from other versions.
    pub digest: Digest,
    /// Shared with the versions of other names that have the same content.
    pub plugin: Plugin,
    /// The size of the component.
    pub bytes: usize,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where a version comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It comes with the program.
    BuiltIn,
    /// The file of its name in the folder of plugins.
    File(PathBuf),
    /// The copy that was kept of it.
    Kept(PathBuf),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("which is built in"),
            Origin::File(path) => write!(f, "file {}", path.display()),
            Origin::Kept(path) => write!(f, "kept as {}", path.display()),
        }
    }
}

/// A version that can be asked for, as far as it is known without loading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVersion {
    /// What tells it from other versions.
    pub digest: Digest,
    /// The plugin's own words. `None` until the version is loaded in this process.
    pub own_version: Option<String>,
    /// The size of the component.
    pub bytes: u64,
    /// When it last became the newest of its name. `None` where it never was that.
    pub since: Option<Timestamp>,
    /// Whether it is what [`latest`](super::PluginStore::latest) answered last.
    pub is_latest: bool,
}
