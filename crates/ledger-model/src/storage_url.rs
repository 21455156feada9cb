//! Storage URLs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// The location of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageUrl {
    /// An SQLite file, written as `sqlite://` and its path: `sqlite:///var/lib/portcullis/ledger.db`, or
    /// `sqlite://ledger.db` relative to the working directory.
    Sqlite(PathBuf),
    /// A database of PostgreSQL, written as a URL that begins with `postgres://`. `portcullis-ledger-postgres` opens it.
    Postgres(DatabaseUrl),
}

/// The URL of a database, which may contain a password. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL, with the password. For connecting, never for logs.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatabaseUrl(…)")
    }
}

impl FromStr for StorageUrl {
    type Err = StorageUrlError;

    fn from_str(text: &str) -> Result<Self, StorageUrlError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(StorageUrlError::NoScheme);
        };
        match scheme {
            "sqlite" if rest.is_empty() => Err(StorageUrlError::NoPath),
            "sqlite" if rest.contains(['?', '#']) => Err(StorageUrlError::Options),
            "sqlite" => Ok(StorageUrl::Sqlite(rest.into())),
            "postgres" | "postgresql" => Ok(StorageUrl::Postgres(DatabaseUrl(text.to_owned()))),
            _ => Err(StorageUrlError::UnknownScheme),
        }
    }
}

/// Why text is not a [`StorageUrl`]. Does not repeat the text, which may contain a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageUrlError {
    /// It does not contain `://`.
    #[error("the storage must be a URL, such as sqlite:///var/lib/portcullis/ledger.db")]
    NoScheme,
    /// There is no path after `sqlite://`.
    #[error("the storage URL sqlite:// has no path: write it as in sqlite:///var/lib/portcullis/ledger.db")]
    NoPath,
    /// An SQLite path contains `?` or `#`.
    #[error("a storage URL sqlite://… takes no options: remove the '?' or '#'")]
    Options,
    /// The scheme is unknown.
    #[error("the scheme of the storage URL is unknown: use sqlite:// or postgres://")]
    UnknownScheme,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_urls_contain_a_path() {
        let parsed = |text: &str| text.parse::<StorageUrl>();
        assert_eq!(parsed("sqlite://a/b.db"), Ok(StorageUrl::Sqlite("a/b.db".into())));
        assert_eq!(parsed("sqlite:///a/b.db"), Ok(StorageUrl::Sqlite("/a/b.db".into())));
        assert_eq!(parsed("sqlite://"), Err(StorageUrlError::NoPath));
        assert_eq!(parsed("sqlite://a?mode=ro"), Err(StorageUrlError::Options));
    }

    #[test]
    fn a_database_s_password_is_not_shown() {
        let url: StorageUrl = "postgres://u:secret@h/db".parse().unwrap();
        assert!(!format!("{url:?}").contains("secret"));
        let StorageUrl::Postgres(url) = url else { panic!("it is a database's") };
        assert_eq!(url.as_str(), "postgres://u:secret@h/db");
    }

    #[test]
    fn other_storages_are_rejected() {
        let refused = |text: &str| text.parse::<StorageUrl>().expect_err("must be refused");
        assert_eq!(refused("ledger.db"), StorageUrlError::NoScheme);
        assert_eq!(refused("mysql://h/db"), StorageUrlError::UnknownScheme);
    }
}
