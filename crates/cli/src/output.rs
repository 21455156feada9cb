//! Where things are written: results to standard output, everything else to standard error.

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

/// Standard output, buffered. What is written there is nothing but results.
///
/// Must be [flushed](Write::flush) at the end: dropping it loses the error.
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

/// Tells an error of standard output from one of a file or of the connection to the gateway.
#[derive(Debug, thiserror::Error)]
#[error("writing to standard output: {0}")]
struct OutputError(io::Error);

fn marked(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), OutputError(error))
}

/// Whether the cause is that nobody reads standard output any more.
pub(super) fn reader_is_gone(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|cause| {
        cause.kind() == io::ErrorKind::BrokenPipe
            && cause.get_ref().is_some_and(|inner| inner.is::<OutputError>())
    })
}

/// A line on standard error. Where that is gone, too, there is nobody left to tell.
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
