//! The blacklist that a request is about.

use std::sync::Arc;

use portcullis_ledger::{Actor, Scope, Whom};
use portcullis_msisdn::{Msisdn, Person, Revealed, Subject};

use super::refusal::Refusal;
use crate::config::SenderConfig;
use crate::gate::Gate;
use crate::identity::{Identity, IdentityError};
use crate::registry::Caller;
use crate::tenant::Tenant;

/// The blacklist that a request is about, and who asks.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) actor: Actor,
    pub(crate) gate: Arc<Gate>,
    pub(crate) kind: ListKind,
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

/// Which list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// A sender's own.
    Sender,
    /// The one that holds for all senders.
    Tenant,
}

impl Target {
    /// A sender's own list; with it goes the tenant-wide one, in checks.
    pub(crate) fn sender(caller: &Caller, name: &str) -> Result<Self, Refusal> {
        let gate = caller.tenant.senders.get(name).ok_or(Refusal::UnknownSender)?;
        if !caller.may_use(name) {
            return Err(Refusal::SenderNotAllowed);
        }
        Ok(Self::new(caller, gate, ListKind::Sender))
    }

    /// The tenant-wide list alone.
    pub(crate) fn tenant(caller: &Caller) -> Result<Self, Refusal> {
        if caller.sender.is_some() {
            return Err(Refusal::SenderNotAllowed);
        }
        Ok(Self::new(caller, &caller.tenant.wide, ListKind::Tenant))
    }

    /// A sender's own list, for something that the gateway does by itself.
    pub(crate) fn own(tenant: &Arc<Tenant>, sender: &str, actor: Actor) -> Option<Self> {
        let gate = tenant.senders.get(sender)?;
        Some(Target {
            tenant: Arc::clone(tenant),
            actor,
            gate: Arc::clone(gate),
            kind: ListKind::Sender,
            writing: Writing::Vendor,
        })
    }

    /// The tenant-wide list, for something that the gateway does by itself.
    pub(crate) fn own_wide(tenant: &Arc<Tenant>, actor: Actor) -> Self {
        let gate = Arc::clone(&tenant.wide);
        Target { tenant: Arc::clone(tenant), actor, gate, kind: ListKind::Tenant, writing: Writing::People }
    }

    fn new(caller: &Caller, gate: &Arc<Gate>, kind: ListKind) -> Self {
        Target {
            tenant: Arc::clone(&caller.tenant),
            actor: caller.actor.clone(),
            gate: Arc::clone(gate),
            kind,
            writing: Writing::People,
        }
    }

    /// The same, for a vendor's client.
    pub(crate) fn of_vendor(self) -> Self {
        Target { writing: Writing::Vendor, ..self }
    }

    /// The lists that a check asks, in this order.
    pub(super) fn asked(&self) -> impl Iterator<Item = (ListKind, &Arc<Gate>)> {
        let wide = (self.kind == ListKind::Sender).then_some((ListKind::Tenant, &self.tenant.wide));
        [(self.kind, &self.gate)].into_iter().chain(wide)
    }

    /// Reads whom a client means, as this tenant's clients write that.
    #[inline]
    pub(crate) fn read(&self, text: &str) -> Result<Identity, IdentityError> {
        match self.writing {
            Writing::People => Identity::read(text, self.tenant.reader),
            Writing::Vendor => Identity::read_vendor_s(text, self.tenant.reader),
        }
    }

    /// Everybody who is meant by a number: the person in each spelling of it.
    #[inline]
    pub(crate) fn person_of_number(&self, number: Msisdn) -> Person {
        self.tenant.keys.permutation().person(number)
    }

    /// What somebody is known as behind the edge; `None` for a user id that was never seen. For a user id this asks the
    /// ledger.
    pub(crate) fn person(&self, identity: &Identity) -> Result<Option<Person>, Refusal> {
        match identity {
            Identity::Number(number) => Ok(Some(self.person_of_number(*number))),
            Identity::User(id) => Ok(self.gate.list().person_of_user(id)?),
        }
    }

    /// As [`person`](Self::person), but a user id that was never seen is remembered, durably.
    pub(crate) fn ensure_person(&self, identity: &Identity) -> Result<Person, Refusal> {
        match identity {
            Identity::Number(number) => Ok(self.person_of_number(*number)),
            Identity::User(id) => Ok(self.gate.list().ensure_person_of_user(id)?),
        }
    }

    /// Whom a write is about.
    pub(crate) fn whom(&self, identity: &Identity) -> Whom {
        match identity {
            Identity::Number(number) => self.tenant.keys.permutation().subject(*number).into(),
            Identity::User(id) => Whom::User(id.clone()),
        }
    }

    /// Who a subject is; `None` where it is nobody's under the tenant's key.
    pub(crate) fn reveal(&self, subject: Subject) -> Result<Option<Identity>, Refusal> {
        match self.tenant.keys.permutation().reveal(subject) {
            Revealed::Number(number) => Ok(Some(Identity::Number(number))),
            Revealed::Reserved(id) => Ok(self.gate.list().user_of(id)?.map(Identity::User)),
            Revealed::Neither => Ok(None),
        }
    }

    /// What the configuration says of the sender; `None` for the tenant-wide list.
    pub(crate) fn sender_config(&self) -> Option<&SenderConfig> {
        let Scope::Sender(name) = self.gate.list().scope() else { return None };
        self.tenant.config.senders.iter().find(|sender| sender.id == *name)
    }
}
