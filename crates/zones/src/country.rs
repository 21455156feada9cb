//! Countries.

use std::fmt;

/// A country or territory, by its two letters of ISO 3166-1. Kosovo is XK, which is not assigned.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// The country of two letters, in either case. `None` if the text is not two ASCII letters. They need not be assigned.
    pub const fn from_letters(text: &str) -> Option<Self> {
        match *text.as_bytes() {
            [first, second] if first.is_ascii_alphabetic() && second.is_ascii_alphabetic() => {
                Some(Country([first.to_ascii_uppercase(), second.to_ascii_uppercase()]))
            }
            _ => None,
        }
    }

    /// The letters, the first in the upper byte: the US are 0x5553.
    pub const fn code(self) -> u16 {
        u16::from_be_bytes(self.0)
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&letter| write!(f, "{}", char::from(letter)))
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
