//! Whom an entry is about.

use portcullis_ledger::UserId;
use portcullis_msisdn::Msisdn;

/// What precedes a user id where a number could stand too.
pub const USER_PREFIX: &str = "user:";

/// Whom an entry is about: a telephone number, or a person whom a vendor knows by an id of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A telephone number.
    Number(Msisdn),
    /// A business-scoped user id.
    User(UserId),
}

impl Identity {
    /// The telephone number, if it is one.
    pub fn number(&self) -> Option<Msisdn> {
        match self {
            Identity::Number(number) => Some(*number),
            Identity::User(_) => None,
        }
    }

    /// The number in E.164 with its plus, or `user:` and the id.
    pub fn text(&self) -> String {
        match self {
            Identity::Number(number) => number.e164().to_string(),
            Identity::User(id) => format!("{USER_PREFIX}{}", id.as_str()),
        }
    }
}

impl From<Msisdn> for Identity {
    fn from(number: Msisdn) -> Self {
        Identity::Number(number)
    }
}

impl From<UserId> for Identity {
    fn from(user: UserId) -> Self {
        Identity::User(user)
    }
}

impl From<&Identity> for Identity {
    fn from(identity: &Identity) -> Self {
        identity.clone()
    }
}
