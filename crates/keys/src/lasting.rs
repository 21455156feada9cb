//! The keys of a ledger that do not change when its master key does.
//!
//! They protect from damage and mistakes, and open nothing that a tenant has: to change the sums, all rows would have to be read. In
//! a ledger whose master key was never rotated they are derived from that key. A rotation stores them under the new one.

use zeroize::Zeroizing;

use crate::ring::{Bytes, derive, expand};

/// The version of the text.
const VERSION: u8 = 1;
const SUMS: usize = 16;
const KEY: usize = 32;

/// Overwritten in memory when dropped.
#[derive(Clone)]
pub(crate) struct Lasting {
    /// When the master key was last rotated, in seconds since 1970.
    pub(crate) rotated: Option<u64>,
    /// Of the sums over stored rows.
    pub(crate) sums: Zeroizing<[u8; SUMS]>,
    /// Of what is stored about admitted plugins.
    pub(crate) admissions: Bytes,
    /// Of the digests of settings, which the gateways of a fleet compare.
    pub(crate) nodes: Bytes,
}

impl Lasting {
    /// The length of the text, in bytes.
    pub(crate) const LENGTH: usize = 1 + 8 + SUMS + 2 * KEY;

    /// Those of a ledger that was never under another master key.
    pub(crate) fn of(master: &Bytes) -> Self {
        Lasting {
            rotated: None,
            sums: expand(master, &[b"portcullis/1/sums of rows"]),
            admissions: derive(master, "admitted plugins"),
            nodes: derive(master, "settings of nodes"),
        }
    }

    pub(crate) fn write(&self, text: &mut Vec<u8>) {
        text.push(VERSION);
        text.extend(self.rotated.unwrap_or_default().to_be_bytes());
        text.extend(self.sums.as_slice());
        text.extend(self.admissions.as_slice());
        text.extend(self.nodes.as_slice());
    }

    /// `None` if it is of a later version.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let (&version, rest) = text.split_first()?;
        let (rotated, rest) = rest.split_first_chunk::<8>()?;
        let (sums, rest) = rest.split_first_chunk::<SUMS>()?;
        let (admissions, rest) = rest.split_first_chunk::<KEY>()?;
        let nodes: &[u8; KEY] = rest.try_into().ok()?;
        (version == VERSION).then(|| Lasting {
            rotated: Some(u64::from_be_bytes(*rotated)),
            sums: Zeroizing::new(*sums),
            admissions: Zeroizing::new(*admissions),
            nodes: Zeroizing::new(*nodes),
        })
    }
}
