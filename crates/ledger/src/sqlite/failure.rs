//! Mapping of SQLite errors.

use rusqlite::{Error, ErrorCode};

use crate::error::{Cause, LedgerError};

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
        // Its text alone: its source says the same again.
        let cause = Cause::from(error.to_string());
        match code {
            Some(ErrorCode::DiskFull) => LedgerError::Full(cause),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                LedgerError::Io(cause)
            }
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
        LedgerError::Full(_) | LedgerError::Io(_) => true,
        LedgerError::Storage(cause) => cause.downcast_ref::<Error>().is_some_and(|error| {
            let code = error.sqlite_error_code();
            matches!(code, Some(ErrorCode::OutOfMemory | ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
        }),
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
