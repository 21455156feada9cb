//! Output: results go to standard output, everything else to standard error.

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Buffered standard output, for results only.
///
/// [Flush](Write::flush) it at the end: dropping it discards write errors.
pub(super) struct Results(BufWriter<StdoutLock<'static>>);

impl Results {
    pub(super) fn open() -> Self {
        Results(BufWriter::new(io::stdout().lock()))
    }
}

impl Write for Results {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(marked)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(marked)
    }
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
    _ = writeln!(io::stderr().lock(), "{line}");
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
