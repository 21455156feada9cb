//! Where a database is.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, TargetSessionAttrs};

use crate::connected;
use crate::upgrade::FORMAT;

/// The port that a URL need not name.
const DEFAULT_PORT: u16 = 5432;

/// The location of a ledger in PostgreSQL, such as `postgres://portcullis@db1,db2:5432/portcullis?sslmode=verify-full`.
///
/// Of several hosts, the first that accepts writes is used. With `sslmode=verify-full`, the server's certificate must be valid for
/// its host name; without TLS, use `sslmode=disable`, as for a server on a Unix socket. Other modes encrypt without knowing to whom,
/// and are refused. The password may also come from `PGPASSWORD`.
///
/// `Display` and `Debug` don't show the password.
#[derive(Clone)]
pub struct PostgresUrl {
    /// Each host by itself, with what it is called in errors. At least one.
    hosts: Vec<(String, Config)>,
}

/// Why text is not a [`PostgresUrl`]. Does not repeat the text, which may contain a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresUrlError {
    /// It does not begin with `postgres://` or `postgresql://`.
    #[error(
        "write the database's URL as in postgres://portcullis@db1,db2:5432/portcullis?sslmode=verify-full"
    )]
    Scheme,
    /// The mode of TLS is not one that is supported.
    #[error("the database's URL must have sslmode=verify-full, or sslmode=disable for no TLS")]
    SslMode,
    /// Another part of it can't be read.
    #[error("the database's URL can't be read: {0}")]
    Syntax(String),
    /// It names no database.
    #[error("the database's URL names no database: write it as in postgres://user@host/portcullis")]
    NoDatabase,
}

impl PostgresUrl {
    /// The hosts, in the order in which they are tried.
    pub(crate) fn hosts(&self) -> &[(String, Config)] {
        &self.hosts
    }
}

/// Reads a URL without its mode of TLS, and sets what is the same for all.
fn config(text: &str, mode: SslMode) -> Result<Config, PostgresUrlError> {
    // Its errors name the option, and not its value.
    let mut config: Config =
        text.parse().map_err(|error: tokio_postgres::Error| PostgresUrlError::Syntax(error.to_string()))?;
    if config.get_dbname().is_none() {
        return Err(PostgresUrlError::NoDatabase);
    }
    if config.get_password().is_none()
        && let Ok(password) = std::env::var("PGPASSWORD")
    {
        config.password(password);
    }
    config
        .ssl_mode(mode)
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .application_name(connected::name_of(FORMAT))
        .keepalives_idle(Duration::from_secs(10))
        .tcp_user_timeout(Duration::from_secs(5));
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(2));
    }
    Ok(config)
}

/// The URL of each of the hosts that a URL has before its path. One if they can't be told apart, as some are named elsewhere.
fn each_host(text: &str, count: usize) -> Vec<String> {
    let whole = || vec![text.to_owned()];
    let Some((scheme, rest)) = text.split_once("://") else { return whole() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (user, hosts) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
    let each: Vec<String> = hosts.split(',').map(|host| format!("{scheme}://{user}{host}{path}")).collect();
    if each.len() == count { each } else { whole() }
}

/// What the hosts of a configuration are called.
fn shown(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts = config.get_hosts().iter().enumerate().map(|(index, host)| {
        let host = match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        };
        // One port may be for all.
        match ports.get(index).or(ports.first()) {
            Some(port) if *port != DEFAULT_PORT => format!("{host}:{port}"),
            _ => host,
        }
    });
    hosts.collect::<Vec<String>>().join(",")
}

impl FromStr for PostgresUrl {
    type Err = PostgresUrlError;

    fn from_str(text: &str) -> Result<Self, PostgresUrlError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(PostgresUrlError::Scheme);
        }
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let mut mode = None;
        let mut rest = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            match option.split_once('=') {
                Some(("sslmode", given)) => mode = Some(given),
                _ => rest.push(option),
            }
        }
        let mode = match mode {
            Some("disable") => SslMode::Disable,
            // The client that is used always compares the certificate with the name.
            Some("verify-full") => SslMode::Require,
            _ => return Err(PostgresUrlError::SslMode),
        };
        let text = if rest.is_empty() { base.to_owned() } else { format!("{base}?{}", rest.join("&")) };
        let whole = config(&text, mode)?;
        let hosts = each_host(&text, whole.get_hosts().len())
            .iter()
            .map(|text| config(text, mode).map(|config| (shown(&config), config)))
            .collect::<Result<_, _>>()?;
        Ok(PostgresUrl { hosts })
    }
}

impl fmt::Display for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(|(host, _)| &**host).collect::<Vec<&str>>().join(",");
        let database = self.hosts.first().and_then(|(_, config)| config.get_dbname());
        write!(f, "postgres://{hosts}/{}", database.unwrap_or_default())
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<PostgresUrl>().expect_err("must be refused").to_string()
    }

    #[test]
    fn hosts_and_the_database_are_shown_without_the_password() {
        let url: PostgresUrl = "postgres://me:secret@db1,db2:5433/lists?sslmode=verify-full".parse().unwrap();
        assert_eq!(url.to_string(), "postgres://db1,db2:5433/lists");
        assert!(!format!("{url:?}").contains("secret"));
        let hosts: Vec<&str> = url.hosts().iter().map(|(host, _)| &**host).collect();
        assert_eq!(hosts, ["db1", "db2:5433"]);
        for (_, config) in url.hosts() {
            assert_eq!(config.get_ssl_mode(), SslMode::Require);
            assert_eq!((config.get_user(), config.get_password()), (Some("me"), Some(&b"secret"[..])));
            assert_eq!((config.get_hosts().len(), config.get_dbname()), (1, Some("lists")));
        }
    }

    #[test]
    fn tls_is_verified_or_left_out_on_purpose() {
        for query in ["", "?sslmode=require", "?sslmode=prefer", "?connect_timeout=3"] {
            assert!(refused(&format!("postgres://me@db/lists{query}")).contains("sslmode"), "{query}");
        }
        assert!("postgres://me@db/lists?connect_timeout=3&sslmode=disable".parse::<PostgresUrl>().is_ok());
    }

    #[test]
    fn what_is_no_url_is_refused_without_repeating_it() {
        for text in ["mysql://me:secret@db/lists", "postgres://me:secret@db:port/lists?sslmode=disable"] {
            assert!(!refused(text).contains("secret"), "{text}");
        }
        assert!(refused("postgres://me@db?sslmode=disable").contains("names no database"));
    }
}
