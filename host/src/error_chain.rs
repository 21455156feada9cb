//! Formatting of an error with its sources.

use std::error::Error;
use std::fmt::{self, Write as _};

use crate::foreign_text::Escaped;

/// The most bytes of a chain that are displayed.
const CHAIN_BYTES: usize = 4096;

/// Displays an error and its sources on one line, separated by colons.
///
/// Errors quote names and texts of others. So control characters and those that change the direction of text are
/// escaped, as by [`ForeignText`](crate::ForeignText), and what is beyond 4 KiB is left out.
///
/// ```
/// use portcullis_host::{Engine, ErrorChain, Limits, Plugin};
///
/// let engine = Engine::new()?;
/// let error = Plugin::load(&engine, b"noise", Limits::default()).unwrap_err();
/// println!("{}", ErrorChain(&error));
/// # Ok::<(), portcullis_host::EngineError>(())
/// ```
#[derive(Clone, Copy)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut f = Escaped::new(f, CHAIN_BYTES);
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

impl fmt::Debug for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the file {0} can't be read")]
    struct Unreadable(&'static str, #[source] std::io::Error);

    #[test]
    fn names_and_texts_of_others_are_escaped_and_bounded() {
        let error = Unreadable("a\n\u{202e}.wasm", std::io::Error::other("x".repeat(1 << 20)));
        let shown = ErrorChain(&error).to_string();
        assert!(shown.starts_with(r"the file a\n\u{202e}.wasm can't be read: xxx"), "{shown}");
        assert!(shown.ends_with("x…") && shown.len() < 5000, "{}", shown.len());
    }
}
