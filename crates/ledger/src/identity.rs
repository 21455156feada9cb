//! Identities that are not telephone numbers.

use std::fmt;
use std::str::FromStr;

/// The name of a person that is no telephone number, such as Meta's business-scoped user id: 1 to 128 printable ASCII
/// characters without spaces. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// The most characters.
    pub const MAX_LENGTH: usize = 128;

    /// The id. For answers to those who may see it, never for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for UserId {
    type Err = UserIdError;

    fn from_str(text: &str) -> Result<Self, UserIdError> {
        match text.len() {
            0 => Err(UserIdError::Empty),
            length if length > Self::MAX_LENGTH => Err(UserIdError::TooLong),
            _ => match text.bytes().position(|byte| !byte.is_ascii_graphic()) {
                Some(position) => Err(UserIdError::NotPrintable { position }),
                None => Ok(UserId(text.to_owned())),
            },
        }
    }
}

impl fmt::Debug for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserId(…)")
    }
}

/// Why a text is no [`UserId`]. Tells nothing of the id itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserIdError {
    /// Nothing given.
    #[error("the user id is empty")]
    Empty,
    /// More than [`UserId::MAX_LENGTH`] characters.
    #[error("the user id has more than {} characters", UserId::MAX_LENGTH)]
    TooLong,
    /// A space, or a character that is not printable ASCII.
    #[error("byte {position} of the user id is a space or not printable ASCII")]
    NotPrintable {
        /// Where, counted in bytes from 0.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_printable_and_not_shown() {
        let id: UserId = "US.13491208655302741918".parse().unwrap();
        assert_eq!(id.as_str(), "US.13491208655302741918");
        assert!(!format!("{id:?}").contains("1349"));
        assert_eq!("".parse::<UserId>(), Err(UserIdError::Empty));
        assert_eq!("a".repeat(129).parse::<UserId>(), Err(UserIdError::TooLong));
        for (text, position) in [("a b", 1), ("aé", 1), ("\n", 0)] {
            assert_eq!(text.parse::<UserId>(), Err(UserIdError::NotPrintable { position }));
        }
    }
}
