#![doc = include_str!("../README.md")]
//!
//! All calls block the calling thread. A write blocks for about as long as the disk needs to flush; concurrent writes
//! share a flush, see [`List::write`].
#![forbid(unsafe_code)]

mod error;
mod files;
mod ledger;
mod list;
mod opening;
mod sqlite;
mod storage_url;
pub mod store;
mod verified;
mod witness;

pub use error::{LedgerError, Loss};
pub use ledger::Ledger;
pub use list::{List, ListReader};
pub use opening::{Accepted, Opening};
pub use portcullis_keys::{
    KeyError, KeyFile, KeyOrigin, MasterKey, NameError, Scope, Seal, SealError, SenderId, TenantId,
    TenantKeys, UserId, UserIdError,
};
pub use portcullis_ledger_model::{
    Actor, ActorError, Block, Census, Change, ChangedList, Changes, Coverage, DisplayForm, Entry,
    FeedPosition, Filter, Hold, HoldKind, Holds, Label, Link, Linked, ListId, Mark, Outcome, Page, Paging,
    PublicId, PublicIdError, Reason, Record, Seq, Source, Status, StatusFilter, TooLong, Trail, Unblock,
    UnknownHold, UnknownSource, Whom, Write, Written,
};
pub use storage_url::{DatabaseUrl, StorageUrl, StorageUrlError};
pub use store::{ExpiredIn, Stats};
pub use verified::{Age, Finding, ListState, Verified};
