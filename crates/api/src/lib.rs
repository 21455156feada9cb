//! The wire types of Portcullis's native API, `/portcullis/v1`. The server, the command line, the load generator and
//! the tests share them.
//!
//! Every type deserializes what it serializes. Requests reject unknown fields. Responses may gain fields, which older
//! clients ignore, but not words: a client must be as new as the server to read, say, a new outcome. Times in responses are RFC 3339 in UTC with three digits of milliseconds. A number sent by a client
//! stays a [`NumberText`], because only the server has the tenant's settings that are needed to read it.
//!
//! The doc comments of these types are the descriptions in the OpenAPI document, and, with the feature `clap`, the help
//! of the command line. Write them for users of the API.
#![forbid(unsafe_code)]

mod check;
mod entries;
mod error;
mod fleet;
mod health;
mod history;
mod keys;
mod meters;
mod number_text;
mod plugin;
mod plugins;
mod recording;
pub mod requested;
pub mod settings;
mod status;
mod tenants;
mod tokens;
mod trusted_key;
mod url;
mod words;
mod write;

pub use check::{
    Channel, CheckAnswer, CheckManyAnswer, CheckRequest, Purpose, StopAnswer, StoppedAnswer, Verdict,
};
pub use entries::{EntryAnswer, HoldAnswer, PageAnswer, RemovalAnswer, Status};
pub use error::{Detail, ErrorBody, ErrorCode, ErrorObject};
pub use fleet::{DifferenceAnswer, FleetAnswer, LeaseAnswer, NodeAnswer};
pub use health::{Degraded, Health, HealthAnswer, KeyHealth, LedgerHealth};
pub use history::{ChangeDocument, HoldState, RecordAnswer, StateAnswer, TrailAnswer};
pub use keys::{MasterKeyAnswer, RotatedAnswer};
pub use meters::{CountAnswer, MeterAnswer, MetersAnswer};
pub use number_text::NumberText;
pub use plugin::{
    AttemptAnswer, DisagreementAnswer, ExchangeRequest, ListAnswer, PluginStatus, RuleAnswer,
    RuleExchangeRequest, RuleShadowAnswer, RuleShadowRequest, SetupAnswer, ShadowAnswer, ShadowRequest,
    StageAnswer,
};
pub use plugins::{
    PluginAnswer, PluginPutAnswer, PluginRemovedAnswer, PluginsAnswer, SIGNATURE_HEADER, VersionAnswer,
};
pub use portcullis_msisdn::Direction;
pub use recording::{RecordedMessage, RecordingAnswer};
pub use status::{ListPlugin, ListState, ListStatus, TenantStatus};
pub use tenants::{ManagedBy, RemovedAnswer, SenderAnswer, TenantAnswer, TenantsAnswer};
pub use tokens::{NamedToken, NewTokenAnswer, NewTokenRequest, Token, TokenAnswer, TokenScope, TokensAnswer};
pub use url::{is_masked_url, masked_url};
pub use words::{Actor, AnsweredBy, GivenSource, HoldKind, LiftedHold, ListKind, Outcome, Source};
pub use write::{BlockEntry, BlockRequest, InvalidRow, OnInvalid, UnblockRequest, WriteAnswer, WriteResult};

/// The header with which a write says where the list is after it, and a check asks for what was written up to there.
pub const POSITION: &str = "Portcullis-Position";

/// The header with which a gateway that does not know what others of its fleet have written lately says since when, in milliseconds.
pub const STALENESS: &str = "Portcullis-Staleness-Ms";

/// The prefix of a user id where a number may stand too: `user:US.13491208655302741918` is a person without a number.
pub const USER_PREFIX: &str = "user:";
