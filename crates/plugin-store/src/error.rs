//! Errors of the plugin store.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use portcullis_host::{ErrorChain, ForeignText, LoadError};
use portcullis_ledger::LedgerError;
use portcullis_plugin_trust::Distrust;

use crate::digest::DigestError;
use crate::folder::FileError;
use crate::version::{Origin, Shown};

/// An error of loading or storing a plugin.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginStoreError {
    /// No plugin has this name.
    #[error("there is no plugin {0}: put {0}.wasm into the folder that plugins.dir names", ForeignText(name))]
    Unknown {
        /// The name.
        name: String,
    },
    /// The plugin's file can't be read.
    #[error("the plugin {}, file {}, can't be used", ForeignText(name), Shown(path))]
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
    #[error("the plugin {}, {origin}, can't be loaded", ForeignText(name))]
    Unloadable {
        /// The plugin.
        name: String,
        /// Where the component came from.
        origin: Origin,
        /// The cause.
        #[source]
        source: Arc<LoadError>,
    },
    /// The component is not signed by a key that is trusted.
    #[error("version {version} of the plugin {} is not trusted by {by}", ForeignText(name))]
    Untrusted {
        /// The plugin.
        name: String,
        /// The first digits of the digest.
        version: String,
        /// Who does not trust it.
        by: &'static str,
        /// The cause, and what to do.
        #[source]
        source: Box<Distrust>,
    },
    /// There is nothing with which the signature of a version could be verified again.
    #[error(
        "there is no copy of version {version} of the plugin {} on disk, with which its signature could be verified: upload it again",
        ForeignText(name)
    )]
    NoCopy {
        /// The plugin.
        name: String,
        /// The first digits of the digest.
        version: String,
    },
    /// The plugin has to come from elsewhere, and is not here yet.
    #[error("the plugin {} has to come from {from}, and is not here yet: {why}", ForeignText(name))]
    Awaited {
        /// The plugin.
        name: String,
        /// Where from.
        from: String,
        /// Why not, and what happens next.
        why: String,
    },
    /// A rules plugin was named where a list plugin must be.
    #[error(
        "{0} is a rules plugin, which answers for no list: put it into rules, and name a list plugin such as exact as plugin",
        ForeignText(name)
    )]
    NotAList {
        /// The plugin.
        name: String,
    },
    /// A list plugin was named where a rules plugin must be.
    #[error(
        "{0} is a list plugin, not a rules plugin: name it as plugin, or name another one here",
        ForeignText(name)
    )]
    NotRules {
        /// The plugin.
        name: String,
    },
    /// A component is not what versions of its name are used as.
    #[error(
        "the component is no {kind}, and {} has to be one: {why}; give it another name",
        ForeignText(name)
    )]
    OtherKind {
        /// The plugin.
        name: String,
        /// What it would have to be.
        kind: &'static str,
        /// Who needs that.
        why: &'static str,
    },
    /// The plugin's file was removed.
    #[error(
        "the file {} is gone, and an earlier version serves: put the file back, or choose another plugin",
        Shown(path)
    )]
    Gone {
        /// Where the file was.
        path: PathBuf,
    },
    /// The text is neither a digest nor the beginning of one.
    #[error("\"{}\" is not a version of the plugin {}", ForeignText(text), ForeignText(name))]
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
    #[error("the plugin {} has no version {}; it has {known}", ForeignText(name), ForeignText(text))]
    UnknownVersion {
        /// The plugin.
        name: String,
        /// The requested digest, or its beginning.
        text: String,
        /// The short digests of the plugin's versions, separated by commas.
        known: String,
    },
    /// Several versions have a digest that begins like this.
    #[error(
        "several versions of the plugin {} begin with {text}, {fitting}: write more digits",
        ForeignText(name)
    )]
    Ambiguous {
        /// The plugin.
        name: String,
        /// The beginning of the requested digest.
        text: String,
        /// The short digests of these versions, separated by commas.
        fitting: String,
    },
    /// The version can't be removed.
    #[error("version {version} of the plugin {} can't be removed: {why}", ForeignText(name))]
    Needed {
        /// The plugin.
        name: String,
        /// The first digits of the digest.
        version: String,
        /// Who needs it, and what to do.
        why: &'static str,
    },
    /// The copy of a version can't be removed.
    #[error("the file {} can't be removed: check the permissions of its folder", Shown(path))]
    Remove {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
    /// A file in the archive does not have the digest that it is named after.
    #[error("the file {} does not have the digest in its name: delete it", Shown(path))]
    Tampered {
        /// The file.
        path: PathBuf,
    },
    /// The component that the ledger has does not have the digest that it is stored under.
    #[error(
        "the ledger's copy of version {version} of the plugin {} is damaged: upload it again",
        ForeignText(name)
    )]
    Corrupt {
        /// The plugin.
        name: String,
        /// The first digits of the digest.
        version: String,
    },
    /// The plugin is not here, and the ledger can't be asked for it.
    #[error("the plugin {} has to come from the ledger, which can't be asked", ForeignText(name))]
    Ledger {
        /// The plugin.
        name: String,
        /// The cause.
        #[source]
        source: Arc<LedgerError>,
    },
    /// No plugin can be stored under this name.
    #[error(
        "\"{}\" is not a valid plugin name: use 1 to 64 of a-z, 0-9, - and _, with a letter or digit first",
        ForeignText(name)
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
    #[error(
        "the file {} can't be written: check the free space and the permissions of its folder",
        Shown(path)
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: Arc<io::Error>,
    },
}

impl PluginStoreError {
    /// Whether the error says nothing about the component: the same may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            PluginStoreError::Unloadable { source, .. } => source.is_transient(),
            PluginStoreError::File { source, .. } => matches!(source, FileError::Changing),
            PluginStoreError::Ledger { .. } => true,
            _ => false,
        }
    }

    /// The error and its sources on one line, for the log: bounded and escaped, and without text of a client's request.
    pub fn reason(&self) -> String {
        match self {
            // They quote the request.
            PluginStoreError::Unknown { .. }
            | PluginStoreError::Name { .. }
            | PluginStoreError::NoVersion { .. }
            | PluginStoreError::UnknownVersion { .. }
            | PluginStoreError::Ambiguous { .. } => {
                "there is no such plugin, or not this version of it: ask for the plugin's status".to_owned()
            }
            error => ErrorChain(error).to_string(),
        }
    }

    /// Whether the version is not here, and may be elsewhere.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(
            self,
            PluginStoreError::Unknown { .. }
                | PluginStoreError::Awaited { .. }
                | PluginStoreError::UnknownVersion { .. }
                | PluginStoreError::Tampered { .. }
        )
    }

    /// Whether it passes by itself, and need not be told to anybody.
    pub(crate) fn passes(&self) -> bool {
        let is_told = |source: &LoadError| matches!(source, LoadError::NoCompiler(_));
        self.is_transient() && !matches!(self, PluginStoreError::Unloadable { source, .. } if is_told(source))
    }

    /// Whether both have the same message.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        ErrorChain(self).to_string() == ErrorChain(other).to_string()
    }
}
