//! Entries on disk: the durable record of who is blocked, which everything else is rebuilt from.
//!
//! A [`Ledger`] is one SQLite file that one gateway owns. It knows numbers only as
//! [`Subject`](portcullis_msisdn::Subject)s, so neither the file nor a dump of it holds one in
//! clear; the little text that clients add (a reason, the number as they wrote it) is encrypted
//! under the tenant's key.
//!
//! ```
//! use portcullis_ledger::{Actor, Block, Ledger, MasterKey, Outcome, Scope, StorageUrl, TenantId};
//! use portcullis_msisdn::{Directions, Msisdn};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let file = dir.path().join("ledger.db");
//! let ledger = Ledger::open(&StorageUrl::Sqlite(file), MasterKey::random()?)?;
//! let tenant: TenantId = "acme".parse()?;
//! let keys = ledger.ensure_tenant(&tenant)?;
//! let list = ledger.list(&tenant, Scope::Sender("support-bot".parse()?))?;
//!
//! let subject = keys.permutation().subject(Msisdn::parse("+46 73-200 11 22")?);
//! let block = Block::new(subject, Directions::OUTBOUND, Actor::new("acme-crm")?);
//! let written = list.write(vec![block.into()])?;
//! // On disk now, and in the feed that plugins and other nodes follow.
//! assert_eq!(written[0].outcome, Outcome::Added);
//! assert_eq!(list.count()?, 1);
//! # Ok(())
//! # }
//! ```
//!
//! Every call blocks the thread that makes it, a write for about as long as the disk needs to
//! confirm it. Writes of many threads share one such wait: see [`List::write`].
#![forbid(unsafe_code)]

mod actor;
mod apply;
mod changes;
mod entry;
mod error;
mod hold;
mod identity;
mod keys;
mod ledger;
mod list;
mod name;
mod public_id;
mod record;
mod scope;
mod source;
mod sqlite;
mod storage_url;
mod store;
mod text;
mod tie;
mod time;
mod write;

pub use actor::{Actor, ActorError};
pub use changes::{Census, Change, Changes, Seq};
pub use entry::{Entry, Filter, Page, Paging, Status, StatusFilter};
pub use error::LedgerError;
pub use hold::{Coverage, Hold, HoldKind, Holds, UnknownHold};
pub use identity::{UserId, UserIdError};
pub use keys::{KeyError, KeyOrigin, MasterKey, Seal, SealError, TenantKeys};
pub use ledger::Ledger;
pub use list::{List, ListReader};
pub use name::{NameError, SenderId, TenantId};
pub use public_id::{PublicId, PublicIdError};
pub use record::{Record, Trail};
pub use scope::Scope;
pub use source::{Source, UnknownSource};
pub use storage_url::{StorageUrl, StorageUrlError};
pub use store::{ExpiredIn, Stats};
pub use text::{DisplayForm, Label, Reason, TooLong};
pub use tie::{Tie, Tied};
pub use write::{Block, Outcome, Unblock, Whom, Write, Written};
