//! The URL of the ledger: `storage.url` and `storage.password`.

use std::path::Path;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use portcullis_engine::PostgresUrl;
use portcullis_ledger::StorageUrl;

use super::file::Storage;

/// The URL, with the password in it. `folder` is the one that paths are relative to.
///
/// # Errors
/// The setting that is wrong, and what is wrong with it. Shows neither the URL nor the password.
pub(super) fn url(typed: &Storage, folder: &Path) -> Result<StorageUrl, (&'static str, String)> {
    let url = typed.url.parse::<StorageUrl>().map_err(|error| ("url", error.to_string()))?;
    let text = match (url, &typed.password) {
        (StorageUrl::Sqlite(_), Some(_)) => {
            return Err((
                "password",
                "SQLite has no passwords; remove it, or set storage.url to a postgres:// URL".to_owned(),
            ));
        }
        (StorageUrl::Sqlite(file), None) => return Ok(StorageUrl::Sqlite(folder.join(file))),
        (_, None) => typed.url.clone(),
        (_, Some(password)) => with_password(&typed.url, &password.0)?,
    };
    text.parse::<PostgresUrl>().map_err(|error| ("url", error.to_string()))?;
    text.parse().map_err(|error: portcullis_ledger::StorageUrlError| ("url", error.to_string()))
}

fn with_password(url: &str, password: &str) -> Result<String, (&'static str, String)> {
    let start = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[start..].find(['/', '?']).map_or(url.len(), |length| start + length);
    let (scheme, authority, rest) = (&url[..start], &url[start..end], &url[end..]);
    let problem = |what: &str| Err(("password", what.to_owned()));
    match authority.rsplit_once('@') {
        _ if password.is_empty() => problem("empty; write the password, or leave it out"),
        None | Some(("", _)) => problem(
            "whose it is is not said: write the user into storage.url, as in postgres://USER@HOST/DATABASE",
        ),
        Some((user, _)) if user.contains(':') => {
            problem("storage.url has a password, too; remove one of the two")
        }
        Some((user, hosts)) => {
            let password = utf8_percent_encode(password, NON_ALPHANUMERIC);
            Ok(format!("{scheme}{user}:{password}@{hosts}{rest}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_api::settings::Secret;

    use super::*;

    fn of(url: &str, password: Option<&str>) -> Result<StorageUrl, (&'static str, String)> {
        let password = password.map(|password| Secret(password.to_owned()));
        super::url(
            &Storage { url: url.to_owned(), password, master_key_file: None, master_key_command: None },
            Path::new("/etc"),
        )
    }

    #[test]
    fn a_password_becomes_a_part_of_the_url() {
        let StorageUrl::Postgres(url) =
            of("postgres://u@h1,h2:5433/d?sslmode=disable", Some("a@b/c:ö")).unwrap()
        else {
            panic!("a database")
        };
        assert_eq!(url.as_str(), "postgres://u:a%40b%2Fc%3A%C3%B6@h1,h2:5433/d?sslmode=disable");
    }

    #[test]
    fn a_password_that_is_nobody_s_or_too_many_is_told() {
        for (url, password, setting, what) in [
            ("sqlite://p.db", "pw", "password", "SQLite"),
            ("postgres://h/d?sslmode=disable", "pw", "password", "whose"),
            ("postgres://u:x@h/d?sslmode=disable", "pw", "password", "remove one"),
            ("postgres://u@h/d?sslmode=disable", "", "password", "empty"),
            ("postgres://u@h/d", "pw", "url", "sslmode"),
        ] {
            let (found, message) = of(url, Some(password)).unwrap_err();
            assert_eq!(found, setting);
            assert!(message.contains(what) && !message.contains("pw"), "{message}");
        }
    }
}
