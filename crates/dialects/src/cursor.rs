//! Cursors of Meta's and Kaleyra's lists.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis_ledger::{PublicId, Seq};
use serde::Deserialize;

/// A place in a list: how many entries were before it, in which version of the list, and the entry itself. The entry is what a
/// page goes on from, so that a change of the list neither skips nor repeats any that stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub(super) offset: u64,
    pub(super) version: Seq,
    pub(super) at: PublicId,
}

/// As Meta's own cursors look, and the entry in addition.
#[derive(Deserialize)]
struct Written {
    offset: u64,
    #[serde(rename = "versionId")]
    version: String,
    at: String,
}

impl Cursor {
    pub(super) fn encode(&self) -> String {
        // Numbers and an id alone: nothing in them needs escaping.
        let Cursor { offset, version, at } = self;
        let text = format!(r#"{{"offset":{offset},"versionId":"{}","at":"{at}"}}"#, version.get());
        URL_SAFE_NO_PAD.encode(text)
    }

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
