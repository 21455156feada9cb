//! The parts that Portcullis's HTTP interfaces share: tenants and their tokens ([`registry`], [`token`]), parsing of
//! user ids ([`identity`]), the operations on a list ([`ops`]), and reading, answering and
//! logging of requests ([`http`]).
//!
//! The interfaces (the native API, the vendors' dialects, the proxy) are crates that depend on this one, and not on each other.
#![forbid(unsafe_code)]

pub mod attribution;
pub mod gateway;
pub mod http;
pub mod identity;
pub mod metrics;
pub mod ops;
mod redact;
pub mod registry;
pub mod settings;
pub mod tenant;
mod useless;
pub mod vendor;
pub mod visits;
pub mod wire;

pub use http::AppState;
pub use portcullis_tokens::{self as tokens, digest as token, hex};
pub use redact::{place, without_values};
