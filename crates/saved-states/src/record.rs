//! The beginning of a file, and the seals of its records.

use portcullis_host::PART_BYTES;
use portcullis_keys::{Scope, Seal, SealError, TenantId, TenantKeys};

use crate::error::Flaw;

/// The version of the format.
pub(crate) const VERSION: u8 = 1;
const MAGIC: &[u8; 16] = b"portcullis state";
const ID: usize = 16;

/// The most bytes of a record's content: those of the longest part.
pub(crate) const CONTENT_BYTES: usize = *PART_BYTES.end() as usize;
/// The most bytes of a sealed content.
pub(crate) const SEALED_BYTES: usize = CONTENT_BYTES + Seal::OVERHEAD;

/// The beginning of a file.
pub(crate) type Preamble = [u8; MAGIC.len() + 1 + ID];

/// The beginning of a new file.
pub(crate) fn new_preamble() -> Result<Preamble, SealError> {
    let mut preamble: Preamble = [VERSION; _];
    preamble[..MAGIC.len()].copy_from_slice(MAGIC);
    getrandom::fill(&mut preamble[MAGIC.len() + 1..]).map_err(SealError::NoRandomness)?;
    Ok(preamble)
}

/// The id of the file with this beginning.
pub(crate) fn id(preamble: &Preamble) -> [u8; ID] {
    let mut id = [0; ID];
    id.copy_from_slice(&preamble[MAGIC.len() + 1..]);
    id
}

/// Checks that a file with this beginning can be read.
pub(crate) fn check_preamble(preamble: &Preamble) -> Result<(), Flaw> {
    if !preamble.starts_with(MAGIC) {
        return Err(Flaw::NoState);
    }
    match preamble[MAGIC.len()] {
        VERSION => Ok(()),
        found => Err(Flaw::OtherVersion { found }),
    }
}

/// The kind of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Header = 1,
    Part = 2,
    End = 3,
}

impl Kind {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        [Kind::Header, Kind::Part, Kind::End].into_iter().find(|&kind| kind as u8 == byte)
    }
}

/// The length of a record's kind and length fields.
pub(crate) const PREFIX: usize = 1 + 4;

/// Seals or opens the records of one file, in order.
pub(crate) struct Seals {
    keys: TenantKeys,
    /// The authenticated context: that of all records in the first `fixed` bytes, then that of the next one.
    context: Vec<u8>,
    fixed: usize,
    /// The number of records so far.
    count: u64,
}

impl Seals {
    pub(crate) fn new(preamble: &Preamble, tenant: &TenantId, scope: &Scope, keys: &TenantKeys) -> Self {
        // No sender's name is empty, and no name contains a zero byte.
        let list = match scope {
            Scope::Tenant => "",
            Scope::Sender(sender) => sender.as_str(),
        };
        let context = [preamble, tenant.as_str().as_bytes(), b"\0", list.as_bytes(), b"\0"].concat();
        Seals { keys: keys.clone(), fixed: context.len(), context, count: 0 }
    }

    /// The number of records that were sealed or opened so far.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The content of an end record at this place: the number of parts, which are all records except the header.
    pub(crate) fn end(&self) -> [u8; 8] {
        self.count.saturating_sub(1).to_le_bytes()
    }

    pub(crate) fn seal(&mut self, kind: Kind, content: &[u8]) -> Result<Vec<u8>, SealError> {
        self.bind(kind);
        let sealed = self.keys.state_seal().seal(&self.context, content)?;
        self.count += 1;
        Ok(sealed)
    }

    pub(crate) fn open(&mut self, kind: Kind, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.bind(kind);
        let content = self.keys.state_seal().open(&self.context, sealed)?;
        self.count += 1;
        Ok(content)
    }

    fn bind(&mut self, kind: Kind) {
        self.context.truncate(self.fixed);
        self.context.extend(self.count.to_le_bytes());
        self.context.push(kind as u8);
    }
}
