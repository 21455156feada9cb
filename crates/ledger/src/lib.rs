#![doc = include_str!("../README.md")]
//!
//! All calls block the calling thread. A write blocks for about as long as the disk needs to flush; concurrent writes
//! share a flush, see [`List::write`].
#![forbid(unsafe_code)]

mod deliveries;
mod error;
mod files;
mod ledger;
mod list;
mod nodes;
mod sqlite;
pub mod store;
mod witness;

pub use error::LedgerError;
pub use ledger::Ledger;
pub use list::{List, ListReader};
pub use portcullis_keys::{
    Fingerprint, KeyCommand, KeyError, KeyFile, KeyInUse, KeyOrigin, KeyProvider, KeyStatus, MasterKey,
    MasterSeal, NameError, Rotated, Scope, Seal, SealError, SenderId, TenantId, TenantKeys, UserId,
    UserIdError,
};
pub use portcullis_ledger_model::{
    Accepted, Actor, ActorError, Age, Block, Census, Change, ChangedList, Changes, Claim, ClaimId, Claims,
    Committed, Coverage, DatabaseUrl, DeliveryKey, DisplayForm, Entry, FeedPosition, Filter, Finding, Hold,
    HoldKind, Holds, LONGEST_REDELIVERY, Label, Link, Linked, ListId, ListState, Loss, Mark, Opening,
    Outcome, Page, Paging, Position, PublicId, PublicIdError, Reason, Record, Seq, ServerRun, Source, Span,
    Status, StatusFilter, StorageUrl, StorageUrlError, TooLong, Trail, Unblock, UnknownHold, UnknownSource,
    Verified, Whom, Write, Written,
};
pub use store::{Description, ExpiredIn, Fleet, Lease, Node, Stats};
pub use witness::LedgerId;
