#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod context;
mod directory;
mod engine;
mod error;
mod events;
mod expiry;
mod identity;
mod kept;
mod list;
mod live;
mod members;
mod outcome;
mod reload;
mod residency;
mod slots;
mod spec;
mod states;
mod status;
mod tenant;

pub use directory::Put;
pub use engine::{Builder, DEFAULT_MEMORY_BUDGET, DEFAULT_RELOAD_WATCH, Engine};
pub use error::{Error, OpenError, TenantError};
pub use events::Event;
pub use identity::{Identity, USER_PREFIX};
pub use kept::{KeepError, KeptError};
pub use list::{
    AnsweredBy, BlockChange, Change, CheckError, Checked, CheckedMany, List, ListKind, NeedsDisk,
    UnblockChange, WriteError,
};
pub use live::{Health, Service};
pub use outcome::Outcome;
pub use reload::{
    Attempt, ReloadError, ReloadRequest, ReloadStatus, Reloaded, Setup, ShadowReport, ShadowTerms,
};
pub use spec::{OnFailure, PluginRef, TenantSpec};
#[doc(hidden)]
pub use states::fuzz;
pub use status::{ListStatus, TenantStatus};

/// The ledger's types that appear in this crate's.
pub use portcullis_ledger as ledger;
pub use portcullis_msisdn::{Direction, Directions, Msisdn};
pub use portcullis_plugin_store as plugin_store;
