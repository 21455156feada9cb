//! Versions of settings, by which a change can be made on the condition that nobody else has made one meanwhile.

use std::fmt;

use portcullis_engine::Identity;
use portcullis_ledger::Whom;
use portcullis_msisdn::Msisdn;
use sha2::{Digest as _, Sha256};

use super::Gateway;
use crate::settings::{SenderConfig, TenantConfig};

/// The version of a tenant's or sender's settings, secrets included: the same as long as these are, at all gateways that share the ledger.
/// Displayed as an entity tag (RFC 9110, section 8.8.3).
///
/// It is keyed by the tenant's key, because whoever reads settings must not be able to try out what a secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version([u8; 16]);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str("\"")
    }
}

/// Which version of settings may be changed: that of a request's `If-Match`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Any, and none.
    #[default]
    None,
    /// Any that there is: `If-Match: *`.
    Exists,
    /// One of these tags.
    OneOf(Vec<String>),
}

impl Precondition {
    /// Parses the value of `If-Match`. A weak tag matches no version.
    pub fn parse(value: &str) -> Self {
        match value.trim() {
            "*" => Precondition::Exists,
            tags => Precondition::OneOf(tags.split(',').map(|tag| tag.trim().to_owned()).collect()),
        }
    }

    /// Whether settings of this version may be changed; `None` if there are no settings.
    pub fn allows(&self, version: Option<Version>) -> bool {
        match self {
            Precondition::None => true,
            Precondition::Exists => version.is_some(),
            Precondition::OneOf(tags) => version.is_some_and(|version| tags.contains(&version.to_string())),
        }
    }
}

impl Gateway {
    /// The version of a tenant's settings. `None` if the tenant is not served here.
    pub fn version_of(&self, config: &TenantConfig) -> Option<Version> {
        self.version(config, &serde_json::to_vec(&config.to_typed()).ok()?)
    }

    /// The version of the settings of one of the tenant's senders.
    pub fn version_of_sender(&self, config: &TenantConfig, sender: &SenderConfig) -> Option<Version> {
        self.version(config, &serde_json::to_vec(&sender.to_typed()).ok()?)
    }

    fn version(&self, config: &TenantConfig, settings: &[u8]) -> Option<Version> {
        let list = self.engine.tenant_list(config.id.as_str()).ok()?;
        let mut hash = Sha256::new_with_prefix(b"portcullis settings\0");
        // The subjects of some numbers are known to those only who have the tenant's key: 150 bits of them are a key.
        for number in KEYED {
            let number = Msisdn::try_from(number).ok()?;
            let Whom::Subject(subject) = list.whom(&Identity::Number(number)) else { return None };
            hash.update(subject.get().to_be_bytes());
        }
        // At the front and at the end, as in an envelope, so that nobody can continue the text.
        let mut outer = hash.clone();
        hash.update(settings);
        outer.update(hash.finalize());
        let digest = outer.finalize();
        Some(Version(std::array::from_fn(|byte| digest[byte])))
    }
}

/// The numbers whose subjects are the key. Nothing is stored or asked about them.
const KEYED: [u64; 3] = [883_510_000_000_001, 883_510_000_000_002, 883_510_000_000_003];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_matches_its_own_tag_only() {
        let version = Version([0xab; 16]);
        let tag = version.to_string();
        assert_eq!(tag, format!("\"{}\"", "ab".repeat(16)));
        assert!(Precondition::default().allows(None) && Precondition::default().allows(Some(version)));
        assert!(Precondition::parse("*").allows(Some(version)) && !Precondition::parse(" * ").allows(None));
        for (value, allows) in [
            (tag.clone(), true),
            (format!("\"other\", {tag}"), true),
            (format!("W/{tag}"), false),
            ("ab".repeat(16), false),
            (String::new(), false),
        ] {
            assert_eq!(Precondition::parse(&value).allows(Some(version)), allows, "{value}");
        }
        assert!(!Precondition::parse(&tag).allows(None));
    }

    #[test]
    fn numbers_that_key_versions_are_numbers() {
        assert!(KEYED.into_iter().all(|number| Msisdn::try_from(number).is_ok()));
    }
}
