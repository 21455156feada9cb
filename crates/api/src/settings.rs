//! The settings of tenants and senders, as they stand in the configuration file and in an administrator's request.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of messages that come in from blocked numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BlockedInbound {
    /// They go nowhere.
    #[default]
    Drop,
    /// They go on with the others, and a header names them.
    Mark,
    /// They go to the sender's `quarantine_url`.
    Quarantine,
}

impl BlockedInbound {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    fn is_drop(&self) -> bool {
        *self == BlockedInbound::Drop
    }
}

/// What becomes of what comes in and can't be read: whose it is can't be told, so it may be a blocked person's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnreadableInbound {
    /// It goes nowhere, and Meta is answered 503, so that it sends the webhook again.
    #[default]
    Hold,
    /// It goes to the sender's `quarantine_url`.
    Quarantine,
    /// It goes on with the others, as if nobody were blocked.
    Deliver,
}

impl UnreadableInbound {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    fn is_hold(&self) -> bool {
        *self == UnreadableInbound::Hold
    }
}

/// How people opt out, and in again, by writing.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptOut {
    /// The languages whose usual words are understood: of ar, az, da, de, el, en, es, fi, fr, he, hi, id, it, ko, mr, nb, nl, no, pl,
    /// pt, ru, sv, tr, uk, zh.
    pub languages: Vec<String>,
    /// Further words that opt out, or payloads of buttons. Case, accents and surrounding punctuation are ignored.
    pub stop: Vec<String>,
    /// Further words that opt in again. Case and surrounding punctuation are ignored.
    pub start: Vec<String>,
    /// How long after an opt-out one message, its confirmation, may still go out; 0 for none.
    pub confirmation_seconds: u64,
    /// Names of templates that are marketing: a marketing hold stops these. `*` at the end stands for anything.
    pub marketing_templates: Vec<String>,
}

impl Default for OptOut {
    fn default() -> Self {
        OptOut {
            languages: vec!["en".to_owned()],
            stop: Vec::new(),
            start: Vec::new(),
            confirmation_seconds: 300,
            marketing_templates: Vec::new(),
        }
    }
}

/// Where a tenant is told of each change of its lists.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    pub url: String,
    /// What each is signed with.
    pub secret: Secret,
}

/// Where messages of `POST /portcullis/v1/route` go that pass. `{sender}`, `{recipient}` and `{body}` stand for what the message
/// has; a URL that has one of them is got, any other is posted the message to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NextHops {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound: Option<String>,
}

/// A vendor whose block API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    Sinch,
    /// 99 Digital.
    NinetyNine,
    Whats91,
    Kaleyra,
    Meta,
}

impl Dialect {
    pub const ALL: [Dialect; 5] =
        [Dialect::Sinch, Dialect::NinetyNine, Dialect::Whats91, Dialect::Kaleyra, Dialect::Meta];

    /// As it stands in the configuration, and with an actor.
    pub const fn as_str(self) -> &'static str {
        match self {
            Dialect::Sinch => "sinch",
            Dialect::NinetyNine => "ninety_nine",
            Dialect::Whats91 => "whats91",
            Dialect::Kaleyra => "kaleyra",
            Dialect::Meta => "meta",
        }
    }
}

/// How the vendors' block APIs treat a tenant.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TenantDialects {
    /// Those that are spoken with its clients.
    pub spoken: Vec<Dialect>,
    /// How many entries a list may have for 99 Digital's, Kaleyra's and Meta's clients to add more; 0 for any number.
    pub capacity: u64,
    /// Whether 99 Digital's, Kaleyra's and Meta's clients can block only who wrote within 24 hours. That is known of inbound
    /// messages which passed the gateway, or were asked about.
    pub within_24_hours: bool,
    /// Whether an unblock also lifts the person's own opt-out.
    pub lift_opt_outs: bool,
    /// Whether Kaleyra's clients can unblock who was blocked through something else.
    pub kaleyra_lifts_foreign: bool,
}

impl Default for TenantDialects {
    fn default() -> Self {
        TenantDialects {
            spoken: Dialect::ALL.to_vec(),
            capacity: 64_000,
            within_24_hours: false,
            lift_opt_outs: false,
            kaleyra_lifts_foreign: false,
        }
    }
}

/// How often one token may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// Requests a second, in the long run.
    pub per_second: u32,
    /// Requests at once, after a pause. As many as `per_second` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<u32>,
}

/// A customer account.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'. In a request it may be left out, as the path has it.
    #[serde(default)]
    pub id: String,
    /// The plugin that keeps its blacklists.
    #[serde(default = "exact")]
    pub plugin: String,
    /// The one version of it to stay with: `sha256:` and the digits of the component's digest, or at least the first 8 of
    /// them. Left out for the newest, and for each newer one as it comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_version: Option<String>,
    /// What a check answers while the plugin fails.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Handed to the plugin as JSON.
    #[serde(default)]
    pub plugin_options: serde_json::Map<String, serde_json::Value>,
    /// Whether the plugin may see numbers in clear, if it asks for them.
    #[serde(default)]
    pub clear_numbers: bool,
    /// The bearer tokens of its clients: as they are, or as `sha256:` and the 64 hexadecimal digits of the digest.
    #[serde(default)]
    pub tokens: Vec<Secret>,
    /// Its account SID, where its clients speak Kaleyra's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// Where national numbers are read as of: two letters of ISO 3166-1. Without it all numbers are international.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<String>,
    /// What its plugins may take in memory together, in bytes.
    #[serde(default = "one_gib")]
    pub memory_limit_bytes: u64,
    /// How many instances of the plugin share the checks of each list: as many threads check at once. 1 to 64; each takes the
    /// memory of the whole list.
    #[serde(default = "one")]
    pub replicas: usize,
    /// How often each of its tokens may ask. Left out for as often as they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How the vendors' block APIs treat it.
    #[serde(default)]
    pub dialects: TenantDialects,
    /// The token for Meta that takes the place of its own in what is sent on, unless the sender has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    #[serde(default)]
    pub opt_out: OptOut,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    #[serde(default)]
    pub next_hops: NextHops,
    /// Its business identities.
    #[serde(default)]
    pub senders: Vec<Sender>,
}

/// A business identity of a tenant, with a blacklist of its own.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// Its name: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'. In a request it may be left out, as the path has it.
    #[serde(default)]
    pub id: String,
    /// The telephone number it sends from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// Its bot's id, where its clients speak Sinch's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<String>,
    /// Its phone-number-id, where its clients speak Meta's dialect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number_id: Option<String>,
    /// The id of its WhatsApp business account, which Whats91's clients are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waba_id: Option<String>,
    /// The bearer tokens that are good for this sender only: as they are, or as `sha256:` and the digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Secret>,
    /// Whether it can be used through the vendors' block APIs.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub active: bool,
    /// Where its messages go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// The token for Meta that takes the place of the client's in what is sent on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    /// What becomes of messages that come in from blocked numbers.
    #[serde(default, skip_serializing_if = "BlockedInbound::is_drop")]
    pub blocked_inbound: BlockedInbound,
    /// What becomes of what comes in and can't be read.
    #[serde(default, skip_serializing_if = "UnreadableInbound::is_hold")]
    pub unreadable_inbound: UnreadableInbound,
    /// Where they go with `quarantine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_url: Option<String>,
}

/// What a check answers while the plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
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

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
fn is_yes(value: &bool) -> bool {
    *value
}

fn one() -> usize {
    1
}

fn one_gib() -> u64 {
    1 << 30
}

impl Tenant {
    /// As it may be shown: without the secrets that are no tokens, of which only digests are there.
    pub fn masked(mut self) -> Self {
        let senders = self.senders.iter_mut().filter_map(|sender| sender.access_token.as_mut());
        let events = self.events.iter_mut().map(|events| &mut events.secret);
        for secret in self.access_token.iter_mut().chain(events).chain(senders) {
            MASK.clone_into(&mut secret.0);
        }
        self
    }
}

/// What stands for a secret that is not shown. It is none itself.
pub const MASK: &str = "(set)";

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
