//! Changes of a tenant's or sender's settings by a request: [merge patches](merge), and secrets that a request leaves out, or
//! names by their placeholder.
//!
//! Both work on settings as JSON, before they are deserialized: a setting that is left out differs from one that is `null`.
#![forbid(unsafe_code)]

mod keep;
mod merge;

pub use keep::{LeftOut, keep_secrets_of_sender, keep_secrets_of_tenant};
pub use merge::merge;

/// Settings, as JSON.
pub type Settings = serde_json::Map<String, serde_json::Value>;
