#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod admission;
mod archive;
mod awaited;
mod compiled;
mod digest;
mod error;
mod folder;
mod latest;
mod limits;
mod pulled;
mod refusals;
mod removal;
mod rescan;
mod shared;
mod slot;
mod store;
mod trial;
mod trust;
mod uses;
mod version;
mod watch;

pub use admission::Admission;
pub use digest::{Digest, DigestError};
pub use error::PluginStoreError;
pub use folder::FileError;
pub use limits::PluginLimits;
pub use pulled::PulledVersion;
pub use rescan::Finding;
pub use shared::UploadError;
pub use store::{PluginStore, is_plugin_name, names};
pub use trial::Trial;
pub use trust::TrustedBy;
pub use uses::Uses;
pub use version::{ListedVersion, Origin, PluginVersion};
pub use watch::Watch;

pub use portcullis_plugin_trust::{
    Distrust, Signature, SignatureError, TrustedKey, TrustedKeyError, TrustedKeys,
};

#[cfg(test)]
mod tests;
