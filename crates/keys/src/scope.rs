//! The scopes of a tenant's blacklists.

use crate::name::{NameError, SenderId};

/// Identifies one of a tenant's blacklists.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// The list that applies to all of the tenant's senders.
    Tenant,
    /// The list of one sender.
    Sender(SenderId),
}

impl Scope {
    /// The form used on disk and in key derivation: the sender's name, or empty text, which is not a valid sender name.
    pub fn as_stored(&self) -> &str {
        match self {
            Scope::Tenant => "",
            Scope::Sender(sender) => sender.as_str(),
        }
    }

    /// Parses what [`as_stored`](Self::as_stored) returns.
    ///
    /// # Errors
    /// If it is neither empty nor the name of a sender.
    pub fn from_stored(text: &str) -> Result<Self, NameError> {
        if text.is_empty() { Ok(Scope::Tenant) } else { text.parse().map(Scope::Sender) }
    }
}
