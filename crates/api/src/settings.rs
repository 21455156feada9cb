//! The settings of tenants and senders, as written in the configuration file and in requests to the admin API.
//!
//! These types hold what was written, before validation. `docs/configuration.md` describes each setting.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::tokens::Token;
pub use crate::trusted_key::TrustedKey;
use crate::url::masked_url;

/// What happens to inbound messages from blocked people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BlockedInbound {
    /// They are not delivered.
    #[default]
    Drop,
    /// They are delivered with the others, and the header `X-Portcullis-Blocked` lists their ids.
    Mark,
    /// They are delivered to the sender's `quarantine_url`.
    Quarantine,
}

impl BlockedInbound {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    fn is_drop(&self) -> bool {
        *self == BlockedInbound::Drop
    }
}

/// What happens to inbound messages that can't be read. They may be from blocked people, because their author is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum UnreadableInbound {
    /// They are not delivered, and Meta gets status 503, so that it sends the webhook again.
    #[default]
    Hold,
    /// They are delivered to the sender's `quarantine_url`.
    Quarantine,
    /// They are delivered with the others, as if nobody were blocked.
    Deliver,
}

impl UnreadableInbound {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    fn is_hold(&self) -> bool {
        *self == UnreadableInbound::Hold
    }
}

/// The words by which people opt out and opt in again.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OptOut {
    /// The languages whose usual words are recognized: any of ar, az, da, de, el, en, es, fi, fr, he, hi, id, it, ko,
    /// mr, nb, nl, no, pl, pt, ru, sv, tr, uk, zh.
    pub languages: Vec<String>,
    /// Additional words that opt out. Case, accents and surrounding punctuation are ignored.
    pub stop: Vec<String>,
    /// Additional words that opt in again. Case and surrounding punctuation are ignored.
    pub start: Vec<String>,
    /// How long after an opt-out one message may still be sent to confirm it, in seconds. 0 for no confirmation.
    pub confirmation_seconds: u64,
    /// Names of marketing templates: a marketing hold blocks them. A final `*` matches any ending.
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

/// Where changes of a tenant's lists are reported.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Events {
    /// The `http` or `https` URL to which events are posted.
    pub url: String,
    /// The key of the HMAC-SHA256 signature in the header `X-Portcullis-Signature-256`.
    pub secret: Secret,
}

/// The next hops of `POST /portcullis/v1/route`: where messages go that may pass. A URL with one of the placeholders `{sender}`,
/// `{recipient}` and `{body}` is fetched with GET. To any other URL, the message is posted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NextHops {
    /// The next hop of outbound messages. Omit to get the verdict only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outbound: Option<String>,
    /// The next hop of inbound messages. Omit to get the verdict only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inbound: Option<String>,
}

/// A dialect: a vendor's block API that the gateway implements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Dialect {
    /// Sinch.
    Sinch,
    /// 99 Digital.
    NinetyNine,
    /// Whats91.
    Whats91,
    /// Kaleyra.
    Kaleyra,
    /// Meta's Graph API.
    Meta,
}

impl Dialect {
    /// All dialects.
    pub const ALL: [Dialect; 5] =
        [Dialect::Sinch, Dialect::NinetyNine, Dialect::Whats91, Dialect::Kaleyra, Dialect::Meta];

    /// The name in the configuration, and in the `interface` of an actor.
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
    /// The vendors' APIs that the tenant's clients may use.
    pub spoken: Vec<Dialect>,
    /// The list size up to which 99 Digital's, Kaleyra's and Meta's clients may add entries. 0 for no limit.
    pub capacity: u64,
    /// Whether 99 Digital's, Kaleyra's and Meta's clients may only block people who wrote within the last 24 hours. The
    /// gateway knows of inbound messages that it forwarded or checked.
    pub within_24_hours: bool,
    /// Whether a vendor's unblock also lifts the person's own opt-out.
    pub lift_opt_outs: bool,
    /// Whether Kaleyra's unblock also lifts blocks that were made through another interface.
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

/// The rate limit of each token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The sustained rate, in requests per second. At least 1.
    #[schemars(range(min = 1, max = u32::MAX))]
    pub per_second: u32,
    /// The number of requests that may arrive at once after a pause. At least 1; default: the value of `per_second`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = u32::MAX))]
    pub burst: Option<u32>,
}

/// The least memory of a tenant's plugin instances, and of what its rules count, in bytes.
pub const LEAST_MEMORY: u64 = 1 << 20;
/// The most plugin instances per list.
pub const MOST_REPLICAS: usize = 64;

/// A customer account.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// The tenant's name: 1 to 64 characters of a-z, 0-9, '.', '_' and '-'. May be omitted in a request, because the path has it.
    #[serde(default)]
    pub id: String,
    /// The plugin that decides: a built-in one, or the stem of a file in the plugin folder. Default: `exact`.
    #[serde(default = "exact")]
    pub plugin: String,
    /// The version of the plugin to pin: `sha256:` and the hexadecimal digits of the component's digest, or at least
    /// the first 8 of them. Omit for the newest version, and each newer one as it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_version: Option<String>,
    /// What decides checks while the plugin fails. Default: `closed`.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// When writes are acknowledged, in a fleet of gateways. Default: `node`.
    #[serde(default, skip_serializing_if = "Acknowledge::is_node")]
    #[schemars(extend("default" = "node"))]
    pub acknowledge: Acknowledge,
    /// Options of the plugin, passed to it as JSON. At most 64 KiB.
    #[serde(default)]
    pub plugin_options: serde_json::Map<String, serde_json::Value>,
    /// Whether a plugin that asks for numbers in clear gets them. Default: no.
    #[serde(default)]
    pub clear_numbers: bool,
    /// Keys by one of which the tenant's plugins must be signed, unless they are built in: at most 16. They must be among those that the
    /// gateway trusts, if it names any. Omit to trust what the gateway trusts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trusted_keys: Vec<TrustedKey>,
    /// The rules plugins, at most 16: they are asked in this order about messages that the list lets pass.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Rule>,
    /// What messages are for, by the template that they use.
    #[serde(default, skip_serializing_if = "Templates::is_empty")]
    pub templates: Templates,
    /// The bearer tokens of the tenant's clients, at most 256: in clear, or as `sha256:` and the 64 hexadecimal digits of the SHA-256
    /// digest, or tables with names.
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// The account SID in Kaleyra's API. Unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The region of national numbers: two capital letters of ISO 3166-1, such as SE. Omit to read all numbers as international.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_region: Option<String>,
    /// The memory limit of all plugin instances of the tenant, in bytes: at least 1,048,576 (1 MiB). Default: 1 GiB.
    #[serde(default = "one_gib")]
    #[schemars(range(min = LEAST_MEMORY))]
    pub memory_limit_bytes: u64,
    /// The memory limit of what the tenant's rules count, in bytes: at least 1,048,576 (1 MiB). A counter takes 75 to 150. Default: 64 MiB.
    #[serde(default = "of_meters")]
    #[schemars(range(min = LEAST_MEMORY))]
    pub meter_memory_bytes: u64,
    /// The number of plugin instances per list, 1 to 64: as many threads check at once. Each takes the memory of the whole list.
    /// Default: 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = MOST_REPLICAS))]
    pub replicas: usize,
    /// The rate limit of each token. Omit for no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<RateLimit>,
    /// How the vendors' block APIs treat the tenant.
    #[serde(default)]
    pub dialects: TenantDialects,
    /// The token for Meta that replaces the client's in forwarded requests, unless the sender has its own. Omit to forward the
    /// client's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    /// The words by which people opt out and in.
    #[serde(default)]
    pub opt_out: OptOut,
    /// Where changes of the tenant's lists are reported. Omit to report none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// Where routed messages go.
    #[serde(default)]
    pub next_hops: NextHops,
    /// The tenant's business identities, each with its own list.
    #[serde(default)]
    pub senders: Vec<Sender>,
}

/// A rules plugin of a tenant.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The plugin: a built-in one, or the stem of a file in the plugin folder. Each may stand once.
    pub plugin: String,
    /// The version of the plugin to pin: `sha256:` and the hexadecimal digits of the component's digest, or at least
    /// the first 8 of them. Omit for the newest version, and each newer one as it arrives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Options of the plugin, passed to it as JSON. At most 64 KiB.
    #[serde(default)]
    pub options: serde_json::Map<String, serde_json::Value>,
    /// What the plugin may know of a message, besides its direction, channel, purpose, segments and time. A plugin that needs more is
    /// refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
}

/// What a tenant lets a rules plugin know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Grant {
    /// The person's telephone number, instead of a pseudonym.
    Number,
    /// The country of the number.
    Country,
    /// The offsets from UTC that the person's clock may have.
    LocalTime,
    /// The sender's name.
    Sender,
}

/// Names of templates of the Cloud API, by the category that Meta gave them. A final `*` matches any ending. Marketing templates are in
/// `opt_out.marketing_templates`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Templates {
    /// One-time codes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub authentication: Vec<String>,
    /// Messages about a transaction or an account.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub utility: Vec<String>,
}

impl Templates {
    fn is_empty(&self) -> bool {
        self.authentication.is_empty() && self.utility.is_empty()
    }
}

/// A business identity of a tenant, with a blacklist of its own.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sender {
    /// The sender's name: 1 to 64 characters of a-z, 0-9, '.', '_' and '-', unique within the tenant. May be omitted in
    /// a request, because the path has it.
    #[serde(default)]
    pub id: String,
    /// The telephone number that it sends from, in international form. Unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<String>,
    /// The bot id in Sinch's API. Unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bot_id: Option<String>,
    /// The phone-number-id in Meta's API. Unique.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone_number_id: Option<String>,
    /// The id of its WhatsApp business account. Senders may share one. It is shown by Whats91's API, and says whose the forwarded
    /// requests and webhooks are that name the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waba_id: Option<String>,
    /// The bearer tokens that are valid for this sender only, at most 256: in clear, or as `sha256:` and the digest, or tables with names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens: Vec<Token>,
    /// Whether the sender may be used through the vendors' APIs, and may send messages to the Cloud API. Default: yes.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    #[schemars(extend("default" = true))]
    pub active: bool,
    /// The URL to which its inbound messages are delivered. Omit for the gateway's default callback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// The token for Meta that replaces the client's in forwarded requests. Omit for the tenant's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_token: Option<Secret>,
    /// What happens to inbound messages from blocked people. Default: `drop`.
    #[serde(default, skip_serializing_if = "BlockedInbound::is_drop")]
    #[schemars(extend("default" = "drop"))]
    pub blocked_inbound: BlockedInbound,
    /// What happens to inbound messages that can't be read. Default: `hold`.
    #[serde(default, skip_serializing_if = "UnreadableInbound::is_hold")]
    #[schemars(extend("default" = "hold"))]
    pub unreadable_inbound: UnreadableInbound,
    /// The URL to which quarantined messages are delivered. Required for `quarantine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine_url: Option<String>,
}

/// What decides checks while the plugin fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Every message is blocked.
    #[default]
    Closed,
    /// Every message passes.
    Open,
    /// The entries on disk decide. Slower, and without the plugin's own rules.
    Ledger,
}

/// When writes are acknowledged, in a fleet of gateways that share a ledger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Acknowledge {
    /// Once they are on disk, and apply to the next check of the gateway that took them.
    #[default]
    Node,
    /// Once they apply to the next check of every gateway that is running.
    Fleet,
}

impl Acknowledge {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for this signature")]
    fn is_node(&self) -> bool {
        *self == Acknowledge::Node
    }
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

fn of_meters() -> u64 {
    64 << 20
}

fn one_gib() -> u64 {
    1 << 30
}

impl Sender {
    /// Replaces secrets except tokens with [`MASK`], as [`Tenant::masked`] does.
    pub fn masked(mut self) -> Self {
        if let Some(secret) = &mut self.access_token {
            MASK.clone_into(&mut secret.0);
        }
        for url in [&mut self.callback_url, &mut self.quarantine_url].into_iter().flatten() {
            *url = masked_url(url);
        }
        self
    }
}

impl Tenant {
    /// Replaces every secret except tokens with [`MASK`], also those in URLs, for showing to an administrator. Tokens stay as
    /// they are, so they must be digests already.
    pub fn masked(mut self) -> Self {
        self.senders = self.senders.into_iter().map(Sender::masked).collect();
        let events = self.events.iter_mut().map(|events| &mut events.secret);
        for secret in self.access_token.iter_mut().chain(events) {
            MASK.clone_into(&mut secret.0);
        }
        let urls = [&mut self.next_hops.outbound, &mut self.next_hops.inbound];
        for url in urls.into_iter().flatten().chain(self.events.iter_mut().map(|events| &mut events.url)) {
            *url = masked_url(url);
        }
        self
    }
}

/// Stands in place of a secret that is not shown. In a request it stands for the secret that is set; where none is, it is rejected.
pub const MASK: &str = "(set)";

/// A secret text. `Debug` does not show it; serialization does.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "password" })
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
