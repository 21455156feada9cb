//! Parsing of telephone numbers and user ids.

use portcullis_engine::{Identity, USER_PREFIX};
use portcullis_ledger::UserIdError;

use portcullis_numbers::{NumberError, NumberReader};

/// Why a text is neither a number nor a user id. The messages don't contain the text; a number appears only masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    /// The text has no `user:` prefix, and is not a number.
    #[error(transparent)]
    Number(#[from] NumberError),
    /// The part after `user:` is not a valid id.
    #[error(transparent)]
    User(#[from] UserIdError),
}

/// Parses `user:` and an id, or a number as people write it: see [`NumberReader::read`].
///
/// # Errors
/// If the text is neither.
#[inline]
pub fn read(text: &str, reader: NumberReader) -> Result<Identity, IdentityError> {
    match text.strip_prefix(USER_PREFIX) {
        Some(id) => Ok(Identity::User(id.parse()?)),
        None => Ok(Identity::Number(reader.read(text)?)),
    }
}

/// Parses `user:` and an id, or a number as vendors document it: see [`NumberReader::read_vendor_s`].
///
/// # Errors
/// If the text is neither.
pub fn read_vendor_s(text: &str, reader: NumberReader) -> Result<Identity, IdentityError> {
    match text.strip_prefix(USER_PREFIX) {
        Some(id) => Ok(Identity::User(id.parse()?)),
        None => Ok(Identity::Number(reader.read_vendor_s(text)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_user_ids_are_told_apart_and_read_again() {
        let reader = NumberReader { default_region: None };
        for text in ["+46732001122", "user:US.13491208655302741918"] {
            let identity = read(text, reader).unwrap();
            assert_eq!(identity.number().is_some(), text.starts_with('+'));
            assert_eq!(identity.text(), text);
        }
        assert_eq!(read("user:", reader), Err(UserIdError::Empty.into()));
        assert!(matches!(read("User:1", reader), Err(IdentityError::Number(_))));
    }
}
