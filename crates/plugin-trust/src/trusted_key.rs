//! Trusted keys.

use std::fmt;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use minisign_verify::PublicKey;

use crate::key_id::KeyId;

/// The most bytes of a name.
const NAME_BYTES: usize = 64;

/// A public key whose signatures are trusted.
#[derive(Clone, PartialEq, Eq)]
pub struct TrustedKey {
    name: String,
    text: String,
    pub(crate) key: PublicKey,
    id: KeyId,
    not_after: Option<NotAfter>,
}

/// The last day or moment at which a key admits plugins.
#[derive(Clone, PartialEq, Eq)]
struct NotAfter {
    /// As it was written.
    text: String,
    /// From this moment on it admits nothing new.
    end: Timestamp,
}

/// An error of parsing a trusted key. None repeats the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustedKeyError {
    /// The name can't be shown.
    #[error(
        "the key's name must be 1 to {NAME_BYTES} printable characters; name its owner, such as acme-release"
    )]
    Name,
    /// It is not a public key.
    #[error(
        "not a public key of minisign; write the second line of the .pub file, which begins with RW and has 56 characters"
    )]
    Key,
    /// It is a secret key. It must not get into a gateway.
    #[error(
        "this is a SECRET key, which belongs to nobody but the signer: write the second line of the .pub file, and make a new pair, \
         as this one may have been seen"
    )]
    Secret,
    /// The time can't be read.
    #[error(
        "not a date or a time; write it like \"2027-01-31\", the last day in UTC, or \"2027-01-31T12:00:00Z\""
    )]
    NotAfter,
}

impl TrustedKey {
    /// Parses a public key in minisign's format: the second line of a `.pub` file.
    ///
    /// `not_after` is the last day (in UTC) on which it admits what was not admitted before, or the last moment.
    ///
    /// # Errors
    /// If one of them can't be read.
    pub fn parse(name: &str, key: &str, not_after: Option<&str>) -> Result<Self, TrustedKeyError> {
        let is_shown = (1..=NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control);
        if !is_shown {
            return Err(TrustedKeyError::Name);
        }
        let text = key.trim();
        let parsed = PublicKey::from_base64(text).map_err(|_| match text.len() {
            // A secret key has 158 bytes and also begins with the algorithm.
            100.. => TrustedKeyError::Secret,
            _ => TrustedKeyError::Key,
        })?;
        let id = KeyId::of_base64(text).ok_or(TrustedKeyError::Key)?;
        let not_after = not_after.map(NotAfter::parse).transpose()?;
        Ok(TrustedKey { name: name.to_owned(), text: text.to_owned(), key: parsed, id, not_after })
    }

    /// Its name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The public key, as it was parsed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The id of the key pair.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// The last day or moment at which it admits plugins, as it was parsed; `None` if there is none.
    pub fn not_after(&self) -> Option<&str> {
        self.not_after.as_ref().map(|not_after| not_after.text.as_str())
    }

    /// Whether it admits what was first admitted at this time.
    pub(crate) fn is_in_force(&self, at: Timestamp) -> bool {
        self.not_after.as_ref().is_none_or(|not_after| at < not_after.end)
    }
}

impl NotAfter {
    fn parse(text: &str) -> Result<Self, TrustedKeyError> {
        let text = text.trim();
        let end = match text.parse::<Date>() {
            // It holds until the day is over.
            Ok(day) if text.len() == "2027-01-31".len() => {
                let next = day.tomorrow().map_err(|_| TrustedKeyError::NotAfter)?;
                next.to_zoned(TimeZone::UTC).map_err(|_| TrustedKeyError::NotAfter)?.timestamp()
            }
            _ => text.parse().map_err(|_| TrustedKeyError::NotAfter)?,
        };
        Ok(NotAfter { text: text.to_owned(), end })
    }
}

/// Writes the name and the id, such as `acme-release (52A1B2C3D4E5F607)`.
impl fmt::Display for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.id)
    }
}

impl fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)?;
        self.not_after().map_or(Ok(()), |not_after| write!(f, " until {not_after}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn a_key_admits_until_its_last_day_in_utc_is_over() {
        let key = TrustedKey::parse("acme", KEY, Some("2027-01-31")).unwrap();
        assert_eq!(key.to_string(), "acme (E7620F1842B4E81F)");
        assert!(key.is_in_force("2027-01-31T23:59:59Z".parse().unwrap()));
        assert!(!key.is_in_force("2027-02-01T00:00:00Z".parse().unwrap()));
        let key = TrustedKey::parse("acme", KEY, Some("2027-01-31T12:00:00+02:00")).unwrap();
        assert!(key.is_in_force("2027-01-31T09:59:59Z".parse().unwrap()));
        assert!(!key.is_in_force("2027-01-31T10:00:00Z".parse().unwrap()));
        let key = TrustedKey::parse("acme", KEY, None).unwrap();
        assert!(key.is_in_force(Timestamp::MAX));
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let parse = |name, key, not_after| TrustedKey::parse(name, key, not_after).unwrap_err();
        assert_eq!(parse("", KEY, None), TrustedKeyError::Name);
        assert_eq!(parse("a\nb", KEY, None), TrustedKeyError::Name);
        assert_eq!(parse("acme", &KEY[..40], None), TrustedKeyError::Key);
        assert_eq!(parse("acme", "untrusted comment: minisign public key", None), TrustedKeyError::Key);
        let secret = minisign::KeyPair::generate_unencrypted_keypair().unwrap().sk.to_box(None).unwrap();
        let secret = secret.to_string();
        assert_eq!(parse("acme", secret.lines().nth(1).unwrap(), None), TrustedKeyError::Secret);
        for text in ["", "soon", "2027-13-01", "2027-01-31T12:00:00"] {
            assert_eq!(parse("acme", KEY, Some(text)), TrustedKeyError::NotAfter, "{text}");
        }
    }
}
