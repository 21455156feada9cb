//! The blacklist that a request is about.

use std::sync::Arc;

use portcullis_engine::{Identity, List};
use portcullis_ledger::{Actor, Scope, Whom};
use portcullis_msisdn::{Person, Subject};

use super::refusal::Refusal;
use crate::identity::{self, IdentityError};
use crate::registry::Caller;
use crate::settings::SenderConfig;
use crate::tenant::{Sender, Tenant};

/// The blacklist that a request is about, and who asks.
#[derive(Clone)]
pub struct Target {
    pub tenant: Arc<Tenant>,
    pub actor: Actor,
    pub list: List,
    /// What is remembered of the sender's traffic; none for the tenant-wide list.
    pub sender: Option<Sender>,
    /// How numbers are written.
    writing: Writing,
}

/// How those who ask write numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writing {
    /// As people do: see [`NumberReader::read`](crate::number::NumberReader::read).
    People,
    /// As a vendor documents: see [`NumberReader::read_vendor_s`](crate::number::NumberReader::read_vendor_s).
    Vendor,
}

impl Target {
    /// A sender's own list; with it goes the tenant-wide one, in checks.
    pub fn sender(caller: &Caller, name: &str) -> Result<Self, Refusal> {
        let sender = caller.tenant.senders.get(name).ok_or(Refusal::UnknownSender)?;
        if !caller.may_use(name) {
            return Err(Refusal::SenderNotAllowed);
        }
        Ok(Target {
            tenant: Arc::clone(&caller.tenant),
            actor: caller.actor.clone(),
            list: sender.list.clone(),
            sender: Some(sender.clone()),
            writing: Writing::People,
        })
    }

    /// The tenant-wide list alone.
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
        })
    }

    /// A sender's own list, for something that the gateway does by itself.
    pub fn own(tenant: &Arc<Tenant>, sender: &str, actor: Actor) -> Option<Self> {
        let sender = tenant.senders.get(sender)?;
        Some(Target {
            tenant: Arc::clone(tenant),
            actor,
            list: sender.list.clone(),
            sender: Some(sender.clone()),
            writing: Writing::Vendor,
        })
    }

    /// The same, for a vendor's client.
    pub fn of_vendor(self) -> Self {
        Target { writing: Writing::Vendor, ..self }
    }

    /// Reads whom a client means, as this tenant's clients write that.
    #[inline]
    pub fn read(&self, text: &str) -> Result<Identity, IdentityError> {
        match self.writing {
            Writing::People => identity::read(text, self.tenant.reader),
            Writing::Vendor => identity::read_vendor_s(text, self.tenant.reader),
        }
    }

    /// What somebody is known as behind the edge; `None` for a user id that was never seen. For a user id this asks the
    /// ledger.
    pub fn person(&self, identity: &Identity) -> Result<Option<Person>, Refusal> {
        Ok(self.list.person(identity)?)
    }

    /// As [`person`](Self::person), but a user id that was never seen is remembered, durably.
    pub fn ensure_person(&self, identity: &Identity) -> Result<Person, Refusal> {
        Ok(self.list.ensure_person(identity)?)
    }

    /// Whom a write is about.
    pub fn whom(&self, identity: &Identity) -> Whom {
        self.list.whom(identity)
    }

    /// Whether somebody wrote to the sender within 24 hours, as far as that is known.
    pub fn wrote_lately(&self, who: Subject) -> Result<bool, Refusal> {
        match &self.sender {
            Some(sender) => Ok(sender.visits.is_lately(self.list.ledger(), who)?),
            None => Ok(false),
        }
    }

    /// Who a subject is; `None` where it is nobody's under the tenant's key.
    pub fn reveal(&self, subject: Subject) -> Result<Option<Identity>, Refusal> {
        Ok(self.list.reveal(subject)?)
    }

    /// What the configuration says of the sender; `None` for the tenant-wide list.
    pub fn sender_config(&self) -> Option<&SenderConfig> {
        let Scope::Sender(name) = self.list.scope() else { return None };
        self.tenant.config.senders.iter().find(|sender| sender.id == *name)
    }
}
