//! The free text of an entry, and its encryption.

use std::fmt;

use portcullis_keys::{Seal, SealError};
use portcullis_msisdn::Subject;

use crate::changes::Seq;
use crate::hold::HoldKind;

/// The reason for a block, in the author's words: at most 500 characters.
///
/// It may contain names and numbers, so it is encrypted on disk, and `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Reason(String);

/// A number as a client wrote it: at most 64 characters. Encrypted on disk; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct DisplayForm(String);

/// A client's own name for the source of a block: at most 64 characters. Encrypted on disk; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Label(String);

/// The text has too many characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {what} has more than {limit} characters")]
pub struct TooLong {
    what: &'static str,
    /// The maximum number of characters.
    pub limit: usize,
}

macro_rules! text {
    ($name:ident, $limit:literal, $what:literal) => {
        impl $name {
            /// The maximum length in characters (Unicode scalar values).
            pub const MAX_LENGTH: usize = $limit;

            /// Checks the length.
            ///
            /// # Errors
            #[doc = concat!("If the text has more than ", $limit, " characters.")]
            pub fn new(text: impl Into<String>) -> Result<Self, TooLong> {
                let text = text.into();
                match text.chars().nth(Self::MAX_LENGTH) {
                    Some(_) => Err(TooLong { what: $what, limit: Self::MAX_LENGTH }),
                    None => Ok($name(text)),
                }
            }

            /// The text. For responses to authorized callers, never for logs.
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

/// The row that encrypted text belongs to. It is authenticated, so text moved to another row can't be decrypted.
#[derive(Clone, Copy, Debug)]
pub struct RowContext {
    /// The id of the list's row.
    pub list: i64,
    /// The entry's subject.
    pub subject: Subject,
    /// Which of the subject's rows it is.
    pub row: Row,
}

/// Identifies one of the rows of a subject.
#[derive(Clone, Copy, Debug)]
pub enum Row {
    /// The entry's own row, with its first hold.
    Entry,
    /// The row of a further hold.
    Hold(HoldKind),
    /// A row of the audit trail.
    Record {
        /// The record's sequence number.
        sequence: Seq,
        /// Its index among those that share the number.
        step: u32,
    },
}

impl RowContext {
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

/// The encrypted texts of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    /// The reason.
    pub reason: Option<Reason>,
    /// The number as it was written.
    pub display: Option<DisplayForm>,
    /// The client's own name for the source.
    pub label: Option<Label>,
}

/// Encrypts the texts as one block. Returns `None` if there are none.
///
/// # Errors
/// [`SealError`], if the operating system gives no random bytes.
pub fn seal(
    seal: &Seal,
    context: RowContext,
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
    seal.seal(&context.bytes(), &plain).map(Some)
}

/// Decrypts a block that [`seal`] created with the same context; `None` is no texts.
///
/// # Errors
/// [`SealError`], if the block was changed, or belongs to another row or tenant.
pub fn open(seal: &Seal, context: RowContext, sealed: Option<&[u8]>) -> Result<Texts, SealError> {
    let Some(sealed) = sealed else { return Ok(Texts::default()) };
    let plain = seal.open(&context.bytes(), sealed)?;
    let mut rest = plain.as_slice();
    let reason = take(&mut rest).ok_or(SealError::Broken)?;
    let display = take(&mut rest).ok_or(SealError::Broken)?;
    // The label is omitted from the block if there is none.
    let label = if rest.is_empty() { None } else { take(&mut rest).ok_or(SealError::Broken)? };
    Ok(Texts { reason: reason.map(Reason), display: display.map(DisplayForm), label: label.map(Label) })
}

/// Appends a text's length plus one (zero means none) as two little-endian bytes, then the text. 500 characters are at
/// most 2,000 bytes.
fn push(plain: &mut Vec<u8>, text: Option<&str>) {
    let text = text.map(str::as_bytes);
    let length = text.map_or(0, |text| text.len() + 1);
    plain.extend(u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes());
    plain.extend_from_slice(text.unwrap_or_default());
}

#[expect(clippy::option_option, reason = "an absent text differs from a damaged one")]
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
