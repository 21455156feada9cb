//! Reading a saved state.

use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::PathBuf;

use portcullis_host::{SourceError, StateHeader};

use crate::error::{Flaw, StateError};
use crate::file::StateFile;
use crate::header;
use crate::record::{self, Kind, PREFIX, Preamble, SEALED_BYTES, Seals, check_preamble};

/// A state that is being read: first the header, then the parts, as an iterator.
pub(crate) struct Reader {
    source: Source,
    preamble: Preamble,
    seals: Seals,
    /// A buffer for a sealed record.
    sealed: Vec<u8>,
    /// Whether the end or an error was reached.
    over: bool,
}

impl Reader {
    /// `None` if there is no file.
    pub(crate) fn open(state: &StateFile) -> Result<Option<Self>, StateError> {
        let Some(mut source) = Source::open(state.path().to_owned())? else { return Ok(None) };
        let mut preamble: Preamble = [0; _];
        source.claim(preamble.len(), Flaw::NoState)?;
        source.fill(&mut preamble)?;
        check_preamble(&preamble).map_err(|flaw| source.unusable(flaw))?;
        let seals = state.seals(&preamble);
        Ok(Some(Reader { source, preamble, seals, sealed: Vec::new(), over: false }))
    }

    pub(crate) fn id(&self) -> [u8; 16] {
        record::id(&self.preamble)
    }

    pub(crate) fn header(&mut self) -> Result<StateHeader, StateError> {
        let header = match self.record()? {
            (Kind::Header, content) => header::decode(&content),
            _ => None,
        };
        header.ok_or_else(|| self.source.unusable(Flaw::Changed { record: 0 }))
    }

    /// The next part; `None` at the end.
    pub(crate) fn part(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        let record = self.seals.count();
        let end = self.seals.end();
        match self.record()? {
            (Kind::Part, content) => Ok(Some(content)),
            (Kind::End, content) if content == end => match self.source.left {
                0 => Ok(None),
                _ => Err(self.source.unusable(Flaw::Longer)),
            },
            _ => Err(self.source.unusable(Flaw::Changed { record })),
        }
    }

    fn record(&mut self) -> Result<(Kind, Vec<u8>), StateError> {
        let record = self.seals.count();
        let mut prefix = [0; PREFIX];
        self.source.claim(PREFIX, Flaw::CutOff { record })?;
        self.source.fill(&mut prefix)?;
        let [kind, length @ ..] = prefix;
        let length = u32::from_le_bytes(length);
        let changed = || self.source.unusable(Flaw::Changed { record });
        let kind = Kind::from_byte(kind).ok_or_else(changed)?;
        let length = usize::try_from(length).ok().filter(|&length| length <= SEALED_BYTES);
        let length = length.ok_or_else(changed)?;
        // Before the buffer grows, in case the length is wrong.
        self.source.claim(length, Flaw::CutOff { record })?;
        self.sealed.resize(length, 0);
        self.source.fill(&mut self.sealed)?;
        match self.seals.open(kind, &self.sealed) {
            Ok(content) => Ok((kind, content)),
            Err(_) => Err(self.source.unusable(Flaw::Changed { record })),
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Vec<u8>, SourceError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let part = self.part();
        self.over = !matches!(part, Ok(Some(_)));
        part.map_err(SourceError::from).transpose()
    }
}

/// An opened file. It stays readable when another one replaces it.
struct Source {
    path: PathBuf,
    file: BufReader<File>,
    /// The number of bytes that were not claimed yet.
    left: u64,
}

impl Source {
    fn open(path: PathBuf) -> Result<Option<Self>, StateError> {
        match File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file))) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StateError::disk(READ, &path)(error)),
            Ok((left, file)) => Ok(Some(Source { path, file: BufReader::new(file), left })),
        }
    }

    /// Counts the next bytes as read. Fails with `flaw` if the file has fewer.
    fn claim(&mut self, bytes: usize, flaw: Flaw) -> Result<(), StateError> {
        self.left = self.left.checked_sub(bytes as u64).ok_or_else(|| self.unusable(flaw))?;
        Ok(())
    }

    /// Reads bytes that were claimed.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), StateError> {
        self.file.read_exact(bytes).map_err(StateError::disk(READ, &self.path))
    }

    fn unusable(&self, flaw: Flaw) -> StateError {
        StateError::Unusable { path: self.path.clone(), flaw }
    }
}

/// The action in errors of the disk.
const READ: &str = "read the saved state";
