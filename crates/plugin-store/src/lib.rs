//! The plugins that tenants can choose from: those that are built in, and those in a folder.
//!
//! A file `NAME.wasm` in the folder takes precedence over the built-in plugin of that name. A [`PluginStore`] has the versions of
//! each plugin, told apart by the [`Digest`] of their bytes: it compiles each once, keeps copies of those that were used, and finds
//! what is new in the folder. [`Watch`] tells when to look.
#![forbid(unsafe_code)]

mod compiled;
mod digest;
mod error;
mod folder;
mod kept;
mod look;
mod rescan;
mod slot;
mod store;
mod version;
mod watch;

pub use digest::{Digest, DigestError};
pub use error::PluginStoreError;
pub use folder::FileError;
pub use rescan::Finding;
pub use store::{PluginStore, names};
pub use version::{ListedVersion, Origin, PluginVersion};
pub use watch::Watch;

#[cfg(test)]
mod tests;
