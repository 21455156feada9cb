//! Writing a saved state, beside the one that it replaces.

use std::io::{BufWriter, Write as _};
use std::path::Path;

use portcullis_host::{SourceError, StateHeader, StateWriter};
use tempfile::NamedTempFile;

use crate::error::StateError;
use crate::file::StateFile;
use crate::record::{CONTENT_BYTES, Kind, Seals, new_preamble};
use crate::{UNFINISHED, folder_of, header, make_folder, sync_folder_of};

/// A state that is being written.
pub(crate) struct Writer<'a> {
    path: &'a Path,
    /// `None` after an error, when the file's content is unknown.
    unfinished: Option<Unfinished>,
}

/// An unfinished file. Dropping this removes it.
struct Unfinished {
    file: BufWriter<NamedTempFile>,
    seals: Seals,
}

impl<'a> Writer<'a> {
    pub(crate) fn begin(state: &'a StateFile, header: &StateHeader) -> Result<Self, StateError> {
        let path = state.path();
        let folder = folder_of(path);
        make_folder(folder_of(folder))?;
        make_folder(folder)?;
        let preamble = new_preamble().map_err(StateError::seal(path))?;
        // Its mode is 0600.
        let file = tempfile::Builder::new().suffix(&format!(".{UNFINISHED}")).tempfile_in(folder);
        let mut file = BufWriter::new(file.map_err(StateError::disk(WRITE, path))?);
        file.write_all(&preamble).map_err(StateError::disk(WRITE, path))?;
        let mut unfinished = Unfinished { file, seals: state.seals(&preamble) };
        unfinished.record(path, Kind::Header, &header::encode(header))?;
        Ok(Writer { path, unfinished: Some(unfinished) })
    }

    fn take(&mut self) -> Result<Unfinished, StateError> {
        self.unfinished.take().ok_or_else(|| StateError::GivenUp { path: self.path.to_owned() })
    }
}

/// The action in errors of the disk.
const WRITE: &str = "write the saved state";

impl Unfinished {
    fn record(&mut self, path: &Path, kind: Kind, content: &[u8]) -> Result<(), StateError> {
        let too_long = || StateError::TooLong { path: path.to_owned(), found: content.len() };
        if content.len() > CONTENT_BYTES {
            return Err(too_long());
        }
        let sealed = self.seals.seal(kind, content).map_err(StateError::seal(path))?;
        let length = u32::try_from(sealed.len()).map_err(|_| too_long())?;
        self.file
            .write_all(&[kind as u8])
            .and_then(|()| self.file.write_all(&length.to_le_bytes()))
            .and_then(|()| self.file.write_all(&sealed))
            .map_err(StateError::disk(WRITE, path))
    }

    /// Replaces the earlier file, once all of this one is on disk.
    fn finish(mut self, path: &Path) -> Result<(), StateError> {
        let end = self.seals.end();
        self.record(path, Kind::End, &end)?;
        let file = self.file.into_inner().map_err(|error| error.into_error());
        file.and_then(|file| {
            file.as_file().sync_all()?;
            file.persist(path).map_err(|error| error.error)?;
            sync_folder_of(path)
        })
        .map_err(StateError::disk(WRITE, path))
    }
}

impl StateWriter for Writer<'_> {
    fn part(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let mut unfinished = self.take()?;
        unfinished.record(self.path, Kind::Part, bytes)?;
        self.unfinished = Some(unfinished);
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<(), SourceError> {
        Ok(self.take()?.finish(self.path)?)
    }
}
