//! One content that a plugin has, or had.

use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use portcullis_host::Plugin;

use super::digest::Digest;

/// One content that a plugin has, or had: compiled, and ready to be instantiated.
#[derive(Debug)]
pub(crate) struct Version {
    /// What a tenant's `plugin` names.
    pub(crate) name: String,
    pub(crate) digest: Digest,
    /// Shared with the versions of other names that have the same content.
    pub(crate) plugin: Plugin,
    /// The size of the component.
    pub(crate) bytes: usize,
    pub(crate) origin: Origin,
}

/// Where a version comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
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
pub(crate) struct Listed {
    pub(crate) digest: Digest,
    /// The plugin's own words. `None` until the version is loaded in this process.
    pub(crate) own_version: Option<String>,
    /// The size of the component.
    pub(crate) bytes: u64,
    /// When it last became the newest of its name. `None` where it never was that.
    pub(crate) since: Option<Timestamp>,
    /// Whether it is what [`latest`](super::Shelf::latest) answered last.
    pub(crate) is_latest: bool,
}
