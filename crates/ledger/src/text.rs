//! The free text of an entry, and how it is kept.

use std::fmt;

use portcullis_msisdn::Subject;

use crate::changes::Seq;
use crate::hold::HoldKind;
use crate::keys::{Seal, SealError};

/// Why someone was blocked, in the words of whoever blocked: at most 500 characters.
///
/// People write numbers and names there, so it is encrypted on disk and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason(String);

/// A number as a client wrote it: at most 64 characters. Encrypted on disk; `Debug` does not show
/// it.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayForm(String);

/// What a client calls the way in which a block came about: at most 64 characters. Encrypted on disk; `Debug` does not
/// show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(String);

/// A text with more characters than are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} has more than {limit} characters")]
pub struct TooLong {
    what: &'static str,
    /// How many are allowed.
    pub limit: usize,
}

macro_rules! text {
    ($name:ident, $limit:literal, $what:literal) => {
        impl $name {
            /// The most characters (Unicode scalar values).
            pub const MAX_LENGTH: usize = $limit;

            /// Checks the length.
            ///
            /// # Errors
            #[doc = concat!("Where there are more than ", $limit, " characters.")]
            pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
                let text = text.into();
                match text.chars().nth(Self::MAX_LENGTH) {
                    Some(_) => Err(TooLong { what: $what, limit: Self::MAX_LENGTH }),
                    None => Ok($name(text)),
                }
            }

            /// The text. For answers to those who may see it, never for logs.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

text!(Reason, 500, "reason");
text!(DisplayForm, 64, "display form");
text!(Label, 64, "source's name");

/// The row that a sealed text belongs to: part of what is authenticated, so that one row's text,
/// put into another, does not open.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) list: i64,
    pub(crate) subject: Subject,
    pub(crate) row: Row,
}

/// Which of the rows about a subject.
#[derive(Clone, Copy)]
pub(crate) enum Row {
    /// The entry's own, with its first hold.
    Entry,
    /// A further hold's.
    Hold(HoldKind),
    /// One of the trail.
    Record { sequence: Seq, step: u32 },
}

impl Place {
    fn bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(32);
        bytes.extend(self.list.to_be_bytes());
        bytes.extend(self.subject.get().to_be_bytes());
        match self.row {
            Row::Entry => {}
            Row::Hold(kind) => bytes.extend([b'h', kind.code().to_le_bytes()[0]]),
            Row::Record { sequence, step } => {
                bytes.push(b'r');
                bytes.extend(sequence.get().to_be_bytes());
                bytes.extend(step.to_be_bytes());
            }
        }
        bytes
    }
}

/// What is sealed of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Texts {
    pub(crate) reason: Option<Reason>,
    pub(crate) display: Option<DisplayForm>,
    pub(crate) label: Option<Label>,
}

/// The texts as one sealed block; `None` where there are none.
pub(crate) fn seal(
    seal: &Seal,
    place: Place,
    reason: Option<&Reason>,
    display: Option<&DisplayForm>,
    label: Option<&Label>,
) -> Result<Option<Vec<u8>>, SealError> {
    if reason.is_none() && display.is_none() && label.is_none() {
        return Ok(None);
    }
    let mut plain = Vec::new();
    push(&mut plain, reason.map(Reason::as_str));
    push(&mut plain, display.map(DisplayForm::as_str));
    if label.is_some() {
        push(&mut plain, label.map(Label::as_str));
    }
    seal.seal(&place.bytes(), &plain).map(Some)
}

/// The texts of a block that [`seal`] made for the same place.
pub(crate) fn open(seal: &Seal, place: Place, sealed: Option<&[u8]>) -> Result<Texts, SealError> {
    let Some(sealed) = sealed else { return Ok(Texts::default()) };
    let plain = seal.open(&place.bytes(), sealed)?;
    let mut rest = plain.as_slice();
    let reason = take(&mut rest).ok_or(SealError::Broken)?;
    let display = take(&mut rest).ok_or(SealError::Broken)?;
    // Blocks end before it where there is none.
    let label = if rest.is_empty() { None } else { take(&mut rest).ok_or(SealError::Broken)? };
    Ok(Texts { reason: reason.map(Reason), display: display.map(DisplayForm), label: label.map(Label) })
}

/// A text's length, plus one so that zero can stand for "none", in two little-endian bytes; then
/// the text. 500 characters have at most 2,000 bytes.
fn push(plain: &mut Vec<u8>, text: Option<&str>) {
    let text = text.map(str::as_bytes);
    let length = text.map_or(0, |text| text.len() + 1);
    plain.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    plain.extend_from_slice(text.unwrap_or_default());
}

#[expect(clippy::option_option, reason = "no text is not the same as a damaged one")]
fn take(rest: &mut &[u8]) -> Option<Option<String>> {
    let (length, after) = rest.split_first_chunk()?;
    *rest = after;
    let Some(length) = usize::from(u16::from_le_bytes(*length)).checked_sub(1) else {
        return Some(None);
    };
    let (text, after) = rest.split_at_checked(length)?;
    *rest = after;
    String::from_utf8(text.to_vec()).ok().map(Some)
}
