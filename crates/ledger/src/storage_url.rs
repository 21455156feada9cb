//! Storage URLs.

use std::path::PathBuf;
use std::str::FromStr;

/// The location of a ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageUrl {
    /// An SQLite file, written as `sqlite://` and its path: `sqlite:///var/lib/portcullis/ledger.db`, or
    /// `sqlite://ledger.db` relative to the working directory.
    Sqlite(PathBuf),
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
            "postgres" | "postgresql" => Err(StorageUrlError::PostgresNotBuiltIn),
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
    /// The scheme is `postgres` or `postgresql`.
    #[error("storage in PostgreSQL is not built in: use sqlite://")]
    PostgresNotBuiltIn,
    /// The scheme is unknown.
    #[error("the scheme of the storage URL is unknown: use sqlite://")]
    UnknownScheme,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_urls_contain_a_path() {
        let path = |text: &str| text.parse().map(|StorageUrl::Sqlite(path)| path);
        assert_eq!(path("sqlite://a/b.db"), Ok("a/b.db".into()));
        assert_eq!(path("sqlite:///a/b.db"), Ok("/a/b.db".into()));
        assert_eq!(path("sqlite://"), Err(StorageUrlError::NoPath));
        assert_eq!(path("sqlite://a?mode=ro"), Err(StorageUrlError::Options));
    }

    #[test]
    fn other_storages_are_rejected() {
        let refused = |text: &str| text.parse::<StorageUrl>().expect_err("must be refused");
        assert_eq!(refused("ledger.db"), StorageUrlError::NoScheme);
        assert_eq!(refused("postgres://u:secret@h/db"), StorageUrlError::PostgresNotBuiltIn);
        assert!(!refused("postgres://u:secret@h/db").to_string().contains("secret"));
        assert_eq!(refused("mysql://h/db"), StorageUrlError::UnknownScheme);
    }
}
