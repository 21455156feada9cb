//! What goes wrong with a database, and what it means for a call.

use portcullis_ledger::LedgerError;
use tokio_postgres::error::SqlState;

use crate::upgrade::TOO_OLD;

/// Why a call of the database failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The ledger's rules, or what is stored.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The database, or the way to it.
    #[error(transparent)]
    Database(#[from] tokio_postgres::Error),
    /// No host has a server that accepts writes: what is wrong with each.
    #[error("{0}")]
    NoServer(Box<str>),
    /// The database did not answer in time, or no connection was free in time.
    #[error("the database did not answer in time")]
    Deadline,
    /// The commit waited for a standby, and the wait was cancelled: it may be lost with the primary.
    #[error("the commit's wait for a synchronous standby was cancelled")]
    NotReplicated,
    /// The database, or the way to it, failed a statement of several calls.
    #[error("{0}")]
    Shared(Box<str>),
    /// Another node wrote to the list first.
    #[error("another node wrote first")]
    Conflict,
}

/// Whether a failed call may have been committed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It was not.
    NotStored,
    /// Nobody knows.
    Unknown,
}

impl Failure {
    /// Whether the connection must not be used again.
    pub(crate) fn breaks_connection(&self) -> bool {
        match self {
            Failure::Database(error) => {
                error.is_closed()
                    || error.as_db_error().is_none_or(|reported| !says_nothing_of_connection(reported.code()))
            }
            Failure::NoServer(_) | Failure::Deadline | Failure::NotReplicated | Failure::Shared(_) => true,
            Failure::Ledger(_) | Failure::Conflict => false,
        }
    }

    /// Whether the same call may succeed at once, on the same or another connection. Nothing of it was stored. A lock that was not had in
    /// time is among these: the server takes it from a node that froze at about the same time.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Failure::Conflict => true,
            Failure::Database(error) => error.code().is_some_and(|code| {
                [
                    SqlState::T_R_SERIALIZATION_FAILURE,
                    SqlState::T_R_DEADLOCK_DETECTED,
                    SqlState::UNIQUE_VIOLATION,
                    SqlState::LOCK_NOT_AVAILABLE,
                    // A pooler has put another connection in the place of this one.
                    SqlState::INVALID_SQL_STATEMENT_NAME,
                ]
                .contains(code)
            }),
            _ => false,
        }
    }

    /// Whether the server allows no more connections. Those that are open are not concerned.
    pub(crate) fn is_of_many_connections(&self) -> bool {
        let Failure::Database(error) = self else { return false };
        error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
    }

    /// Whether the server does not allow to write.
    pub(crate) fn is_of_reader(&self) -> bool {
        matches!(self, Failure::Database(error) if error.as_db_error().is_some_and(refuses_writes))
    }

    /// Whether a server said it.
    pub(crate) fn is_reported(&self) -> bool {
        matches!(self, Failure::Database(error) if error.as_db_error().is_some())
    }

    /// The failure with its cause, and without what it may quote of a row.
    pub(crate) fn described(&self) -> String {
        match self {
            Failure::Database(error) => described(error).to_string(),
            failure => failure.to_string(),
        }
    }

    /// What is known about a statement that commits.
    pub(crate) fn fate(&self) -> Fate {
        match self {
            Failure::Database(error) => match error.as_db_error() {
                // The server's own statement that it rolled back.
                Some(reported) if !is_of_server(reported) || refuses_writes(reported) => Fate::NotStored,
                _ => Fate::Unknown,
            },
            Failure::Deadline | Failure::NotReplicated | Failure::Shared(_) => Fate::Unknown,
            Failure::Ledger(_) | Failure::NoServer(_) | Failure::Conflict => Fate::NotStored,
        }
    }

    /// The same for another call that shared the statement, of which nothing more is known.
    pub(crate) fn again(&self) -> Failure {
        match self {
            Failure::Deadline => Failure::Deadline,
            Failure::NotReplicated => Failure::NotReplicated,
            Failure::Conflict => Failure::Conflict,
            Failure::Database(error) => Failure::Shared(described(error).to_string().into()),
            Failure::NoServer(told) => Failure::NoServer(told.clone()),
            Failure::Ledger(_) | Failure::Shared(_) => Failure::Shared(self.to_string().into()),
        }
    }

    /// The error of reading a long list or history.
    pub(crate) fn into_error_of_long_read(self) -> LedgerError {
        match self {
            Failure::Database(error) if error.code() == Some(&SqlState::QUERY_CANCELED) => {
                LedgerError::TookTooLong
            }
            failure => failure.into_ledger_error(),
        }
    }

    /// The error of a call of which nothing was stored.
    pub(crate) fn into_ledger_error(self) -> LedgerError {
        match self {
            Failure::Ledger(error) => error,
            Failure::NoServer(_) | Failure::Deadline | Failure::Shared(_) | Failure::Conflict => {
                LedgerError::Unavailable(Box::new(self))
            }
            Failure::NotReplicated => LedgerError::OutcomeUnknown,
            Failure::Database(error) => match error.code() {
                Some(&SqlState::DISK_FULL) => LedgerError::Full(described(&error)),
                Some(&SqlState::IO_ERROR) => LedgerError::Io(described(&error)),
                Some(&SqlState::DATA_CORRUPTED | &SqlState::INDEX_CORRUPTED) => {
                    LedgerError::Damaged { what: "database", source: Some(described(&error)) }
                }
                Some(&SqlState::FOREIGN_KEY_VIOLATION) => LedgerError::TenantForgotten,
                Some(&SqlState::CHECK_VIOLATION) if is_too_old(&error) => LedgerError::TooOld,
                Some(code) if is_unavailable(code) || passes(code) => {
                    LedgerError::Unavailable(described(&error))
                }
                Some(_) => LedgerError::Storage(described(&error)),
                None => LedgerError::Unavailable(described(&error)),
            },
        }
    }
}

/// Whether the server says that it goes away, or that it is no longer the primary: another connection may find one that serves.
fn is_of_server(error: &tokio_postgres::error::DbError) -> bool {
    is_unavailable(error.code())
}

/// Whether the server refused the statement, as it only reads.
fn refuses_writes(error: &tokio_postgres::error::DbError) -> bool {
    error.code() == &SqlState::READ_ONLY_SQL_TRANSACTION
}

/// Whether it is an error of the statement or its data. Others may be of the connection, such as statements that it no longer knows.
fn says_nothing_of_connection(code: &SqlState) -> bool {
    const CLASSES: [&str; 3] = ["22", "23", "40"];
    CLASSES.iter().any(|class| code.code().starts_with(class))
        || [SqlState::LOCK_NOT_AVAILABLE, SqlState::QUERY_CANCELED, SqlState::DISK_FULL].contains(code)
}

fn is_unavailable(code: &SqlState) -> bool {
    code.code().starts_with("08")
        || [
            SqlState::ADMIN_SHUTDOWN,
            SqlState::CRASH_SHUTDOWN,
            SqlState::CANNOT_CONNECT_NOW,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::TOO_MANY_CONNECTIONS,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
        ]
        .contains(code)
}

/// Whether the server is in order, and the same call may succeed in a while.
fn passes(code: &SqlState) -> bool {
    [
        SqlState::T_R_SERIALIZATION_FAILURE,
        SqlState::T_R_DEADLOCK_DETECTED,
        SqlState::LOCK_NOT_AVAILABLE,
        SqlState::QUERY_CANCELED,
        SqlState::OUT_OF_MEMORY,
        SqlState::CONFIGURATION_LIMIT_EXCEEDED,
        SqlState::INSUFFICIENT_RESOURCES,
    ]
    .contains(code)
}

/// Whether a commit failed because the upgrade to a newer format is finished.
fn is_too_old(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|reported| reported.constraint() == Some(TOO_OLD))
}

/// An error of the database without what it may quote of a row: the detail of a violated constraint names values.
fn described(error: &tokio_postgres::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error.as_db_error() {
        Some(reported) => format!("{} ({})", reported.message(), reported.code().code()).into(),
        // The text alone does not say why.
        None => {
            let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
            let text = format!("{error}{}", cause.unwrap_or_default());
            let advice = ADVICE.iter().find(|(sign, _)| text.contains(sign)).map(|(_, advice)| *advice);
            format!("{text}{}", advice.unwrap_or_default()).into()
        }
    }
}

/// What to do about what a connection fails of, by what its error says.
const ADVICE: [(&str, &str); 2] = [
    ("password missing", " (set PGPASSWORD, or write it in the URL)"),
    (
        "peer certificate",
        " (name the file of the authority that signed the server's certificate in SSL_CERT_FILE)",
    ),
];
