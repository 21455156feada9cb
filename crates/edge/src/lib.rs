//! What every HTTP face of Portcullis needs, and what faces have in common: who calls ([`registry`], [`token`]), whom a text means
//! ([`number`], [`identity`]), what can be done with a list ([`ops`]), and how requests are read, answered, and logged ([`http`]).
//!
//! The faces (the native API, the vendors' dialects, the proxy) build on this and know nothing of each other. What is here knows
//! none of them.
#![forbid(unsafe_code)]

pub mod gateway;
pub mod hex;
pub mod http;
pub mod identity;
pub mod metrics;
pub mod number;
pub mod ops;
mod redact;
pub mod registry;
pub mod settings;
pub mod tenant;
pub mod token;
pub mod vendor;
pub mod visits;
pub mod wire;

pub use http::AppState;
pub use redact::without_values;
