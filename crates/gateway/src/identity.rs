//! Whom a message is from or for.

use portcullis_ledger::{UserId, UserIdError};
use portcullis_msisdn::Msisdn;

use crate::number::{NumberError, NumberReader};

/// What stands before a user id where a number could stand too.
pub(crate) const USER_PREFIX: &str = "user:";

/// Whom a message is from or for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// A telephone number.
    Number(Msisdn),
    /// A person without one, under the id that a vendor gave.
    User(UserId),
}

/// Why a text names nobody. Tells nothing about the text itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error(transparent)]
    Number(#[from] NumberError),
    #[error(transparent)]
    User(#[from] UserIdError),
}

impl Identity {
    /// Reads what a client wrote: `user:` and an id, or a number as the tenant's clients write them.
    #[inline]
    pub(crate) fn read(text: &str, reader: NumberReader) -> Result<Self, IdentityError> {
        match text.strip_prefix(USER_PREFIX) {
            Some(id) => Ok(Identity::User(id.parse()?)),
            None => Ok(Identity::Number(reader.read(text)?)),
        }
    }

    /// Reads what a vendor's client wrote: the same, but with numbers as the vendors document them.
    pub(crate) fn read_vendor_s(text: &str, reader: NumberReader) -> Result<Self, IdentityError> {
        match text.strip_prefix(USER_PREFIX) {
            Some(id) => Ok(Identity::User(id.parse()?)),
            None => Ok(Identity::Number(reader.read_vendor_s(text)?)),
        }
    }

    /// The number, if it is one.
    pub(crate) fn number(&self) -> Option<Msisdn> {
        match self {
            Identity::Number(number) => Some(*number),
            Identity::User(_) => None,
        }
    }

    /// As the native API writes it: in E.164 with its plus, or `user:` and the id. [`Identity::read`] reads it again.
    pub(crate) fn text(&self) -> String {
        match self {
            Identity::Number(number) => number.e164().to_string(),
            Identity::User(id) => format!("{USER_PREFIX}{}", id.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_user_ids_are_told_apart_and_read_again() {
        let reader = NumberReader { default_region: None };
        for text in ["+46732001122", "user:US.13491208655302741918"] {
            let identity = Identity::read(text, reader).unwrap();
            assert_eq!(identity.number().is_some(), text.starts_with('+'));
            assert_eq!(identity.text(), text);
        }
        assert_eq!(Identity::read("user:", reader), Err(UserIdError::Empty.into()));
        assert!(matches!(Identity::read("User:1", reader), Err(IdentityError::Number(_))));
    }
}
