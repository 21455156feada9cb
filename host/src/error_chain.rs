//! Formatting of an error with its sources.

use std::error::Error;
use std::fmt;

/// Displays an error and its sources on one line, separated by colons.
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
