#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod builder;
mod context;
mod counts;
mod directory;
mod engine;
mod engine_error;
mod error;
mod events;
mod expiry;
mod filling;
mod follow;
mod key_watch;
mod ledger_watch;
mod list;
mod live;
mod members;
mod memory_watch;
mod proof;
mod reason;
mod reload;
mod setup;
mod status;
mod storage;
mod tenant;
#[cfg(test)]
mod testing;
mod undone;
mod uploads;

pub use builder::{
    Builder, DEFAULT_CHECK_PATIENCE, DEFAULT_MEMORY_BUDGET, DEFAULT_PROOF_SHARE, DEFAULT_RELOAD_WATCH,
    LEAST_MEMORY_LIMIT,
};
pub use engine::Engine;
pub use engine_error::Error;
pub use error::{NotServed, OpenError, TenantError, WriteError};
pub use events::Event;
pub use list::{
    AnsweredBy, BlockChange, Change, CheckError, Checked, CheckedMany, List, ListKind, NeedsDisk,
    UnblockChange,
};
pub use live::{Health, Service};
pub use reload::{Attempt, ReloadError, ReloadRequest, ReloadStatus, Reloaded, ShadowReport, ShadowTerms};
pub use setup::Setup;
pub use status::{LedgerState, ListStatus, Outage, Stored, TenantStatus};
pub use storage::StorageError;

pub use portcullis_entries::{Identity, USER_PREFIX};
pub use portcullis_fleet::{DEFAULT_STALE_AFTER, WhenStale, is_node_name};
pub use portcullis_host::{Compiler, ReloadOutcome as Outcome, compile_child_main};
/// The ledger, whose types appear in this crate's.
pub use portcullis_ledger as ledger;
pub use portcullis_ledger_postgres::{PostgresUrl, PostgresUrlError};
/// The counters of messages.
pub use portcullis_meters as meters;
pub use portcullis_msisdn::{Direction, Directions, Msisdn};
/// The store of plugins.
pub use portcullis_plugin_store as plugin_store;
pub use portcullis_rules::{
    Channel, Message, Purpose, Recorded, RecordedPage, Reservation, RuleFault, ShadowTally as RuleTally, Stop,
};
pub use portcullis_tenant_rules::{
    ExchangedRule, MeterStatus, RuleError, RuleExchangeError, RuleOutcome, RuleRequest, RuleSetup,
    RuleShadow, RuleStatus, RuleTerms, Running, TenantMeters,
};
pub use portcullis_tenant_settings::{
    Acknowledge, Grants, KeepError, KeptError, OnFailure, PluginRef, Put, RuleSpec, TenantSpec,
};
