//! Entry points for `fuzz/`, which can't reach what is private here. They are not part of this crate's interface.

use std::path::Path;

use portcullis_host::{StateHeader, StateStore as _};
use portcullis_keys::{Scope, TenantId, TenantKeys};

use crate::record::{Kind, new_preamble};
use crate::{StateFile, header};

/// A file with a saved state.
pub struct File(StateFile);

impl File {
    /// The file at `path`, of the tenant-wide list.
    pub fn new(path: &Path, tenant: &TenantId, keys: &TenantKeys) -> Self {
        File(StateFile::new(path.to_owned(), tenant, &Scope::Tenant, keys))
    }

    /// The bytes of a file with records of these kinds and contents, each sealed as is due in its place.
    pub fn sealed(&self, records: &[(u8, &[u8])]) -> Option<Vec<u8>> {
        let preamble = new_preamble().ok()?;
        let mut seals = self.0.seals(&preamble);
        let mut bytes = preamble.to_vec();
        for (kind, content) in records {
            let sealed = seals.seal(Kind::from_byte(*kind)?, content).ok()?;
            bytes.push(*kind);
            bytes.extend(u32::try_from(sealed.len()).ok()?.to_le_bytes());
            bytes.extend(sealed);
        }
        Some(bytes)
    }

    /// What the file says: its header, and its parts if all of it can be read.
    pub fn read(&self) -> Option<(StateHeader, Vec<Vec<u8>>)> {
        let (header, parts) = self.0.read().ok()??;
        let parts = parts.collect::<Result<_, _>>().ok()?;
        Some((header, parts))
    }
}

/// The content of a header record, as it is written again.
pub fn header(content: &[u8]) -> Option<Vec<u8>> {
    header::decode(content).map(|header| header::encode(&header))
}
