//! The saved state of one list.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
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

    /// Whether the state has changes that the ledger lacks, which is then an older copy. The ledger's list is at `sequence`, and
    /// `known` is the id of the state that the ledger knows. Not so if there is no state, or it can't be used.
    pub(crate) fn is_ahead_of(&self, sequence: u64, known: Option<[u8; 16]>) -> bool {
        let Ok(Some(mut reader)) = Reader::open(self) else { return false };
        let id = reader.id();
        let Ok(header) = reader.header() else { return false };
        // A state is saved after its changes.
        header.sequence > sequence || (self.mark().exists() && known != Some(id))
    }

    /// Remembers that the state is [ahead](Self::is_ahead_of): the list may be written meanwhile, and reach the state's number with
    /// other changes.
    pub(crate) fn mark_ahead(&self) -> Result<(), StateError> {
        let mark = self.mark();
        let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&mark);
        made.and_then(|_| super::sync_folder_of(&mark)).map_err(StateError::disk("create the mark", &mark))
    }

    fn mark(&self) -> PathBuf {
        self.path.with_extension("ahead")
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
