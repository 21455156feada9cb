//! What SQLite's complaints mean.

use rusqlite::{Error, ErrorCode};

use crate::error::LedgerError;

/// SQLite's messages name tables and columns, never values, and neither do rusqlite's for as long
/// as columns are read as what they are stored as.
impl From<Error> for LedgerError {
    fn from(error: Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => LedgerError::Full(error.into()),
            Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::ReadOnly) => {
                LedgerError::Io(error.into())
            }
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                LedgerError::Damaged { what: "file", source: Some(error.into()) }
            }
            _ => LedgerError::Storage(error.into()),
        }
    }
}

/// The same failure once more, for each of those whom a failed commit concerns.
pub(super) fn again(error: &Error) -> Error {
    match error {
        Error::SqliteFailure(code, message) => Error::SqliteFailure(*code, message.clone()),
        _ => Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
            Some(error.to_string()),
        ),
    }
}
