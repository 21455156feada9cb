//! The saved state of one list.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use portcullis_host::{SourceError, StateHeader, StateParts, StateStore, StateWriter};
use portcullis_keys::{Scope, TenantId, TenantKeys};

use crate::error::StateError;
use crate::reader::Reader;
use crate::record::{Preamble, Seals};
use crate::writer::Writer;

/// The saved state of one list, in a file sealed under the tenant's key.
///
/// Writing costs one pass of encryption and a flush of the disk, reading one pass of decryption. Both hold about two parts in
/// memory.
pub struct StateFile {
    path: PathBuf,
    tenant: TenantId,
    scope: Scope,
    keys: TenantKeys,
}

impl StateFile {
    pub(crate) fn new(path: PathBuf, tenant: &TenantId, scope: &Scope, keys: &TenantKeys) -> Self {
        StateFile { path, tenant: tenant.clone(), scope: scope.clone(), keys: keys.clone() }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The seals of the records of a file with this beginning.
    pub(crate) fn seals(&self, preamble: &Preamble) -> Seals {
        Seals::new(preamble, &self.tenant, &self.scope, &self.keys)
    }

    /// The random id of the file; `None` if there is none.
    ///
    /// # Errors
    /// If there is a file that can't be read, or that is not a state of this version.
    pub fn id(&self) -> Result<Option<[u8; 16]>, StateError> {
        Ok(Reader::open(self)?.map(|reader| reader.id()))
    }

    /// Reads the state, if its file has this id.
    ///
    /// # Errors
    /// If there is a file that can't be read, or that is not a whole state of this list.
    pub fn read_known(&self, id: [u8; 16]) -> Result<Option<(StateHeader, StateParts)>, StateError> {
        Reader::open(self)?.filter(|reader| reader.id() == id).map(whole).transpose()
    }

    /// Whether the state has changes that the ledger lacks, which is then an older copy. The ledger's list is at `sequence`, and
    /// `known` is the id of the state that the ledger knows. Not so if there is no state, or it can't be used.
    pub fn is_ahead_of(&self, sequence: u64, known: Option<[u8; 16]>) -> bool {
        let Ok(Some(mut reader)) = Reader::open(self) else { return false };
        let id = reader.id();
        let Ok(header) = reader.header() else { return false };
        // A state is saved after its changes.
        header.sequence > sequence || (self.mark().exists() && known != Some(id))
    }

    /// Remembers that the state is [ahead](Self::is_ahead_of): the list may be written meanwhile, and reach the state's number with
    /// other changes.
    ///
    /// # Errors
    /// If the mark can't be created beside the state.
    pub fn mark_ahead(&self) -> Result<(), StateError> {
        let mark = self.mark();
        let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&mark);
        made.and_then(|_| crate::sync_folder_of(&mark)).map_err(StateError::disk("create the mark", &mark))
    }

    fn mark(&self) -> PathBuf {
        self.path.with_extension("ahead")
    }

    /// Reads all of the state, if its file has this id.
    ///
    /// # Errors
    /// If there is a file that can't be read, or that is not a whole state of this list.
    pub fn check(&self, id: [u8; 16]) -> Result<(), StateError> {
        let Some(mut reader) = Reader::open(self)?.filter(|reader| reader.id() == id) else { return Ok(()) };
        reader.header()?;
        while reader.part()?.is_some() {}
        Ok(())
    }

    fn remove(&self) -> Result<(), StateError> {
        match std::fs::remove_file(&self.path).and_then(|()| crate::sync_folder_of(&self.path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(StateError::disk("remove the saved state", &self.path)),
        }
    }
}

/// Does not check the ledger: a state of another history of the list is read, too.
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
