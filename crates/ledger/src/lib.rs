#![doc = include_str!("../README.md")]
//!
//! All calls block the calling thread. A write blocks for about as long as the disk needs to flush; concurrent writes
//! share a flush, see [`List::write`].
#![forbid(unsafe_code)]

mod actor;
mod apply;
mod changes;
mod entry;
mod error;
mod files;
mod hold;
mod ledger;
mod link;
mod list;
mod opening;
mod public_id;
mod record;
mod source;
mod sqlite;
mod storage_url;
mod store;
mod text;
mod time;
mod verified;
mod witness;
mod write;

pub use actor::{Actor, ActorError};
pub use changes::{Census, Change, Changes, Seq};
pub use entry::{Entry, Filter, Page, Paging, Status, StatusFilter};
pub use error::{LedgerError, Loss};
pub use hold::{Coverage, Hold, HoldKind, Holds, UnknownHold};
pub use ledger::Ledger;
pub use link::{Link, Linked};
pub use list::{List, ListReader};
pub use opening::{Accepted, Opening};
pub use portcullis_keys::{
    KeyError, KeyFile, KeyOrigin, MasterKey, NameError, Scope, Seal, SealError, SenderId, TenantId,
    TenantKeys, UserId, UserIdError,
};
pub use public_id::{PublicId, PublicIdError};
pub use record::{Record, Trail};
pub use source::{Source, UnknownSource};
pub use storage_url::{StorageUrl, StorageUrlError};
pub use store::{ExpiredIn, Stats};
pub use text::{DisplayForm, Label, Reason, TooLong};
pub use verified::{Age, Finding, ListState, Verified};
pub use write::{Block, Outcome, Unblock, Whom, Write, Written};
