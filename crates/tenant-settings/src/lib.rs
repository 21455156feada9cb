#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod acknowledge;
mod acknowledged;
mod chosen;
mod error;
mod on_failure;
mod plugin_ref;
mod rule;
mod spec;
mod store;
mod stored;

pub use acknowledge::Acknowledge;
pub use chosen::Chosen;
pub use error::{KeepError, KeptError};
pub use on_failure::OnFailure;
pub use plugin_ref::PluginRef;
pub use rule::{Grants, RuleSpec};
pub use spec::{Put, TenantSpec};
pub use store::SettingsStore;
