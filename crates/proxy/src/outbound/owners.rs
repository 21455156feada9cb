//! Whose the ids in a request are.

use std::sync::Arc;

use super::edges::Known;
use super::path::Node;
use portcullis_edge::registry::{Caller, Registry, SenderName};
use portcullis_edge::settings::SenderConfig;

/// Whose an id is, as far as the configuration tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// No sender has it: it may be a medium's, a template's, or anything else's.
    Nobody,
    /// A sender that the caller may use has this phone number.
    Number,
    /// Senders of the caller's tenant have this account, and the caller may use all of them.
    Account,
    /// Another tenant, or a sender that the caller's token is not for.
    Another,
}

/// What a token reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// All that is the tenant's.
    Tenant,
    /// One sender: with its phone-number-id, where it has one.
    Sender(Option<String>),
}

/// Who asks, and what is whose.
pub(super) trait Owners: Send + Sync {
    /// Whose this id is.
    fn owner(&self, id: &str) -> Owner;

    /// What the caller's token reaches.
    fn reach(&self) -> Reach;
}

/// The configuration, as a caller sees it.
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
                let sender = self.senders().iter().find(|sender| sender.id.as_str() == bound);
                Reach::Sender(sender.and_then(|sender| sender.phone_number_id.clone()))
            }
        }
    }
}

/// The sender that a request is about, whose access token it goes on with: the one of the path's phone number, of its account,
/// or the one that the caller's token is for.
pub(super) fn sender_of<'a>(caller: &'a Caller, node: &Node) -> Option<&'a SenderConfig> {
    let mut senders = caller.tenant.config.senders.iter();
    if let Some(bound) = &caller.sender {
        return senders.find(|sender| sender.id.as_str() == bound);
    }
    let is_named = |id: &Option<String>| id.as_deref() == Some(node.text());
    senders.find(|sender| is_named(&sender.phone_number_id) || is_named(&sender.waba_id))
}

impl Owner {
    /// What the gateway knows of a node with this owner.
    pub(super) fn known(self) -> Known {
        match self {
            Owner::Number => Known::PhoneNumber,
            Owner::Account => Known::Account,
            Owner::Nobody | Owner::Another => Known::No,
        }
    }
}

/// The fewest digits of an id of Meta's, by far: shorter numbers in a text are other things.
const LEAST_ID: usize = 8;

/// Whether a value has, anywhere in it, the id of a sender or an account that the caller may not use.
pub(super) fn names_another(value: &str, owners: &dyn Owners) -> bool {
    value
        .split(|character: char| !character.is_ascii_digit())
        .map(|digits| digits.trim_start_matches('0'))
        .any(|digits| digits.len() >= LEAST_ID && owners.owner(digits) == Owner::Another)
}
