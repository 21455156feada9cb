//! The saved state of one list.

use std::io;
use std::path::{Path, PathBuf};

use portcullis_host::{SourceError, StateHeader, StateParts, StateStore, StateWriter};
use portcullis_ledger::{Scope, TenantId, TenantKeys};

use super::error::StateError;
use super::reader::Reader;
use super::record::{Preamble, Seals};
use super::writer::Writer;

/// The saved state of one list, in a file sealed under the tenant's key.
///
/// Writing costs one pass of encryption and a flush of the disk, reading one pass of decryption. Both hold about two parts in
/// memory.
pub(crate) struct StateFile {
    path: PathBuf,
    tenant: TenantId,
    scope: Scope,
    keys: TenantKeys,
}

impl StateFile {
    pub(super) fn new(path: PathBuf, tenant: &TenantId, scope: &Scope, keys: &TenantKeys) -> Self {
        StateFile { path, tenant: tenant.clone(), scope: scope.clone(), keys: keys.clone() }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The seals of the records of a file with this beginning.
    pub(super) fn seals(&self, preamble: &Preamble) -> Seals {
        Seals::new(preamble, &self.tenant, &self.scope, &self.keys)
    }

    /// The random id of the file; `None` if there is none.
    pub(crate) fn id(&self) -> Result<Option<[u8; 16]>, StateError> {
        Ok(Reader::open(self)?.map(|reader| reader.id()))
    }

    /// Reads the state, if its file has this id.
    pub(crate) fn read_known(&self, id: [u8; 16]) -> Result<Option<(StateHeader, StateParts)>, StateError> {
        Reader::open(self)?.filter(|reader| reader.id() == id).map(whole).transpose()
    }

    /// The sequence number of the state; `None` if there is none, or it can't be used.
    pub(crate) fn sequence(&self) -> Option<u64> {
        Some(Reader::open(self).ok()??.header().ok()?.sequence)
    }

    /// Reads all of the state, if its file has this id.
    pub(crate) fn check(&self, id: [u8; 16]) -> Result<(), StateError> {
        let Some(mut reader) = Reader::open(self)?.filter(|reader| reader.id() == id) else { return Ok(()) };
        reader.header()?;
        while reader.part()?.is_some() {}
        Ok(())
    }

    fn remove(&self) -> Result<(), StateError> {
        match std::fs::remove_file(&self.path).and_then(|()| super::sync_folder_of(&self.path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(StateError::disk("remove the saved state", &self.path)),
        }
    }
}

/// Does not check the ledger: [`VerifiedState`](crate::live::VerifiedState) does.
impl StateStore for StateFile {
    fn write(&self, header: &StateHeader) -> Result<Box<dyn StateWriter + '_>, SourceError> {
        Ok(Box::new(Writer::begin(self, header)?))
    }

    fn read(&self) -> Result<Option<(StateHeader, StateParts)>, SourceError> {
        Ok(Reader::open(self)?.map(whole).transpose()?)
    }

    fn discard(&self) -> Result<(), SourceError> {
        Ok(self.remove()?)
    }
}

/// The header, and an iterator over the parts.
fn whole(mut reader: Reader) -> Result<(StateHeader, StateParts), StateError> {
    Ok((reader.header()?, Box::new(reader)))
}
