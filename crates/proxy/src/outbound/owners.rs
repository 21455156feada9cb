//! The owners of the ids in a request.

use std::sync::Arc;

use super::edges::Known;
use super::path::Node;
use portcullis_edge::registry::{Caller, Registry, SenderName};
use portcullis_edge::settings::SenderConfig;

/// The owner of an id according to the configuration, from the caller's point of view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// No sender: it may be the id of a medium, a template, or anything else.
    Nobody,
    /// A sender that the caller may use: it is its phone-number-id.
    Number,
    /// Senders of the caller's tenant, all of which the caller may use: it is their account.
    Account,
    /// Another tenant, or a sender for which the caller's token is not valid.
    Another,
}

/// What a token gives access to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Everything of the tenant.
    Tenant,
    /// One sender. Contains its phone-number-id, if it has one.
    Sender(Option<String>),
}

/// A caller, and the owners of ids from that caller's point of view.
pub(super) trait Owners: Send + Sync {
    /// Returns the owner of an id.
    fn owner(&self, id: &str) -> Owner;

    /// Returns what the caller's token gives access to.
    fn reach(&self) -> Reach;
}

/// Owners according to the configuration.
#[derive(Clone)]
pub(super) struct Configured {
    pub(super) registry: Arc<Registry>,
    pub(super) caller: Caller,
}

impl Configured {
    fn senders(&self) -> &[SenderConfig] {
        &self.caller.tenant.config.senders
    }
}

impl Owners for Configured {
    fn owner(&self, id: &str) -> Owner {
        if let Some((tenant, sender)) = self.registry.sender(&SenderName::PhoneNumberId(id.to_owned())) {
            let is_own =
                tenant.config.id == self.caller.tenant.config.id && self.caller.may_use(sender.id.as_str());
            return if is_own { Owner::Number } else { Owner::Another };
        }
        // Several tenants may have senders of one account.
        if self.senders().iter().any(|sender| sender.waba_id.as_deref() == Some(id)) {
            return if self.caller.sender.is_none() { Owner::Account } else { Owner::Another };
        }
        match self.registry.sender_of_account(id) {
            Some(_) => Owner::Another,
            None => Owner::Nobody,
        }
    }

    fn reach(&self) -> Reach {
        match &self.caller.sender {
            None => Reach::Tenant,
            Some(bound) => {
                let sender = self.senders().iter().find(|sender| sender.id.as_str() == &**bound);
                Reach::Sender(sender.and_then(|sender| sender.phone_number_id.clone()))
            }
        }
    }
}

/// Returns the sender whose access token is used upstream: the one for which the caller's token is, or the one with the phone
/// number or account in the path.
pub(super) fn sender_of<'a>(caller: &'a Caller, node: &Node) -> Option<&'a SenderConfig> {
    let mut senders = caller.tenant.config.senders.iter();
    if let Some(bound) = &caller.sender {
        return senders.find(|sender| sender.id.as_str() == &**bound);
    }
    let is_named = |id: &Option<String>| id.as_deref() == Some(node.text());
    senders.find(|sender| is_named(&sender.phone_number_id) || is_named(&sender.waba_id))
}

impl Owner {
    /// Returns what is known about a node with this owner.
    pub(super) fn known(self) -> Known {
        match self {
            Owner::Number => Known::PhoneNumber,
            Owner::Account => Known::Account,
            Owner::Nobody | Owner::Another => Known::No,
        }
    }
}

/// Minimum number of digits of an id in a text. Meta's ids are much longer, so shorter numbers are something else.
const LEAST_ID: usize = 8;

/// Whether a value contains, at any position, the id of a sender or account that the caller may not use.
pub(super) fn names_another(value: &str, owners: &dyn Owners) -> bool {
    value
        .split(|character: char| !character.is_ascii_digit())
        .map(|digits| digits.trim_start_matches('0'))
        .any(|digits| digits.len() >= LEAST_ID && owners.owner(digits) == Owner::Another)
}
