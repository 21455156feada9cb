//! The configuration as it is typed: in the file, and as the body of an administrator's request.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) server: Server,
    pub(crate) storage: Storage,
    #[serde(default)]
    pub(crate) plugins: Plugins,
    #[serde(default)]
    pub(crate) tenants: Vec<Tenant>,
}

/// `[server]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub(crate) listen: String,
    pub(crate) admin_token: Option<Secret>,
    pub(crate) max_body_bytes: Option<u64>,
    #[serde(default)]
    pub(crate) log_format: LogFormat,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For machines: an object a line.
    Json,
}

/// `[storage]`
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    pub(crate) url: String,
    pub(crate) master_key_file: Option<String>,
}

/// `[plugins]`
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Plugins {
    pub(crate) dir: Option<String>,
    /// For how long the plugin before is kept ready after an exchange.
    pub(crate) watch_seconds: Option<u64>,
}

/// A customer account.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenant {
    /// Its name: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'. In a request it may be left out, as the path has it.
    #[serde(default)]
    pub(crate) id: String,
    /// The plugin that keeps its blacklists.
    #[serde(default = "exact")]
    pub(crate) plugin: String,
    /// The one version of it to stay with: `sha256:` and the digits of the component's digest, or at least the first 8 of
    /// them. Left out for the newest, and for each newer one as it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plugin_version: Option<String>,
    /// What a check answers while the plugin fails.
    #[serde(default)]
    pub(crate) on_failure: OnFailure,
    /// Handed to the plugin as JSON.
    #[serde(default)]
    pub(crate) plugin_options: serde_json::Map<String, serde_json::Value>,
    /// Whether the plugin may see numbers in clear, if it asks for them.
    #[serde(default)]
    pub(crate) clear_numbers: bool,
    /// The bearer tokens of its clients: as they are, or as `sha256:` and the 64 hexadecimal digits of the digest.
    #[serde(default)]
    pub(crate) tokens: Vec<Secret>,
    /// Its account SID, where its clients speak Kaleyra's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sid: Option<String>,
    /// Where national numbers are read as of: two letters of ISO 3166-1. Without it all numbers are international.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_region: Option<String>,
    /// What its plugins may take in memory together, in bytes.
    #[serde(default = "one_gib")]
    pub(crate) memory_limit_bytes: u64,
    /// How many instances of the plugin share the checks of each list: as many threads check at once. 1 to 64; each takes the
    /// memory of the whole list.
    #[serde(default = "one")]
    pub(crate) replicas: usize,
    /// Its business identities.
    #[serde(default)]
    pub(crate) senders: Vec<Sender>,
}

/// A business identity of a tenant, with a blacklist of its own.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sender {
    /// Its name: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'. In a request it may be left out, as the path has it.
    #[serde(default)]
    pub(crate) id: String,
    /// The telephone number it sends from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) number: Option<String>,
    /// Its bot's id, where its clients speak Sinch's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bot_id: Option<String>,
    /// Its phone-number-id, where its clients speak Meta's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) phone_number_id: Option<String>,
    /// Where its messages go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) callback_url: Option<String>,
}

/// What a check answers while the plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OnFailure {
    /// Every message is blocked.
    #[default]
    Closed,
    /// Every message passes.
    Open,
    /// The entries on disk answer: exact for lists of numbers, slower, and blind to a plugin's own rules.
    Ledger,
}

fn exact() -> String {
    "exact".to_owned()
}

fn one() -> usize {
    1
}

fn one_gib() -> u64 {
    1 << 30
}

/// A text that `Debug` does not show.
#[derive(Clone, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
