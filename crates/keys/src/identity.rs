//! Identities without a phone number.

use std::fmt;
use std::str::FromStr;

/// The name of a person without a phone number, such as Meta's business-scoped user id: 1 to 135 printable ASCII
/// characters without spaces. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UserId(String);

impl UserId {
    /// The maximum length in characters. Meta's ids have up to 128 after a country code and `ENT.`.
    pub const MAX_LENGTH: usize = 135;

    /// Whether the text has the form of Meta's business-scoped user ids: a two-letter country code, a dot, and up to
    /// 128 letters and digits. The ids of a parent business have `ENT.` after the first dot. See
    /// <https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids> (as of
    /// 2026-02-18).
    pub fn is_meta_bsuid(text: &str) -> bool {
        let Some((country, id)) = text.split_once('.') else { return false };
        let id = id.strip_prefix("ENT.").unwrap_or(id);
        country.len() == 2
            && country.bytes().all(|byte| byte.is_ascii_uppercase())
            && (1..=128).contains(&id.len())
            && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
    }

    /// The id. For responses to authorized callers, never for logs.
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

/// Why text is not a [`UserId`]. Contains nothing of the id itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UserIdError {
    /// It is empty.
    #[error("the user id is empty")]
    Empty,
    /// It is longer than [`UserId::MAX_LENGTH`].
    #[error("the user id has more than {} characters", UserId::MAX_LENGTH)]
    TooLong,
    /// It contains a space, or a character that is not printable ASCII.
    #[error("byte {position} of the user id is a space or not printable ASCII")]
    NotPrintable {
        /// The byte offset, from 0.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meta_ids_are_distinguished_from_numbers() {
        let longest = format!("US.ENT.{}", "1".repeat(128));
        for text in ["US.13491208655302741918", "SE.a1", "US.ENT.123", "US.ENT.ENT", "US.ENT", &longest] {
            assert!(UserId::is_meta_bsuid(text), "{text}");
            assert!(text.parse::<UserId>().is_ok(), "{text}");
        }
        let too_long = format!("US.{}", "1".repeat(129));
        for text in [
            "+46732001122",
            "46.732001122",
            "us.1",
            "US.",
            "USA.1",
            "US.1.2",
            "US.ENT.",
            "US.ENT.ENT.1",
            "US.ent.1",
            "US.ENT.1.2",
            &too_long,
            "",
            ".",
        ] {
            assert!(!UserId::is_meta_bsuid(text), "{text}");
        }
    }

    #[test]
    fn ids_are_short_and_printable_and_not_shown() {
        let id: UserId = "US.13491208655302741918".parse().unwrap();
        assert_eq!(id.as_str(), "US.13491208655302741918");
        assert!(!format!("{id:?}").contains("1349"));
        assert_eq!("".parse::<UserId>(), Err(UserIdError::Empty));
        assert!("a".repeat(135).parse::<UserId>().is_ok());
        assert_eq!("a".repeat(136).parse::<UserId>(), Err(UserIdError::TooLong));
        for (text, position) in [("a b", 1), ("aé", 1), ("\n", 0)] {
            assert_eq!(text.parse::<UserId>(), Err(UserIdError::NotPrintable { position }));
        }
    }
}
