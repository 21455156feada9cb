#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod actor;
pub mod apply;
pub mod batch;
mod changes;
mod delivery;
mod entry;
mod hold;
mod inconsistent;
mod link;
mod loss;
mod meter;
mod moves;
mod opening;
pub mod people;
mod position;
mod public_id;
mod record;
pub mod replay;
mod rows;
mod shared;
mod source;
mod storage_url;
pub mod table;
pub mod tables;
pub mod text;
pub mod time;
pub mod trail;
mod verified;
mod write;

pub use actor::{Actor, ActorError};
pub use changes::{Census, Change, Changes, Committed, Seq, Span};
pub use delivery::{
    Claim, ClaimId, Claims, DeliveryBook, DeliveryKey, LONGEST_REDELIVERY, MOST_DELIVERIES, Remembered,
};
pub use entry::{Entry, Filter, Page, Paging, Status, StatusFilter};
pub use hold::{Coverage, Hold, HoldKind, Holds, UnknownHold};
pub use inconsistent::Inconsistent;
pub use link::{Link, Linked};
pub use loss::Loss;
pub use meter::{CommitMeter, Distributed, Distribution, Stats};
pub use opening::{Accepted, Opening};
pub use position::Position;
pub use public_id::{PublicId, PublicIdError};
pub use record::{Record, Trail};
pub use rows::{ListRow, TenantRow};
pub use shared::{ChangedList, FeedPosition, ListId, Mark, ServerRun};
pub use source::{Source, UnknownSource};
pub use storage_url::{DatabaseUrl, StorageUrl, StorageUrlError};
pub use text::{DisplayForm, Label, Reason, TooLong};
pub use verified::{Age, Finding, ListState, Verified};
pub use write::{Block, Outcome, Unblock, Whom, Write, Written};
