//! Where a ledger is kept.

use std::path::PathBuf;
use std::str::FromStr;

/// Where a ledger is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StorageUrl {
    /// An SQLite file, written `sqlite://` and its path: `sqlite:///var/lib/portcullis/ledger.db`,
    /// or `sqlite://ledger.db` for one relative to the working folder.
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

/// Why a text is no [`StorageUrl`]. The text is not repeated: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageUrlError {
    /// No `://`.
    #[error("the storage must be written as a URL, such as sqlite:///var/lib/portcullis/ledger.db")]
    NoScheme,
    /// Nothing after `sqlite://`.
    #[error("the storage sqlite:// lacks a path, as in sqlite:///var/lib/portcullis/ledger.db")]
    NoPath,
    /// A `?` or `#` in an SQLite path.
    #[error("a storage sqlite://… takes no options: remove the '?' or '#'")]
    Options,
    /// `postgres://` or `postgresql://`.
    #[error("storage in PostgreSQL is not built in: use sqlite://")]
    PostgresNotBuiltIn,
    /// Another scheme.
    #[error("the storage's scheme is unknown: use sqlite://")]
    UnknownScheme,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sqlite_urls_name_a_path() {
        let path = |text: &str| text.parse().map(|StorageUrl::Sqlite(path)| path);
        assert_eq!(path("sqlite://a/b.db"), Ok("a/b.db".into()));
        assert_eq!(path("sqlite:///a/b.db"), Ok("/a/b.db".into()));
        assert_eq!(path("sqlite://"), Err(StorageUrlError::NoPath));
        assert_eq!(path("sqlite://a?mode=ro"), Err(StorageUrlError::Options));
    }

    #[test]
    fn other_storages_are_refused() {
        let refused = |text: &str| text.parse::<StorageUrl>().expect_err("must be refused");
        assert_eq!(refused("ledger.db"), StorageUrlError::NoScheme);
        assert_eq!(refused("postgres://u:secret@h/db"), StorageUrlError::PostgresNotBuiltIn);
        assert!(!refused("postgres://u:secret@h/db").to_string().contains("secret"));
        assert_eq!(refused("mysql://h/db"), StorageUrlError::UnknownScheme);
    }
}
