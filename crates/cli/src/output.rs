//! Output: results go to standard output, everything else to standard error.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use serde::Serialize;

use super::Exit;
use super::foreign_text::page;

/// Buffered standard output, for results only.
///
/// Results contain text of others. On a terminal, what it would obey is escaped; files and other programs get exactly what
/// was written. [Flush](Write::flush) it at the end: dropping it discards write errors.
pub(super) struct Results {
    out: BufWriter<StdoutLock<'static>>,
    is_terminal: bool,
}

impl Results {
    pub(super) fn open() -> Self {
        let out = io::stdout().lock();
        let is_terminal = out.is_terminal();
        Results { out: BufWriter::new(out), is_terminal }
    }
}

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.is_terminal {
            return self.out.write(bytes).map_err(marked);
        }
        // Each piece is text by itself: pieces end where strings do.
        self.out.write_all(page(&String::from_utf8_lossy(bytes)).as_bytes()).map_err(marked)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush().map_err(marked)
    }
}

/// Prints an answer: as JSON, or for people as `show` does it.
pub(super) fn print(
    as_json: bool,
    answer: &impl Serialize,
    show: impl FnOnce(&mut Results) -> io::Result<()>,
) -> anyhow::Result<Exit> {
    let mut results = Results::open();
    match as_json {
        true => writeln!(results, "{}", serde_json::to_string_pretty(answer)?)?,
        false => show(&mut results)?,
    }
    results.flush()?;
    Ok(Exit::Good)
}

/// Marks an error as one of standard output, as opposed to a file or the connection to the gateway.
#[derive(Debug, thiserror::Error)]
#[error("writing to standard output: {0}")]
struct OutputError(io::Error);

fn marked(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), OutputError(error))
}

/// Whether the error was caused by a closed pipe on standard output.
pub(super) fn reader_is_gone(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| {
        cause.kind() == io::ErrorKind::BrokenPipe
            && cause.get_ref().is_some_and(|inner| inner.is::<OutputError>())
    })
}

/// Prints a line to standard error. Errors are ignored: they could not be reported anywhere.
pub(super) fn note(line: impl fmt::Display) {
    _ = writeln!(io::stderr().lock(), "{}", page(&line.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_left_is_told_from_a_gateway_that_left() {
        let pipe = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(reader_is_gone(&anyhow::Error::new(marked(pipe())).context("listing")));
        assert!(!reader_is_gone(&anyhow::Error::new(pipe())));
        assert!(!reader_is_gone(&anyhow::Error::new(marked(io::ErrorKind::StorageFull.into()))));
    }
}
