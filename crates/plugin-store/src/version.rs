//! Versions of a plugin.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_host::{Component, ForeignText, Plugin, rules};
use portcullis_plugin_trust::TrustedKeys;

use crate::admission::Admission;
use crate::digest::Digest;
use crate::error::PluginStoreError;

/// A version of a plugin, compiled and ready to be instantiated.
#[derive(Debug)]
pub struct PluginVersion {
    /// The plugin's name.
    pub name: String,
    /// The digest of the component, which identifies the version.
    pub digest: Digest,
    /// The compiled component. Plugins with the same component share it.
    pub compiled: Component,
    /// The size of the component, in bytes.
    pub bytes: usize,
    /// Where the component came from.
    pub origin: Origin,
    /// How it was admitted.
    pub admission: Admission,
    /// Some of those who have verified its signature.
    pub(crate) verified: Mutex<Vec<TrustedKeys>>,
}

impl PluginVersion {
    /// What is odd about the version, and harmless: the component calls itself otherwise than its file is called.
    pub fn remark(&self) -> Option<String> {
        let own = own_name(&self.compiled);
        (own != self.name).then(|| {
            let name = ForeignText(&self.name);
            format!("the plugin {name} calls itself {own}: tenants name it by its file, {name}")
        })
    }

    /// The plugin, as one that answers for lists.
    ///
    /// # Errors
    /// [`PluginStoreError::NotAList`] if it is a rules plugin only.
    pub fn list(&self) -> Result<&Plugin, PluginStoreError> {
        self.compiled.list().ok_or_else(|| PluginStoreError::NotAList { name: self.name.clone() })
    }

    /// The plugin, as one that decides about messages.
    ///
    /// # Errors
    /// [`PluginStoreError::NotRules`] if it is a list plugin only.
    pub fn rules(&self) -> Result<&rules::Plugin, PluginStoreError> {
        self.compiled.rules().ok_or_else(|| PluginStoreError::NotRules { name: self.name.clone() })
    }

    /// The version that the plugin itself declares.
    pub fn own_version(&self) -> &str {
        own_version(&self.compiled)
    }
}

/// The name that a plugin itself declares.
fn own_name(compiled: &Component) -> &str {
    let of_list = compiled.list().map(|plugin| plugin.description().name.as_str());
    of_list.or_else(|| compiled.rules().map(|plugin| plugin.description().name.as_str())).unwrap_or_default()
}

/// The version that a plugin itself declares.
pub(crate) fn own_version(compiled: &Component) -> &str {
    let of_list = compiled.list().map(|plugin| &plugin.description().version);
    of_list
        .or_else(|| compiled.rules().map(|plugin| &plugin.description().version))
        .map_or("", String::as_str)
}

/// Where the component of a version came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The plugin is built in.
    BuiltIn,
    /// The plugin's file in the folder.
    File(PathBuf),
    /// The copy that was kept of an earlier version.
    Kept(PathBuf),
    /// The ledger that several stores share.
    Ledger,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::BuiltIn => f.write_str("which is built in"),
            Origin::File(path) => write!(f, "file {}", Shown(path)),
            Origin::Kept(path) => write!(f, "kept as {}", Shown(path)),
            Origin::Ledger => f.write_str("from the ledger"),
        }
    }
}

/// A path, whose name may be anybody's.
pub(crate) struct Shown<'a>(pub(crate) &'a Path);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ForeignText(&self.0.display().to_string()).within(4096))
    }
}

/// A version that can be requested, as far as it is known without loading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedVersion {
    /// The digest of the component, which identifies the version.
    pub digest: Digest,
    /// The version that the plugin itself declares. `None` until the component is loaded in this process.
    pub own_version: Option<String>,
    /// The size of the component, in bytes.
    pub bytes: u64,
    /// When it last became the latest version of its plugin. `None` if it never did.
    pub since: Option<Timestamp>,
    /// Whether [`latest`](super::PluginStore::latest) last returned this version.
    pub is_latest: bool,
    /// Whose signature it has: a trusted key's name and id, or the id of another key. The signature is verified when the version is
    /// admitted, and by this key whenever it is loaded.
    pub signed_by: Option<String>,
}
