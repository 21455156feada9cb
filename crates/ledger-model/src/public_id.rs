//! The public ids of entries.

use std::fmt;
use std::str::FromStr;

use portcullis_msisdn::Subject;

/// The id by which clients know an entry, and a cursor in its list: ten lower-case characters of [Crockford's base
/// 32](https://www.crockford.com/base32.html).
///
/// It is the entry's subject under a second permutation, with a key per list. So it survives reactivation, is not
/// stored, can't be linked to the same number's id on another list, and is defined before the entry exists. The ledger's
/// lists convert between the two.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicId(Subject);

const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const LENGTH: usize = 10;
const _: () = assert!(LENGTH * 5 == Subject::BITS as usize, "ten characters encode fifty bits");

impl PublicId {
    /// The id whose subject, under the list's permutation of public ids, is this one.
    pub fn from_permuted(permuted: Subject) -> Self {
        PublicId(permuted)
    }

    /// The permuted subject.
    pub fn permuted(self) -> Subject {
        self.0
    }
}

impl fmt::Display for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [0; LENGTH];
        let mut rest = self.0.get();
        for character in text.iter_mut().rev() {
            *character = ALPHABET[(rest % 32) as usize];
            rest /= 32;
        }
        // Honours padding, for use in tables.
        f.pad(str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for PublicId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicId({self})")
    }
}

impl FromStr for PublicId {
    type Err = PublicIdError;

    /// Parses ten characters in either case. As in Crockford's specification, `i` and `l` are read as `1`, and `o` as
    /// `0`, because ids get typed from screens.
    fn from_str(text: &str) -> Result<Self, PublicIdError> {
        if text.len() != LENGTH {
            return Err(PublicIdError::Length);
        }
        let mut value = 0;
        for (position, byte) in text.bytes().enumerate() {
            let byte = match byte.to_ascii_lowercase() {
                b'i' | b'l' => b'1',
                b'o' => b'0',
                other => other,
            };
            let digit = ALPHABET
                .iter()
                .position(|&character| character == byte)
                .ok_or(PublicIdError::UnexpectedCharacter { position })?;
            value = value * 32 + digit as u64;
        }
        Subject::new(value).map(PublicId).ok_or(PublicIdError::Length)
    }
}

/// Why text is not a [`PublicId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PublicIdError {
    /// It does not have ten characters.
    #[error("an id has {LENGTH} characters")]
    Length,
    /// It contains a character that is not in Crockford's base 32.
    #[error("byte {position} of the id is not a letter or digit of Crockford's base 32")]
    UnexpectedCharacter {
        /// The byte offset, from 0.
        position: usize,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(value: u64) -> PublicId {
        PublicId(Subject::new(value).expect("below 2^50"))
    }

    #[test]
    fn ids_are_ten_lower_case_characters() {
        assert_eq!(id(0).to_string(), "0000000000");
        assert_eq!(id(Subject::MAX.get()).to_string(), "zzzzzzzzzz");
        assert_eq!(id(32).to_string(), "0000000010");
    }

    #[test]
    fn ambiguous_characters_are_accepted_and_others_rejected() {
        assert_eq!("OoIiLlABCD".parse(), "001111abcd".parse::<PublicId>());
        assert_eq!("000000000".parse::<PublicId>(), Err(PublicIdError::Length));
        assert_eq!("00000000000".parse::<PublicId>(), Err(PublicIdError::Length));
        for (text, position) in [("000u000000", 3), ("-000000000", 0), ("00000000é", 8)] {
            assert_eq!(text.parse::<PublicId>(), Err(PublicIdError::UnexpectedCharacter { position }));
        }
    }

    proptest! {
        #[test]
        fn every_id_round_trips(value in 0..=Subject::MAX.get()) {
            prop_assert_eq!(id(value).to_string().parse(), Ok(id(value)));
        }
    }
}
