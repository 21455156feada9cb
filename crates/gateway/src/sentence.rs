//! Errors for people, on one line.

use std::error::Error;

/// An error with its causes, in one sentence.
pub(crate) fn of(error: &(dyn Error + 'static)) -> String {
    let mut sentence = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        sentence = format!("{sentence}: {error}");
        cause = error.source();
    }
    sentence
}
