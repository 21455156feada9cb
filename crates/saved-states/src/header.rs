//! The content of a header record. Numbers are little-endian, and the format's name comes last.

use portcullis_host::{Format, Keyspace, StateHeader};

const HASHED: u8 = 0;
const CLEAR: u8 = 1;

pub(crate) fn encode(header: &StateHeader) -> Vec<u8> {
    let keyspace = match header.keyspace {
        Keyspace::Hashed => HASHED,
        Keyspace::Clear => CLEAR,
    };
    let mut bytes = vec![keyspace];
    bytes.extend(header.sequence.to_le_bytes());
    bytes.extend(header.entries.to_le_bytes());
    bytes.extend(header.format.version.to_le_bytes());
    bytes.extend(header.format.name.as_bytes());
    bytes
}

/// `None` if [`encode`] did not write this.
pub(crate) fn decode(bytes: &[u8]) -> Option<StateHeader> {
    let (&keyspace, bytes) = bytes.split_first()?;
    let keyspace = match keyspace {
        HASHED => Keyspace::Hashed,
        CLEAR => Keyspace::Clear,
        _ => return None,
    };
    let (&sequence, bytes) = bytes.split_first_chunk()?;
    let (&entries, bytes) = bytes.split_first_chunk()?;
    let (&version, name) = bytes.split_first_chunk()?;
    Some(StateHeader {
        format: Format { name: str::from_utf8(name).ok()?.to_owned(), version: u32::from_le_bytes(version) },
        keyspace,
        sequence: u64::from_le_bytes(sequence),
        entries: u64::from_le_bytes(entries),
    })
}
