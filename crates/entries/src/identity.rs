//! The person that an entry is about.

use portcullis_ledger::UserId;
use portcullis_msisdn::Msisdn;

/// The prefix of a user id in places that take telephone numbers too.
pub const USER_PREFIX: &str = "user:";

/// The person that an entry is about: a telephone number, or a vendor's id of somebody whose number is unknown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// A telephone number.
    Number(Msisdn),
    /// A business-scoped user id.
    User(UserId),
}

impl Identity {
    /// The telephone number, unless it is a user id.
    pub fn number(&self) -> Option<Msisdn> {
        match self {
            Identity::Number(number) => Some(*number),
            Identity::User(_) => None,
        }
    }

    /// The number in E.164 format with its `+`, or `user:` and the id.
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
