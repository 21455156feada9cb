//! The blacklist that a request is about.

use std::sync::Arc;

use portcullis_ledger::Actor;
use portcullis_msisdn::{Msisdn, Subject};

use super::refusal::Refusal;
use crate::gate::Gate;
use crate::number::NumberError;
use crate::registry::Caller;
use crate::tenant::Tenant;

/// The blacklist that a request is about, and who asks.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) tenant: Arc<Tenant>,
    pub(crate) actor: Actor,
    pub(crate) gate: Arc<Gate>,
    pub(crate) kind: ListKind,
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
        Ok(Self::new(caller, gate, ListKind::Sender))
    }

    /// The tenant-wide list alone.
    pub(crate) fn tenant(caller: &Caller) -> Self {
        Self::new(caller, &caller.tenant.wide, ListKind::Tenant)
    }

    fn new(caller: &Caller, gate: &Arc<Gate>, kind: ListKind) -> Self {
        Target {
            tenant: Arc::clone(&caller.tenant),
            actor: caller.actor.clone(),
            gate: Arc::clone(gate),
            kind,
        }
    }

    /// The lists that a check asks, in this order.
    pub(super) fn asked(&self) -> impl Iterator<Item = (ListKind, &Arc<Gate>)> {
        let wide = (self.kind == ListKind::Sender).then_some((ListKind::Tenant, &self.tenant.wide));
        [(self.kind, &self.gate)].into_iter().chain(wide)
    }

    /// Reads a number as this tenant's clients write them.
    pub(crate) fn read(&self, number: &str) -> Result<Msisdn, NumberError> {
        self.tenant.reader.read(number)
    }

    pub(crate) fn subject(&self, number: Msisdn) -> Subject {
        self.tenant.keys.permutation().subject(number)
    }
}
