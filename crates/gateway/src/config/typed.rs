//! The configuration as it is typed: in the file, and as the body of an administrator's request.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::allowed_edge::AllowedEdge;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) server: Server,
    pub(crate) storage: Storage,
    #[serde(default)]
    pub(crate) plugins: Plugins,
    #[serde(default)]
    pub(crate) dialects: Dialects,
    #[serde(default)]
    pub(crate) traffic: Traffic,
    #[serde(default)]
    pub(crate) meta: Meta,
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
    /// Addresses of proxies whose `X-Forwarded-For` tells where a request comes from.
    #[serde(default)]
    pub(crate) trusted_proxies: Vec<String>,
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
    /// What the plugins of short lists may have of memory together, before those that nobody asks for are put to rest.
    pub(crate) memory_budget_bytes: Option<u64>,
}

/// `[dialects]`: what no vendor's document tells, for all tenants.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Dialects {
    /// Whether a cursor of Meta's dialect is refused (139102) once the list has changed.
    pub(crate) meta_strict_cursors: bool,
    /// How many entries a page has in Meta's dialect where the client does not say.
    pub(crate) meta_default_limit: usize,
    /// The most entries of a page in Whats91's dialect.
    pub(crate) whats91_max_limit: usize,
    /// The status of an answer of Kaleyra's dialect where some of several users failed.
    pub(crate) kaleyra_partial_status: u16,
    pub(crate) ninety_nine: NinetyNine,
}

/// `[dialects.ninety_nine]`: 99 Digital's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NinetyNine {
    pub(crate) block_paths: Vec<String>,
    pub(crate) unblock_paths: Vec<String>,
    pub(crate) list_paths: Vec<String>,
    /// The status of an answer that says FAIL.
    pub(crate) fail_status: u16,
    pub(crate) block_reasons: Reasons,
    pub(crate) unblock_reasons: Reasons,
    pub(crate) list_reasons: Reasons,
}

/// The numbers that stand for why something failed, besides those that are documented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reasons {
    pub(crate) invalid_number: u16,
    pub(crate) outside_window: u16,
    pub(crate) list_full: u16,
    pub(crate) failed: u16,
}

impl Default for Dialects {
    fn default() -> Self {
        Dialects {
            meta_strict_cursors: false,
            meta_default_limit: 25,
            whats91_max_limit: 1000,
            kaleyra_partial_status: 400,
            ninety_nine: NinetyNine::default(),
        }
    }
}

impl Default for NinetyNine {
    fn default() -> Self {
        let paths = |names: &[&str]| names.iter().map(|name| format!("/whatsapp/v2/{name}")).collect();
        let unblock = Reasons { invalid_number: 4, outside_window: 5, list_full: 5, failed: 5 };
        NinetyNine {
            block_paths: paths(&["block"]),
            unblock_paths: paths(&["unblock", "unBlock"]),
            list_paths: paths(&["getBlockedList", "getBlockList", "getBlocked", "blockedList", "blocked"]),
            fail_status: 200,
            block_reasons: Reasons { invalid_number: 4, outside_window: 5, list_full: 6, failed: 7 },
            unblock_reasons: unblock,
            list_reasons: Reasons { failed: 4, ..unblock },
        }
    }
}

/// `[traffic]`: messages that pass through the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Traffic {
    /// How many messages may be under way at once; further ones are turned away.
    pub(crate) max_in_flight: usize,
    /// How many of one tenant.
    pub(crate) max_in_flight_per_tenant: usize,
    /// How long an upstream or a next hop may take to begin its answer.
    pub(crate) upstream_timeout_seconds: u64,
    /// How long a callback may take to answer.
    pub(crate) callback_timeout_seconds: u64,
}

impl Default for Traffic {
    fn default() -> Self {
        Traffic {
            max_in_flight: 1024,
            max_in_flight_per_tenant: 128,
            upstream_timeout_seconds: 30,
            callback_timeout_seconds: 10,
        }
    }
}

/// `[meta]`: where the gateway stands between a platform and Meta's Cloud API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Meta {
    /// Where what passes is sent on to. Without it nothing passes.
    pub(crate) upstream: Option<String>,
    /// What Meta signs its webhooks with. Without it none is taken.
    pub(crate) app_secret: Option<Secret>,
    /// What Meta proves itself with when a webhook is set up.
    pub(crate) verify_token: Option<Secret>,
    /// Where webhooks go that are of no sender.
    pub(crate) default_callback_url: Option<String>,
    /// The status of the answer to a message for a blocked recipient.
    pub(crate) blocked_status: u16,
    /// Edges of the Graph API that are harmless, besides those that the gateway knows.
    pub(crate) allowed_edges: Vec<AllowedEdge>,
}

impl Default for Meta {
    fn default() -> Self {
        Meta {
            upstream: None,
            app_secret: None,
            verify_token: None,
            default_callback_url: None,
            blocked_status: 400,
            allowed_edges: Vec::new(),
        }
    }
}

/// What becomes of messages that come in from blocked numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BlockedInbound {
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
pub(crate) enum UnreadableInbound {
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
pub(crate) struct OptOut {
    /// The languages whose usual words are understood: of ar, az, da, de, el, en, es, fi, fr, he, hi, id, it, ko, mr, nb, nl, no, pl,
    /// pt, ru, sv, tr, uk, zh.
    pub(crate) languages: Vec<String>,
    /// Further words that opt out, or payloads of buttons. Case, accents and surrounding punctuation are ignored.
    pub(crate) stop: Vec<String>,
    /// Further words that opt in again. Case and surrounding punctuation are ignored.
    pub(crate) start: Vec<String>,
    /// How long after an opt-out one message, its confirmation, may still go out; 0 for none.
    pub(crate) confirmation_seconds: u64,
    /// Names of templates that are marketing: a marketing hold stops these. `*` at the end stands for anything.
    pub(crate) marketing_templates: Vec<String>,
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
pub(crate) struct Events {
    pub(crate) url: String,
    /// What each is signed with.
    pub(crate) secret: Secret,
}

/// Where messages of `POST /portcullis/v1/route` go that pass. `{sender}`, `{recipient}` and `{body}` stand for what the message
/// has; a URL that has one of them is got, any other is posted the message to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct NextHops {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) outbound: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) inbound: Option<String>,
}

/// A vendor whose block API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dialect {
    Sinch,
    /// 99 Digital.
    NinetyNine,
    Whats91,
    Kaleyra,
    Meta,
}

impl Dialect {
    pub(crate) const ALL: [Dialect; 5] =
        [Dialect::Sinch, Dialect::NinetyNine, Dialect::Whats91, Dialect::Kaleyra, Dialect::Meta];

    /// As it stands in the configuration, and with an actor.
    pub(crate) const fn as_str(self) -> &'static str {
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
pub(crate) struct TenantDialects {
    /// Those that are spoken with its clients.
    pub(crate) spoken: Vec<Dialect>,
    /// How many entries a list may have for 99 Digital's, Kaleyra's and Meta's clients to add more; 0 for any number.
    pub(crate) capacity: u64,
    /// Whether 99 Digital's, Kaleyra's and Meta's clients can block only who wrote within 24 hours. That is known of inbound
    /// messages which passed the gateway, or were asked about.
    pub(crate) within_24_hours: bool,
    /// Whether an unblock also lifts the person's own opt-out.
    pub(crate) lift_opt_outs: bool,
    /// Whether Kaleyra's clients can unblock who was blocked through something else.
    pub(crate) kaleyra_lifts_foreign: bool,
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
pub(crate) struct RateLimit {
    /// Requests a second, in the long run.
    pub(crate) per_second: u32,
    /// Requests at once, after a pause. As many as `per_second` where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) burst: Option<u32>,
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
    /// How often each of its tokens may ask. Left out for as often as they like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate_limit: Option<RateLimit>,
    /// How the vendors' block APIs treat it.
    #[serde(default)]
    pub(crate) dialects: TenantDialects,
    /// The token for Meta that takes the place of its own in what is sent on, unless the sender has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_token: Option<Secret>,
    #[serde(default)]
    pub(crate) opt_out: OptOut,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<Events>,
    #[serde(default)]
    pub(crate) next_hops: NextHops,
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
    /// The id of its WhatsApp business account, which Whats91's clients are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) waba_id: Option<String>,
    /// The bearer tokens that are good for this sender only: as they are, or as `sha256:` and the digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) tokens: Vec<Secret>,
    /// Whether it can be used through the vendors' block APIs.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub(crate) active: bool,
    /// Where its messages go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) callback_url: Option<String>,
    /// The token for Meta that takes the place of the client's in what is sent on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) access_token: Option<Secret>,
    /// What becomes of messages that come in from blocked numbers.
    #[serde(default, skip_serializing_if = "BlockedInbound::is_drop")]
    pub(crate) blocked_inbound: BlockedInbound,
    /// What becomes of what comes in and can't be read.
    #[serde(default, skip_serializing_if = "UnreadableInbound::is_hold")]
    pub(crate) unreadable_inbound: UnreadableInbound,
    /// Where they go with `quarantine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) quarantine_url: Option<String>,
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
    pub(crate) fn masked(mut self) -> Self {
        let senders = self.senders.iter_mut().filter_map(|sender| sender.access_token.as_mut());
        let events = self.events.iter_mut().map(|events| &mut events.secret);
        for secret in self.access_token.iter_mut().chain(events).chain(senders) {
            MASK.clone_into(&mut secret.0);
        }
        self
    }
}

/// What stands for a secret that is not shown. It is none itself.
pub(crate) const MASK: &str = "(set)";

/// A text that `Debug` does not show.
#[derive(Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(transparent)]
pub(crate) struct Secret(pub(crate) String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
