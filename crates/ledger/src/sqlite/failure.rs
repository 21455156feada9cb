//! Mapping of SQLite errors.

use std::fmt;

use rusqlite::{Error, ErrorCode};

use crate::error::{Cause, LedgerError};

/// An SQLite error. Not rusqlite's own, whose source says the same again.
#[derive(Debug)]
struct Failure {
    code: Option<ErrorCode>,
    text: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failure {}

/// SQLite's messages contain names of tables and columns but no values. Nor do rusqlite's, as long as columns are read
/// as the types that they are stored as.
impl From<Error> for LedgerError {
    fn from(error: Error) -> Self {
        if let Error::InvalidColumnType(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::FromSqlConversionFailure(..)
        | Error::Utf8Error(..) = error
        {
            // No row is written like this. The error may contain the value.
            return LedgerError::damaged("row");
        }
        let code = error.sqlite_error_code();
        let cause = Cause::from(Failure { code, text: error.to_string() });
        match code {
            Some(ErrorCode::DiskFull) => LedgerError::Full(cause),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                LedgerError::Io(cause)
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => LedgerError::Locked(cause),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                LedgerError::Damaged { what: "file", source: Some(cause) }
            }
            // By the handler of a long read.
            Some(ErrorCode::OperationInterrupted) => LedgerError::TookTooLong,
            _ => LedgerError::Storage(cause),
        }
    }
}

/// Whether the error says nothing about the contents of the file, such as a lack of descriptors or memory.
pub(super) fn is_of_the_moment(error: &LedgerError) -> bool {
    match error {
        LedgerError::Full(_) | LedgerError::Io(_) | LedgerError::Locked(_) => true,
        LedgerError::Storage(cause) => cause
            .downcast_ref::<Failure>()
            .is_some_and(|failure| failure.code == Some(ErrorCode::OutOfMemory)),
        _ => false,
    }
}

/// Copies the error, so that it can be returned to each caller of a failed commit.
pub(super) fn again(error: &Error) -> Error {
    match error {
        Error::SqliteFailure(code, message) => Error::SqliteFailure(*code, message.clone()),
        _ => Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(error.to_string()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(code: i32) -> LedgerError {
        Error::SqliteFailure(rusqlite::ffi::Error::new(code), None).into()
    }

    #[test]
    fn a_lack_of_memory_or_a_lock_says_nothing_about_the_file() {
        for code in [rusqlite::ffi::SQLITE_NOMEM, rusqlite::ffi::SQLITE_BUSY, rusqlite::ffi::SQLITE_FULL] {
            assert!(is_of_the_moment(&error(code)), "{code}");
        }
        for code in [rusqlite::ffi::SQLITE_CORRUPT, rusqlite::ffi::SQLITE_NOTADB, rusqlite::ffi::SQLITE_ERROR]
        {
            assert!(!is_of_the_moment(&error(code)), "{code}");
        }
    }

    #[test]
    fn a_lock_that_is_held_is_told_from_other_errors() {
        for code in [rusqlite::ffi::SQLITE_BUSY, rusqlite::ffi::SQLITE_LOCKED] {
            assert!(matches!(error(code), LedgerError::Locked(_)), "{code}");
        }
        assert!(matches!(error(rusqlite::ffi::SQLITE_ERROR), LedgerError::Storage(_)));
    }

    #[test]
    fn an_error_and_its_cause_do_not_say_the_same() {
        let error = error(rusqlite::ffi::SQLITE_BUSY);
        let cause = std::error::Error::source(&error).unwrap();
        assert_ne!(cause.to_string(), error.to_string());
        assert!(cause.source().is_none());
    }
}
