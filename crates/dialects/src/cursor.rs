//! Paging cursors of Meta's and Kaleyra's lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_ledger::{PublicId, Seq};
use serde::Deserialize;

/// A position in a list.
///
/// The next page continues from an entry, not from an offset, so that changes of the list neither skip nor repeat entries that
/// remain in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Number of entries before the position.
    pub(super) offset: u64,
    /// The version of the list.
    pub(super) version: Seq,
    /// The entry at the position.
    pub(super) at: PublicId,
}

/// The fields of Meta's own cursors, and the entry.
#[derive(Deserialize)]
struct Written {
    offset: u64,
    #[serde(rename = "versionId")]
    version: String,
    at: String,
}

impl Cursor {
    /// Encodes the cursor as base64url-encoded JSON.
    pub(super) fn encode(&self) -> String {
        // Numbers and an id alone: nothing in them needs escaping.
        let Cursor { offset, version, at } = self;
        let text = format!(r#"{{"offset":{offset},"versionId":"{}","at":"{at}"}}"#, version.get());
        URL_SAFE_NO_PAD.encode(text)
    }

    /// Decodes a cursor; `None` if it is invalid.
    pub(super) fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text.trim_end_matches('=')).ok()?;
        let written: Written = serde_json::from_slice(&bytes).ok()?;
        Some(Cursor {
            offset: written.offset,
            version: Seq::new(written.version.parse().ok()?),
            at: written.at.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_was_written() {
        let cursor =
            Cursor { offset: 25, version: Seq::new(1_737_679_688), at: "8h2kq0m5zr".parse().unwrap() };
        let text = cursor.encode();
        assert!(text.starts_with("eyJv"), "as Meta's do: {text}");
        assert_eq!(Cursor::decode(&text), Some(cursor));
        for other in ["", "x", "eyJv", "bnVsbA", "e30", &text[1..]] {
            assert_eq!(Cursor::decode(other), None, "{other}");
        }
    }
}
