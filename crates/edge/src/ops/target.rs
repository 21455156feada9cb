//! The blacklist that a request is about, and its author.

use std::sync::Arc;

use portcullis_admission::{Owner, Reading, Unfinished, Work};
use portcullis_engine::{Identity, List};
use portcullis_ledger::{Actor, Scope, Whom};
use portcullis_msisdn::{Person, Subject};

use super::refusal::Refusal;
use crate::identity::{self, IdentityError};
use crate::registry::Caller;
use crate::settings::SenderConfig;
use crate::tenant::{Sender, Tenant};

/// The blacklist that a request is about, and the author of the request. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    /// The tenant that owns the list.
    pub tenant: Arc<Tenant>,
    /// The author of changes, for the audit trail.
    pub actor: Actor,
    /// The list.
    pub list: List,
    /// The sender that owns the list; `None` for the tenant-wide list.
    pub sender: Option<Sender>,
    /// How the client writes numbers.
    writing: Writing,
    /// Whether the client's token is valid for this sender only.
    is_bound: bool,
    /// Its turn to read a long body.
    pub(super) reading: Arc<Reading>,
}

/// How a client writes numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// As people do: see [`NumberReader::read`](portcullis_numbers::NumberReader::read).
    People,
    /// As a vendor documents: see [`NumberReader::read_vendor_s`](portcullis_numbers::NumberReader::read_vendor_s).
    Vendor,
}

impl Target {
    /// The list of a sender of the caller's tenant. Checks include the tenant-wide list.
    ///
    /// # Errors
    /// [`Refusal::UnknownSender`] if the tenant has no sender `name`; [`Refusal::SenderNotAllowed`] if the caller's
    /// token is for another one.
    pub fn sender(caller: &Caller, name: &str) -> Result<Self, Refusal> {
        let sender = caller.tenant.senders.get(name).ok_or(Refusal::UnknownSender)?;
        caller.is_about(name);
        if !caller.may_use(name) {
            return Err(Refusal::SenderNotAllowed);
        }
        Ok(Target {
            tenant: Arc::clone(&caller.tenant),
            actor: caller.actor.clone(),
            list: sender.list.clone(),
            sender: Some(sender.clone()),
            writing: Writing::People,
            is_bound: caller.sender.is_some(),
            reading: Arc::default(),
        })
    }

    /// The tenant-wide list of the caller's tenant.
    ///
    /// # Errors
    /// [`Refusal::SenderNotAllowed`] if the caller's token is for one sender only.
    pub fn tenant(caller: &Caller) -> Result<Self, Refusal> {
        if caller.sender.is_some() {
            return Err(Refusal::SenderNotAllowed);
        }
        Ok(Target {
            tenant: Arc::clone(&caller.tenant),
            actor: caller.actor.clone(),
            list: caller.tenant.wide.clone(),
            sender: None,
            writing: Writing::People,
            is_bound: false,
            reading: Arc::default(),
        })
    }

    /// A sender's own list, for changes that the gateway makes by itself. Numbers are read as vendors write them.
    /// Returns `None` if the tenant has no such sender.
    pub fn own(tenant: &Arc<Tenant>, sender: &str, actor: Actor) -> Option<Self> {
        let sender = tenant.senders.get(sender)?;
        Some(Target {
            tenant: Arc::clone(tenant),
            actor,
            list: sender.list.clone(),
            sender: Some(sender.clone()),
            writing: Writing::Vendor,
            is_bound: false,
            reading: Arc::default(),
        })
    }

    /// The same list, whose requests take the turns and the memory of this other target's client.
    pub fn asked_by(self, other: &Target) -> Self {
        Target { is_bound: other.is_bound, ..self }
    }

    /// The list's name in logs: the sender's, or `tenant-wide`.
    pub fn list_name(&self) -> &str {
        match self.list.scope() {
            Scope::Sender(sender) => sender.as_str(),
            Scope::Tenant => "tenant-wide",
        }
    }

    /// Whose memory requests for this list take.
    pub fn owner(&self) -> Owner<'_> {
        let sender = match self.list.scope() {
            Scope::Sender(sender) if self.is_bound => Some(sender.as_str()),
            _ => None,
        };
        Owner::Client { tenant: &self.tenant.config.id, sender }
    }

    /// Runs work on this list when it is the turn of the tenant, and of the sender if the token is the sender's: see
    /// [`Turns::run`](portcullis_admission::Turns::run).
    ///
    /// # Errors
    /// As [`Turns::run`](portcullis_admission::Turns::run).
    pub async fn blocking<T, E>(
        &self,
        kind: Work,
        work: impl FnOnce(Target) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unfinished> + Send + 'static,
    {
        let target = self.clone();
        let is_slow = matches!(kind, Work::Write | Work::BulkWrite) && self.list.is_slow();
        let share = self.sender.as_ref().filter(|_| self.is_bound).map(|sender| &*sender.share);
        let work = move |reading| work(Target { reading: Arc::new(reading), ..target });
        self.tenant.turns.run(share, kind, is_slow, work).await
    }

    /// The same list, with numbers read as vendors write them: see
    /// [`NumberReader::read_vendor_s`](portcullis_numbers::NumberReader::read_vendor_s).
    pub fn of_vendor(self) -> Self {
        Target { writing: Writing::Vendor, ..self }
    }

    /// Parses a number or user id as this kind of client writes them, with the tenant's default region.
    ///
    /// # Errors
    /// If it is neither.
    #[inline]
    pub fn read(&self, text: &str) -> Result<Identity, IdentityError> {
        match self.writing {
            Writing::People => identity::read(text, self.tenant.reader),
            Writing::Vendor => identity::read_vendor_s(text, self.tenant.reader),
        }
    }

    /// Returns the person with this number or user id; `None` for a user id that was never used in this tenant. Reads
    /// the ledger for a user id, and costs nothing for a number.
    ///
    /// # Errors
    /// If the ledger fails, or the tenant was removed meanwhile.
    pub fn person(&self, identity: &Identity) -> Result<Option<Person>, Refusal> {
        Ok(self.list.person(identity)?)
    }

    /// Like [`person`](Self::person), but durably registers a user id that is new to the tenant.
    ///
    /// # Errors
    /// If the ledger fails, or the tenant was removed meanwhile.
    pub fn ensure_person(&self, identity: &Identity) -> Result<Person, Refusal> {
        Ok(self.list.ensure_person(identity)?)
    }

    /// The person that a write is about. Does not block.
    pub fn whom(&self, identity: &Identity) -> Whom {
        self.list.whom(identity)
    }

    /// Whether the person is known to have written to the sender within 24 hours. Always false for the tenant-wide
    /// list. Blocks the first time, to read the stored visits.
    ///
    /// # Errors
    /// If the ledger fails, or the tenant was removed meanwhile.
    pub fn wrote_lately(&self, who: Subject) -> Result<bool, Refusal> {
        match &self.sender {
            Some(sender) => Ok(sender.visits.is_lately(&self.list, who)?),
            None => Ok(false),
        }
    }

    /// Returns the number or user id of a subject; `None` if it is nobody's under the tenant's key. Reads the ledger
    /// for a user id.
    ///
    /// # Errors
    /// If the ledger fails, or the tenant was removed meanwhile.
    pub fn reveal(&self, subject: Subject) -> Result<Option<Identity>, Refusal> {
        Ok(self.list.reveal(subject)?)
    }

    /// The sender's settings; `None` for the tenant-wide list.
    pub fn sender_config(&self) -> Option<&SenderConfig> {
        let Scope::Sender(name) = self.list.scope() else { return None };
        self.tenant.config.senders.iter().find(|sender| sender.id == *name)
    }
}
