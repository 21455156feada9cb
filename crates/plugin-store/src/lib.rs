#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod archive;
mod compiled;
mod digest;
mod error;
mod folder;
mod latest;
mod limits;
mod refusals;
mod removal;
mod rescan;
mod shared;
mod slot;
mod store;
mod trial;
mod version;
mod watch;

pub use digest::{Digest, DigestError};
pub use error::PluginStoreError;
pub use folder::FileError;
pub use limits::PluginLimits;
pub use rescan::Finding;
pub use shared::UploadError;
pub use store::{PluginStore, names};
pub use trial::Trial;
pub use version::{ListedVersion, Origin, PluginVersion};
pub use watch::Watch;

#[cfg(test)]
mod tests;
