//! The settings of one tenant, and their format in the ledger.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::chosen::Chosen;
use crate::plugin_ref::PluginRef;

/// The settings of one tenant.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) choice: Option<Choice>,
    /// Versions and options of rules plugins that were chosen over those in the spec.
    pub(crate) rules: Vec<Choice>,
    pub(crate) host: Option<Box<RawValue>>,
    /// The text that they were read from, or stored as, by which the ledger notices that others changed them; `None` if they are not
    /// stored.
    pub(crate) stored: Option<Vec<u8>>,
}

/// A plugin that a reload chose over the one in the tenant's spec. It is dropped when the spec names another plugin.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Choice {
    pub(crate) chosen: PluginRef,
    pub(crate) over: PluginRef,
    /// Of several engines that share the ledger: the version that all have, if `chosen` names none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<String>,
}

impl Choice {
    /// What was chosen, if that was over this plugin.
    pub(crate) fn over(&self, configured: &PluginRef) -> Option<Chosen> {
        let chosen = || Chosen { plugin: self.chosen.clone(), at: self.at.clone() };
        (self.over == *configured).then(chosen)
    }
}

/// [`Settings`] as stored.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    format: Format,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    choice: Option<Choice>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Choice>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    host: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
enum Format {
    #[serde(rename = "portcullis/2")]
    Two,
}

impl Settings {
    pub(crate) fn parse(stored: &[u8]) -> Result<Self, serde_json::Error> {
        let error = match serde_json::from_slice::<Stored>(stored) {
            Ok(Stored { format: Format::Two, choice, rules, host }) => {
                return Ok(Settings { choice, rules, host, stored: None });
            }
            Err(error) => error,
        };
        // The first format stored either of the two, without a name.
        if let Ok(choice) = serde_json::from_slice::<Choice>(stored) {
            return Ok(Settings { choice: Some(choice), ..Settings::default() });
        }
        let host: Box<RawValue> = serde_json::from_slice(stored)?;
        if host.get().contains("\"portcullis/") {
            // A newer format.
            return Err(error);
        }
        Ok(Settings { host: Some(host), ..Settings::default() })
    }

    /// As stored.
    pub(crate) fn text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let Settings { choice, rules, host, .. } = self.clone();
        serde_json::to_vec(&Stored { format: Format::Two, choice, rules, host })
    }

    /// Whether nothing is set.
    pub(crate) fn is_empty(&self) -> bool {
        self.choice.is_none() && self.rules.is_empty() && self.host.is_none()
    }

    /// Whether the same is set.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let host = |settings: &Self| settings.host.as_ref().map(|host| host.get().to_owned());
        self.choice == other.choice && self.rules == other.rules && host(self) == host(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_without_a_format_are_read() {
        let exact = r#"{"plugin":"exact","version":null,"options":{}}"#;
        let choice = Settings::parse(format!(r#"{{"chosen":{exact},"over":{exact}}}"#).as_bytes()).unwrap();
        assert!(choice.choice.is_some() && choice.host.is_none());
        let host = Settings::parse(br#"{"id":"acme","plugin":"exact"}"#).unwrap();
        assert!(host.choice.is_none());
        assert_eq!(host.host.unwrap().get(), r#"{"id":"acme","plugin":"exact"}"#);
    }

    #[test]
    fn a_newer_format_is_an_error() {
        assert!(Settings::parse(br#"{"format":"portcullis/3","more":1}"#).is_err());
        assert!(Settings::parse(b"not JSON").is_err());
    }
}
