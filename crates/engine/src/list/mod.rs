//! The handle of a blacklist.

mod change;
mod check;
mod position;
mod rules;
mod write;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use portcullis_entries::Identity;
use portcullis_ledger::{Census, LedgerError, Link, Linked, ListReader, Scope, Seq, TenantId, UserId, Whom};
use portcullis_msisdn::{Permutation, Person, Revealed, Subject};
use tokio::runtime::Handle;

pub use change::{BlockChange, Change, UnblockChange};
pub use check::{AnsweredBy, CheckError, Checked, CheckedMany, ListKind, NeedsDisk};

use crate::error::{NotServed, WriteError};
use crate::live::LiveList;
use crate::status::ListStatus;
use crate::tenant::Tenant;

/// The handle of a blacklist: a sender's own, or the one that applies to all senders of a tenant.
///
/// Cheap to clone and to keep: it follows its tenant through reloads and changes of its spec. When its tenant or sender is removed,
/// or the engine is closed, the handle is dead for good: checks and writes return [`NotServed`], also if the tenant or the sender
/// is added again. Reads of the ledger go on, and an existing handle keeps the ledger's file open.
///
/// Methods that block say so. Don't call them on a thread of an async runtime.
#[derive(Clone)]
pub struct List {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) own: Arc<LiveList>,
    /// The tenant-wide list, for a sender's.
    pub(crate) wide: Option<Arc<LiveList>>,
}

impl List {
    /// The tenant.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant.id
    }

    /// Which of the tenant's lists this is.
    pub fn scope(&self) -> &Scope {
        self.own.list().scope()
    }

    /// Whether this is a sender's list or the tenant-wide one.
    pub fn kind(&self) -> ListKind {
        match self.scope() {
            Scope::Sender(_) => ListKind::Sender,
            Scope::Tenant => ListKind::Tenant,
        }
    }

    /// The tenant-wide list beside a sender's own; for the tenant-wide list, itself.
    #[must_use]
    pub fn tenant_wide(&self) -> List {
        let own = self.wide.as_ref().unwrap_or(&self.own);
        List { tenant: Arc::clone(&self.tenant), own: Arc::clone(own), wide: None }
    }

    /// Whether writes take long, as the plugin's recent calls on the tenant's lists took so much processor time that the next ones are made on
    /// threads of low priority, in turn; or as they wait for another engine that lags. Bound how many do.
    pub fn is_slow(&self) -> bool {
        self.own.is_slow() || self.tenant.waits_long_for_others()
    }

    /// Why the handle is dead; `None` while its list is served.
    pub fn not_served(&self) -> Option<NotServed> {
        self.tenant.why_not_served(&self.own)
    }

    /// The entries in the ledger, for reading. The reader's methods block.
    pub fn entries(&self) -> &ListReader {
        self.own.list()
    }

    /// The keyed permutation between the tenant's numbers and subjects.
    pub fn permutation(&self) -> &Permutation {
        self.tenant.keys.permutation()
    }

    /// All subjects that an identity stands for, one for each spelling of a number. `None` for a user id that was never named.
    /// Blocks for a user id: reads the ledger.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn person(&self, identity: &Identity) -> Result<Option<Person>, LedgerError> {
        match identity {
            Identity::Number(number) => Ok(Some(self.permutation().person(*number))),
            Identity::User(user) => {
                self.own.check_ledger()?;
                self.entries().person_of_user(user)
            }
        }
    }

    /// Like [`person`](Self::person), but stores a user id that was never named. Blocks.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn ensure_person(&self, identity: &Identity) -> Result<Person, WriteError> {
        match identity {
            Identity::Number(number) => Ok(self.permutation().person(*number)),
            Identity::User(user) => {
                let _serving = self.tenant.serving(&self.own)?;
                Ok(self.own.list().ensure_person_of_user(user)?)
            }
        }
    }

    /// The name of an identity in a ledger's write.
    pub fn whom(&self, identity: &Identity) -> Whom {
        match identity {
            Identity::Number(number) => self.permutation().subject(*number).into(),
            Identity::User(user) => Whom::User(UserId::clone(user)),
        }
    }

    /// The identity of a subject; `None` if the subject belongs to nobody under the tenant's key. Blocks for a user id: reads the
    /// ledger.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn reveal(&self, subject: Subject) -> Result<Option<Identity>, LedgerError> {
        match self.permutation().reveal(subject) {
            Revealed::Number(number) => Ok(Some(Identity::Number(number))),
            Revealed::Reserved(id) => Ok(self.entries().user_of(id)?.map(Identity::User)),
            Revealed::Neither => Ok(None),
        }
    }

    /// Stores that several names are one person's, on all lists of the tenant. When this returns, the next check of each list sees
    /// the change. Blocks.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn blocking_tie(&self, tie: Link) -> Result<Linked, WriteError> {
        self.tenant.tie(&self.own, tie)
    }

    /// The async form of [`blocking_tie`](Self::blocking_tie). If the future is dropped, the write continues in the background.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub async fn tie(&self, tie: Link) -> Result<Linked, WriteError> {
        let list = self.clone();
        self.runtime()
            .spawn_blocking(move || list.blocking_tie(tie))
            .await
            .unwrap_or(Err(WriteError::Cancelled))
    }

    /// A snapshot of the list's status. May wait for a write that is being applied to the plugin.
    pub fn status(&self) -> ListStatus {
        ListStatus::of(&self.own)
    }

    /// The list's sequence number, and the number of active entries. Blocks.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn census(&self) -> Result<Census, LedgerError> {
        self.entries().census()
    }

    /// Up to which change [`set_passed_on`](Self::set_passed_on) was called; `None` for a tenant that never had a
    /// [change feed](crate::TenantSpec::change_feed()). Blocks.
    ///
    /// # Errors
    /// If the ledger can't be read.
    pub fn passed_on(&self) -> Result<Option<Seq>, LedgerError> {
        self.entries().event_cursor()
    }

    /// Stores up to which change the host has passed the list's changes on. Blocks.
    ///
    /// # Errors
    /// See [`WriteError`].
    pub fn set_passed_on(&self, upto: Seq) -> Result<(), WriteError> {
        let _serving = self.tenant.serving(&self.own)?;
        Ok(self.own.list().set_event_cursor(upto)?)
    }

    /// The list in the ledger, for what is stored beside the entries: who wrote lately, confirmations of opt-outs, and messages that were
    /// handled. Don't write entries through it, which plugins would not have. Its methods block.
    ///
    /// # Errors
    /// If the list is no longer served, or the ledger could not be asked a moment ago: then nobody waits for it.
    pub fn in_ledger(&self) -> Result<&portcullis_ledger::List, WriteError> {
        let _serving = self.tenant.serving(&self.own)?;
        self.own.check_ledger()?;
        Ok(self.own.list())
    }

    /// The time by the clock of the ledger, which engines that share it have in common.
    pub fn now(&self) -> Timestamp {
        self.tenant.context.ledger.now()
    }

    /// Whether other engines may write to the list.
    pub fn is_shared(&self) -> bool {
        self.tenant.context.staleness.is_shared()
    }

    /// The engine's runtime, so that handles can be used on any executor.
    fn runtime(&self) -> &Handle {
        &self.tenant.context.runtime
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List")
            .field("tenant", self.tenant())
            .field("scope", self.scope())
            .finish_non_exhaustive()
    }
}
