//! One blacklist, as callers use it.

mod change;
mod check;
mod write;

use std::fmt;
use std::sync::Arc;

use portcullis_ledger::{Census, LedgerError, Link, Linked, ListReader, Scope, Seq, TenantId, UserId, Whom};
use portcullis_msisdn::{Permutation, Person, Revealed, Subject};

pub use change::{BlockChange, Change, UnblockChange};
pub use check::{AnsweredBy, CheckError, Checked, CheckedMany, ListKind, NeedsDisk};
pub use write::WriteError;

use crate::identity::Identity;
use crate::live::LiveList;
use crate::status::ListStatus;
use crate::tenant::Tenant;

/// One blacklist: a sender's own, or the one that holds for all senders of a tenant.
///
/// Cheap to clone, and to be kept: it follows its tenant through reloads and changes of settings. After the tenant was removed,
/// its checks go on as they were, and its writes fail once the tenant is forgotten.
#[derive(Clone)]
pub struct List {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) own: Arc<LiveList>,
    /// The tenant-wide list, for a sender's.
    pub(crate) wide: Option<Arc<LiveList>>,
}

impl List {
    /// Whose list it is.
    pub fn tenant(&self) -> &TenantId {
        &self.tenant.id
    }

    /// Which of the tenant's lists it is.
    pub fn scope(&self) -> &Scope {
        self.own.list().scope()
    }

    /// Whether it is a sender's or the tenant-wide one.
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

    /// The entries on disk, to be read. Blocks while it reads.
    pub fn entries(&self) -> &ListReader {
        self.own.list()
    }

    /// How the tenant's numbers and their subjects belong together.
    pub fn permutation(&self) -> &Permutation {
        self.tenant.keys.permutation()
    }

    /// Everybody who is meant, in each spelling of a number; `None` for a user id that nobody ever named. Blocks for a user id:
    /// it reads the ledger.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn person(&self, identity: &Identity) -> Result<Option<Person>, LedgerError> {
        match identity {
            Identity::Number(number) => Ok(Some(self.permutation().person(*number))),
            Identity::User(user) => self.entries().person_of_user(user),
        }
    }

    /// As [`person`](Self::person), but a user id that nobody ever named is remembered, durably. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], and what the disk may report.
    pub fn ensure_person(&self, identity: &Identity) -> Result<Person, LedgerError> {
        match identity {
            Identity::Number(number) => Ok(self.permutation().person(*number)),
            Identity::User(user) => self.own.list().ensure_person_of_user(user),
        }
    }

    /// What a write names somebody by.
    pub fn whom(&self, identity: &Identity) -> Whom {
        match identity {
            Identity::Number(number) => self.permutation().subject(*number).into(),
            Identity::User(user) => Whom::User(UserId::clone(user)),
        }
    }

    /// Who a subject is; `None` where it is nobody's under the tenant's key. Blocks for a user id.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn reveal(&self, subject: Subject) -> Result<Option<Identity>, LedgerError> {
        match self.permutation().reveal(subject) {
            Revealed::Number(number) => Ok(Some(Identity::Number(number))),
            Revealed::Reserved(id) => Ok(self.entries().user_of(id)?.map(Identity::User)),
            Revealed::Neither => Ok(None),
        }
    }

    /// Remembers, durably, that several names are one person's, on all lists of the tenant. When this returns, the next check of
    /// each list sees what that changes. Blocks.
    ///
    /// # Errors
    /// [`LedgerError::TenantForgotten`], and what the disk may report.
    pub fn blocking_tie(&self, tie: Link) -> Result<Linked, LedgerError> {
        self.tenant.tie(tie)
    }

    /// Who answers for it, and how its plugin stands.
    pub fn status(&self) -> ListStatus {
        ListStatus::of(&self.own)
    }

    /// How far the list is, and how many entries are in force. Blocks.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn census(&self) -> Result<Census, LedgerError> {
        self.entries().census()
    }

    /// Up to which change somebody has been told; `None` for a tenant without a
    /// [change feed](crate::TenantSpec::change_feed). Blocks.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn passed_on(&self) -> Result<Option<Seq>, LedgerError> {
        self.entries().event_cursor()
    }

    /// Remembers, durably, up to which change somebody has been told. Blocks.
    ///
    /// # Errors
    /// What the disk may report.
    pub fn set_passed_on(&self, upto: Seq) -> Result<(), LedgerError> {
        self.own.list().set_event_cursor(upto)
    }

    /// The ledger's list, for what a host keeps beside the entries.
    pub fn ledger(&self) -> &portcullis_ledger::List {
        self.own.list()
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
