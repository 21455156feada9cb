//! Which of a tenant's blacklists is meant.

use crate::name::{NameError, SenderId};

/// Which of a tenant's blacklists is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The one that holds for all of the tenant's senders.
    Tenant,
    /// The one of this sender.
    Sender(SenderId),
}

impl Scope {
    /// What stands for it on disk and in key derivation: the sender's name, or the empty text, which
    /// no sender has for a name.
    pub(crate) fn as_stored(&self) -> &str {
        match self {
            Scope::Tenant => "",
            Scope::Sender(sender) => sender.as_str(),
        }
    }

    pub(crate) fn from_stored(text: &str) -> Result<Self, NameError> {
        if text.is_empty() { Ok(Scope::Tenant) } else { text.parse().map(Scope::Sender) }
    }
}
