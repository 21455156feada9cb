//! Pulls plugins from OCI registries, and pushes them there.
//!
//! A plugin is an artifact as CNCF lays out WebAssembly: a manifest with a config of the type `application/vnd.wasm.config.v0+json` and
//! one layer of the type `application/wasm`, which is the component. Its signature is the annotation `io.portcullis.minisig` of the layer
//! or of the manifest. What is pulled is pinned by the digest of the manifest, which pins everything else.
//!
//! A registry is not trusted: what is read of it is bounded, and its digest compared before it is parsed.
#![forbid(unsafe_code)]

mod credentials;
mod error;
mod reader;
mod reference;
mod registry;

pub use error::RegistryError;
pub use reference::{Destination, Form, ReferenceError, Source};
pub use registry::{Pulled, Registry};
