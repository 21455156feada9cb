//! The plugins that tenants can choose from: those that are built in, and those in a folder.
//!
//! A file `NAME.wasm` in the folder goes before the built-in plugin of its name. The `shelf` has the versions of each plugin,
//! told apart by the `digest` of their bytes; `watch` says when there may be a new one.

mod compiled;
mod digest;
mod error;
mod folder;
mod kept;
mod look;
mod scan;
mod shelf;
mod slot;
mod version;
mod watch;

pub(crate) use digest::Digest;
pub(crate) use error::ShelfError;
pub(crate) use scan::Finding;
pub(crate) use shelf::{Shelf, names};
pub(crate) use version::{Listed, Version};
pub(crate) use watch::Watch;

#[cfg(test)]
mod tests;
