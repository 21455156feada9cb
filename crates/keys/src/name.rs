//! The names of tenants and senders.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The maximum length of a name in characters.
const MAX_LENGTH: usize = 64;

/// The name of a customer account: 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

/// The name of a tenant's business identity (a number, a bot's id, a phone number id, an SID): 1 to 64 characters of
/// `a-z`, `0-9`, `.`, `_` and `-`. Stored in clear. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SenderId(Arc<str>);

/// Why text is not a valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("the name is empty")]
    Empty,
    /// It is longer than 64 characters.
    #[error("the name has more than {MAX_LENGTH} characters")]
    TooLong,
    /// It contains a character other than `a-z`, `0-9`, `.`, `_` and `-`.
    #[error("byte {position} of the name is not one of a-z, 0-9, '.', '_', '-'")]
    UnexpectedCharacter {
        /// The byte offset, from 0.
        position: usize,
    },
}

fn parse(text: &str) -> Result<Arc<str>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > MAX_LENGTH {
        return Err(NameError::TooLong);
    }
    let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-');
    match text.bytes().position(|byte| !allowed(byte)) {
        Some(position) => Err(NameError::UnexpectedCharacter { position }),
        None => Ok(text.into()),
    }
}

macro_rules! name {
    ($name:ident) => {
        impl $name {
            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = NameError;

            fn from_str(text: &str) -> Result<Self, NameError> {
                parse(text).map($name)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    };
}

name!(TenantId);
name!(SenderId);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_lower_case() {
        assert_eq!("acme-2.se_x".parse::<TenantId>().map(|id| id.to_string()), Ok("acme-2.se_x".into()));
        assert_eq!("".parse::<TenantId>(), Err(NameError::Empty));
        assert_eq!("a".repeat(65).parse::<SenderId>(), Err(NameError::TooLong));
        assert!("a".repeat(64).parse::<SenderId>().is_ok());
        for (text, position) in [("Acme", 0), ("a/b", 1), ("ab\0", 2), ("é", 0)] {
            assert_eq!(text.parse::<SenderId>(), Err(NameError::UnexpectedCharacter { position }));
        }
    }
}
