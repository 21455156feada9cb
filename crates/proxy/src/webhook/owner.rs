//! Finds the sender to which a change in a webhook belongs.

use std::sync::Arc;

use super::payload::{Change, Entry, Payload};
use crate::message::lenient::{Values, text, text_or_integer};
use crate::message::object::{Inner, Object};
use portcullis_edge::registry::{Registry, SenderName};
use portcullis_edge::settings::SenderConfig;
use portcullis_edge::tenant::Tenant;

/// Arrays of a value whose elements are from or about one person each.
pub(super) const ELEMENTS: [&str; 3] = ["messages", "message_echoes", "calls"];
/// Other members of a value that are about people.
const OF_PERSONS: [&str; 4] = ["history", "standby", "user_preferences", "contacts"];
/// The value of `object` in WhatsApp's webhooks.
const WHATSAPP: &str = "whatsapp_business_account";

/// A sender with its tenant.
#[derive(Clone, Copy)]
pub(super) struct Owned<'a> {
    pub(super) tenant: &'a Arc<Tenant>,
    pub(super) sender: &'a SenderConfig,
}

/// The owner of a change.
pub(super) enum Owner<'a> {
    /// This sender.
    Sender(Owned<'a>),
    /// No configured sender.
    Nobody,
    /// It can't be determined. It may be one of these senders, or, if there are none, any.
    Unclear(Vec<Owned<'a>>),
}

impl<'a> Owner<'a> {
    /// The senders that it may be, as far as they are known.
    pub(super) fn possible(self) -> Vec<Owned<'a>> {
        match self {
            Owner::Sender(owned) => vec![owned],
            Owner::Unclear(candidates) => candidates,
            Owner::Nobody => Vec::new(),
        }
    }
}

/// The ids of an entry, which name the WhatsApp Business account it is about.
pub(super) struct Account(Values<String>);

impl Account {
    pub(super) fn of(entry: &Entry<'_>) -> Self {
        Account(entry.object.values("id", text_or_integer))
    }
}

/// Looks up owners in the registry.
pub(super) struct Owners<'a> {
    registry: &'a Registry,
    /// Whether the webhook is, or may be, one of WhatsApp's.
    pub(super) is_whatsapp: bool,
}

impl<'a> Owners<'a> {
    pub(super) fn of(registry: &'a Registry, payload: &Payload<'_>) -> Self {
        let objects = payload.object.values("object", text);
        let is_whatsapp = objects.agreed().is_none_or(|object| object == WHATSAPP);
        Owners { registry, is_whatsapp }
    }

    /// Finds the owner of a change by the phone-number-id in it, or by the account if there is none.
    pub(super) fn owner(&self, account: &Account, change: &Change<'_>) -> Owner<'a> {
        let ids = phone_number_ids(&change.value);
        match ids.agreed() {
            Some(id) => match self.sender(id) {
                Some(owned) => Owner::Sender(owned),
                None if is_id(id) => Owner::Nobody,
                None => self.unclear(self.of_account(account)),
            },
            None if ids.read.is_empty() && !ids.is_odd => self.by_account(account, &change.value),
            None => {
                let mut named: Vec<Owned<'a>> = Vec::new();
                for owned in ids.read.iter().filter_map(|id| self.sender(id)) {
                    if !named.iter().any(|known| std::ptr::eq(known.sender, owned.sender)) {
                        named.push(owned);
                    }
                }
                self.unclear(if named.is_empty() { self.of_account(account) } else { named })
            }
        }
    }

    fn by_account(&self, account: &Account, value: &Inner<'_>) -> Owner<'a> {
        let of_account = self.of_account(account);
        let is_of_persons = value.is_odd || value.object.as_ref().is_some_and(is_of_persons);
        match of_account.first() {
            // A change about the account, not about people, goes to the account's first sender.
            Some(first) if !is_of_persons || of_account.len() == 1 && account.0.agreed().is_some() => {
                Owner::Sender(*first)
            }
            None if !is_of_persons => Owner::Nobody,
            _ => self.unclear(of_account),
        }
    }

    /// The owner is unclear, unless the webhook is not WhatsApp's and no sender comes into question.
    fn unclear(&self, candidates: Vec<Owned<'a>>) -> Owner<'a> {
        if candidates.is_empty() && !self.is_whatsapp { Owner::Nobody } else { Owner::Unclear(candidates) }
    }

    fn sender(&self, id: &str) -> Option<Owned<'a>> {
        let (tenant, sender) = self.registry.sender(&SenderName::PhoneNumberId(id.to_owned()))?;
        Some(Owned { tenant, sender })
    }

    /// Returns all senders of an account, of all tenants.
    pub(super) fn of_account(&self, account: &Account) -> Vec<Owned<'a>> {
        let is_of = |sender: &SenderConfig| {
            sender.waba_id.as_ref().is_some_and(|known| account.0.read.contains(known))
        };
        let senders = self.registry.tenants();
        let senders = senders
            .flat_map(|tenant| tenant.config.senders.iter().map(move |sender| Owned { tenant, sender }));
        senders.filter(|owned| is_of(owned.sender)).collect()
    }
}

fn is_of_persons(value: &Object<'_>) -> bool {
    ELEMENTS.iter().chain(&OF_PERSONS).any(|name| value.said(name).next().is_some())
}

/// Reads the phone-number-ids in a value: in `metadata`, or in `recipient` for handovers.
fn phone_number_ids(value: &Inner<'_>) -> Values<String> {
    let Some(value) = &value.object else { return Values::default() };
    let mut ids = Values::default();
    for name in ["metadata", "recipient"] {
        let Inner { object, is_odd } = value.inner(name);
        ids.is_odd |= is_odd;
        if let Some(object) = object {
            ids = ids.and(object.values("phone_number_id", text_or_integer));
        }
        if !ids.read.is_empty() || ids.is_odd {
            break;
        }
    }
    ids
}

/// Whether a text can be one of Meta's ids.
fn is_id(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}
