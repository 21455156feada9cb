//! The wire types of Portcullis's native API, `/portcullis/v1`, declared once for the server, the command line, the load generator and
//! the tests.
//!
//! Every type reads what it writes. Requests refuse unknown fields; answers may gain fields, which older clients skip. Times are RFC 3339
//! in UTC, with milliseconds. Numbers that clients send are kept as [`NumberText`]: reading them takes the tenant's settings, and is the
//! server's work.
#![forbid(unsafe_code)]

mod check;
mod entries;
mod error;
mod health;
mod history;
mod number_text;
mod plugin;
mod plugins;
pub mod requested;
pub mod settings;
mod status;
mod tenants;
mod words;
mod write;

pub use check::{CheckAnswer, CheckManyAnswer, CheckRequest, Verdict};
pub use entries::{EntryAnswer, HoldAnswer, PageAnswer, RemovalAnswer, Status};
pub use error::{Detail, ErrorBody, ErrorCode, ErrorObject};
pub use health::{Health, HealthAnswer};
pub use history::{ChangeDocument, HoldState, RecordAnswer, StateAnswer, TrailAnswer};
pub use number_text::NumberText;
pub use plugin::{
    AttemptAnswer, DisagreementAnswer, ExchangeRequest, ListAnswer, PluginStatus, SetupAnswer, ShadowAnswer,
    ShadowRequest, StageAnswer,
};
pub use plugins::{PluginAnswer, PluginPutAnswer, PluginsAnswer, VersionAnswer};
pub use portcullis_msisdn::Direction;
pub use status::{ListPlugin, ListState, ListStatus, TenantStatus};
pub use tenants::{ManagedBy, RemovedAnswer, TenantAnswer, TenantsAnswer};
pub use words::{Actor, AnsweredBy, GivenSource, HoldKind, LiftedHold, ListKind, Outcome, Source};
pub use write::{BlockEntry, BlockRequest, InvalidRow, OnInvalid, UnblockRequest, WriteAnswer, WriteResult};

/// What precedes the id of a person without a number, as in `user:US.13491208655302741918`.
pub const USER_PREFIX: &str = "user:";
