//! The validated settings of tenants and senders, in types that have no invalid values.

use std::num::{NonZeroU32, NonZeroUsize};

use portcullis_admission::Quota;
use portcullis_ledger::{SenderId, TenantId};
use portcullis_msisdn::Msisdn;

use super::problem::{FieldPath, Problem};
use super::tokens::{tokens, twice_named};
use super::trusted_keys::trusted_keys;
use super::url::{self, is_http_url};
use portcullis_api::is_masked_url;
use portcullis_api::settings::{
    self as typed, Acknowledge, BlockedInbound, LEAST_MEMORY, MASK, MOST_REPLICAS, NextHops, OnFailure,
    OptOut, Rule, Secret, Templates, TenantDialects, UnreadableInbound,
};
use portcullis_engine::plugin_store::TrustedKeys;
use portcullis_keywords::Keywords;
use portcullis_numbers::Region;
use portcullis_tokens::TokenConfig;

/// The validated settings of a tenant (a customer account). [`typed::Tenant`] has them as written.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantConfig {
    /// The tenant's name.
    pub id: TenantId,
    /// The name of the plugin. It need not exist: the plugin store checks that.
    pub plugin: String,
    /// The pinned version of the plugin, as a digest or its first digits; `None` for the newest.
    pub plugin_version: Option<String>,
    /// What decides checks while the plugin fails.
    pub on_failure: OnFailure,
    /// When writes are acknowledged.
    pub acknowledge: Acknowledge,
    /// The plugin's options, at most 64 KiB as JSON.
    pub plugin_options: serde_json::Map<String, serde_json::Value>,
    /// Whether a plugin that asks for numbers in clear gets them.
    pub clear_numbers: bool,
    /// The keys by one of which its plugins must be signed; none to trust what the gateway trusts.
    pub trusted_keys: TrustedKeys,
    /// The rules plugins, in the order in which they are asked: at most 16, each once, with at most 64 KiB of options.
    pub rules: Vec<Rule>,
    /// Names of templates, by what the messages are for.
    pub templates: Templates,
    /// The tokens that are valid for the whole tenant.
    pub tokens: Vec<TokenConfig>,
    /// The account SID in Kaleyra's API.
    pub sid: Option<String>,
    /// The region of national numbers; `None` if all numbers are international.
    pub default_region: Option<Region>,
    /// The memory limit of all plugin instances of the tenant, in bytes; at least 1 MiB.
    pub memory_limit_bytes: u64,
    /// The memory limit of what its rules count, in bytes.
    pub meter_memory_bytes: u64,
    /// The number of plugin instances per list, at most 64.
    pub replicas: NonZeroUsize,
    /// The rate limit of each token; `None` for no limit.
    pub rate_limit: Option<Quota>,
    /// How the vendors' block APIs treat the tenant.
    pub dialects: TenantDialects,
    /// The Meta token that replaces the client's in forwarded requests.
    pub access_token: Option<Secret>,
    /// The opt-out settings as written.
    pub opt_out: OptOut,
    /// The words of [`opt_out`](Self::opt_out), ready for matching.
    pub keywords: Keywords,
    /// Where changes of the tenant's lists are reported.
    pub events: Option<EventsConfig>,
    /// Where routed messages go. The URLs may have placeholders.
    pub next_hops: NextHops,
    /// The senders, in the order of the configuration.
    pub senders: Vec<SenderConfig>,
}

/// Where changes of a tenant's lists are reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsConfig {
    /// The `http` or `https` URL to post to.
    pub url: String,
    /// The key of the signature.
    pub secret: Secret,
}

/// The validated settings of a sender (a business identity of a tenant). [`typed::Sender`] has them as written.
#[derive(Clone, Debug, PartialEq)]
pub struct SenderConfig {
    /// The sender's name, unique within the tenant.
    pub id: SenderId,
    /// Its telephone number.
    pub number: Option<Msisdn>,
    /// The bot id in Sinch's API.
    pub bot_id: Option<String>,
    /// The phone-number-id in Meta's API.
    pub phone_number_id: Option<String>,
    /// The id of its WhatsApp business account, which senders may share.
    pub waba_id: Option<String>,
    /// The tokens that are valid for this sender only.
    pub tokens: Vec<TokenConfig>,
    /// Whether it may be used through the vendors' APIs, and may send messages to the Cloud API.
    pub active: bool,
    /// Where its inbound messages are delivered; `None` for the gateway's default callback.
    pub callback_url: Option<String>,
    /// The Meta token that replaces the client's in forwarded requests; `None` for the tenant's.
    pub access_token: Option<Secret>,
    /// What happens to inbound messages from blocked people.
    pub blocked_inbound: BlockedInbound,
    /// What happens to inbound messages that can't be read.
    pub unreadable_inbound: UnreadableInbound,
    /// Where quarantined messages are delivered. Set if one of the two settings above is `quarantine`.
    pub quarantine_url: Option<String>,
}

/// The most rules plugins of a tenant.
const MAX_RULES: usize = 16;
/// The maximum length of a vendor's id in bytes.
const MAX_VENDOR_ID: usize = 128;

impl TenantConfig {
    /// Validates each setting by itself, and adds each mistake to `problems`. Returns `None` if there was one. `place`
    /// is the tenant's place. [`UniqueIds`](super::UniqueIds) checks for conflicts with other tenants.
    pub fn check(typed: &typed::Tenant, place: &FieldPath, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let mut check = Check { problems };
        let id = check.parsed(&typed.id, place.key("id"), "the tenant's id", "give it a name such as acme");
        check.options(&typed.plugin_options, &place.key("plugin_options"));
        let trusted_keys = trusted_keys(&typed.trusted_keys, &place.key("trusted_keys"), check.problems);
        check.rules(&typed.rules, &place.key("rules"));
        let own_tokens = tokens(&typed.tokens, &place.key("tokens"), check.problems);
        let default_region = typed.default_region.as_ref().map(|code| {
            code.parse().map_err(|error| check.problem(place.key("default_region"), format!("{error}"))).ok()
        });
        let sid = check.vendor_id(typed.sid.as_deref(), place.key("sid"));
        if typed.memory_limit_bytes < LEAST_MEMORY {
            let what = "a plugin can't start with less than 1 MiB of memory; set at least 1048576";
            check.problem(place.key("memory_limit_bytes"), what);
        }
        if typed.meter_memory_bytes < LEAST_MEMORY {
            let what = "hardly anything can be counted in less than 1 MiB of memory; set at least 1048576";
            check.problem(place.key("meter_memory_bytes"), what);
        }
        let replicas = NonZeroUsize::new(typed.replicas).filter(|replicas| replicas.get() <= MOST_REPLICAS);
        if replicas.is_none() {
            let what = "not between 1 and 64; leave it out for 1, or set the number of processors";
            check.problem(place.key("replicas"), what);
        }
        let rate_limit = typed.rate_limit.map(|limit| check.quota(limit, &place.key("rate_limit")));
        check.secret(typed.access_token.as_ref(), place.key("access_token"));
        let keywords = Keywords::of(&typed.opt_out)
            .map_err(|invalid| {
                for setting in invalid {
                    let place = place.key("opt_out").key(setting.list).index(setting.index);
                    check.problem(place, setting.error.to_string());
                }
            })
            .ok();
        let events = typed.events.as_ref().map(|events| {
            let place = place.key("events");
            check.url(Some(&events.url), place.key("url"));
            check.secret(Some(&events.secret), place.key("secret"));
            EventsConfig { url: events.url.clone(), secret: events.secret.clone() }
        });
        for (key, url) in [("outbound", &typed.next_hops.outbound), ("inbound", &typed.next_hops.inbound)] {
            let place = place.key("next_hops").key(key);
            if url.as_deref().is_some_and(url::is_open) {
                let what = "the scheme, the host and the port can't come from a message, which would choose where it goes; put \
                    placeholders into the path or the query, as in http://127.0.0.1:9000/send?to={recipient}";
                check.problem(place, what);
            } else {
                check.url(url.as_deref().map(url::filled_in).as_deref(), place);
            }
        }
        let senders: Vec<Option<SenderConfig>> = typed
            .senders
            .iter()
            .enumerate()
            .map(|(index, sender)| check.sender(sender, &place.key("senders").index(index)))
            .collect();
        if problems.len() > before {
            return None;
        }
        let config = TenantConfig {
            id: id?,
            plugin: typed.plugin.clone(),
            plugin_version: typed.plugin_version.clone(),
            on_failure: typed.on_failure,
            acknowledge: typed.acknowledge,
            plugin_options: typed.plugin_options.clone(),
            clear_numbers: typed.clear_numbers,
            trusted_keys,
            rules: typed.rules.clone(),
            templates: typed.templates.clone(),
            tokens: own_tokens,
            sid,
            default_region: default_region.flatten(),
            memory_limit_bytes: typed.memory_limit_bytes,
            meter_memory_bytes: typed.meter_memory_bytes,
            replicas: replicas?,
            rate_limit: rate_limit.flatten(),
            dialects: typed.dialects.clone(),
            access_token: typed.access_token.clone(),
            opt_out: typed.opt_out.clone(),
            keywords: keywords?,
            events,
            next_hops: typed.next_hops.clone(),
            senders: senders.into_iter().collect::<Option<_>>()?,
        };
        problems.extend(twice_named(&config, place));
        (problems.len() == before).then_some(config)
    }

    /// Returns the settings as they would be written, with digests in place of tokens, but other secrets in clear.
    pub fn to_typed(&self) -> typed::Tenant {
        typed::Tenant {
            id: self.id.to_string(),
            plugin: self.plugin.clone(),
            plugin_version: self.plugin_version.clone(),
            on_failure: self.on_failure,
            acknowledge: self.acknowledge,
            plugin_options: self.plugin_options.clone(),
            clear_numbers: self.clear_numbers,
            trusted_keys: super::trusted_keys::typed(&self.trusted_keys),
            rules: self.rules.clone(),
            templates: self.templates.clone(),
            tokens: self.tokens.iter().map(TokenConfig::to_typed).collect(),
            sid: self.sid.clone(),
            default_region: self.default_region.map(|region| region.to_string()),
            memory_limit_bytes: self.memory_limit_bytes,
            meter_memory_bytes: self.meter_memory_bytes,
            replicas: self.replicas.get(),
            rate_limit: self.rate_limit.map(|quota| typed::RateLimit {
                per_second: quota.per_second.get(),
                burst: Some(quota.burst.get()),
            }),
            dialects: self.dialects.clone(),
            access_token: self.access_token.clone(),
            opt_out: self.opt_out.clone(),
            events: self
                .events
                .as_ref()
                .map(|events| typed::Events { url: events.url.clone(), secret: events.secret.clone() }),
            next_hops: self.next_hops.clone(),
            senders: self.senders.iter().map(SenderConfig::to_typed).collect(),
        }
    }
}

impl SenderConfig {
    /// Returns the settings as they would be written, with digests in place of tokens, but the access token in clear.
    pub fn to_typed(&self) -> typed::Sender {
        typed::Sender {
            id: self.id.to_string(),
            number: self.number.map(|number| number.digits().to_string()),
            bot_id: self.bot_id.clone(),
            phone_number_id: self.phone_number_id.clone(),
            waba_id: self.waba_id.clone(),
            tokens: self.tokens.iter().map(TokenConfig::to_typed).collect(),
            active: self.active,
            callback_url: self.callback_url.clone(),
            access_token: self.access_token.clone(),
            blocked_inbound: self.blocked_inbound,
            unreadable_inbound: self.unreadable_inbound,
            quarantine_url: self.quarantine_url.clone(),
        }
    }
}

/// Validates settings, and collects the mistakes.
struct Check<'a> {
    problems: &'a mut Vec<Problem>,
}

impl Check<'_> {
    fn problem(&mut self, place: FieldPath, what: impl Into<String>) {
        self.problems.push(Problem::new(place, what));
    }

    fn parsed<T>(&mut self, text: &str, place: FieldPath, what: &str, advice: &str) -> Option<T>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        text.parse()
            .map_err(|error| self.problem(place, format!("{what} is not a name: {error}; {advice}")))
            .ok()
    }

    /// Validates options of a plugin.
    fn options(&mut self, options: &serde_json::Map<String, serde_json::Value>, place: &FieldPath) {
        if options.values().any(holds_a_date) {
            let what = "JSON has no dates; write it as a string, in quotation marks";
            self.problem(place.clone(), what);
        }
        if serde_json::Value::Object(options.clone()).to_string().len() > 64 << 10 {
            self.problem(place.clone(), "the options have more than 64 KiB; shorten them");
        }
    }

    fn rules(&mut self, rules: &[Rule], place: &FieldPath) {
        if rules.len() > MAX_RULES {
            self.problem(place.clone(), format!("{} rules plugins; name at most {MAX_RULES}", rules.len()));
        }
        for (index, rule) in rules.iter().enumerate() {
            let place = place.index(index);
            self.options(&rule.options, &place.key("options"));
            if rules[..index].iter().any(|other| other.plugin == rule.plugin) {
                let what = "this plugin stands in rules already; put all that it decides into its options";
                self.problem(place.key("plugin"), what);
            }
            for (number, grant) in rule.grants.iter().enumerate() {
                if rule.grants[..number].contains(grant) {
                    self.problem(place.key("grants").index(number), "granted already; name it once");
                }
            }
        }
    }

    fn url(&mut self, url: Option<&str>, place: FieldPath) {
        if url.is_some_and(is_masked_url) {
            let what =
                "this has a placeholder for a secret that is not shown; write the URL with the secret itself";
            self.problem(place, what);
        } else if url.is_some_and(|url| !is_http_url(url)) {
            let what = "not an http:// or https:// URL with a host; write it like http://127.0.0.1:9000/in";
            self.problem(place, what);
        }
    }

    /// Validates a secret for a header or a key.
    fn secret(&mut self, secret: Option<&Secret>, place: FieldPath) {
        let Some(Secret(secret)) = secret else { return };
        if secret == MASK {
            let what = "this is a placeholder for a secret that is set, and none is; write the secret itself, or leave the setting out";
            self.problem(place, what);
        } else if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.problem(place, "empty, or not printable ASCII without spaces; write the secret as it is");
        }
    }

    fn quota(&mut self, typed: typed::RateLimit, place: &FieldPath) -> Option<Quota> {
        let (per_second, burst) = (typed.per_second, typed.burst.unwrap_or(typed.per_second));
        match (NonZeroU32::new(per_second), NonZeroU32::new(burst)) {
            (Some(per_second), Some(burst)) => Some(Quota { per_second, burst }),
            _ => {
                let what = "a rate of 0 would refuse every request; set at least 1, or leave rate_limit out";
                self.problem(place.clone(), what);
                None
            }
        }
    }

    fn sender(&mut self, typed: &typed::Sender, place: &FieldPath) -> Option<SenderConfig> {
        let id = self.parsed(&typed.id, place.key("id"), "the sender's id", "give it a name such as support");
        let number = typed.number.as_ref().map(|number| {
            portcullis_numbers::international(number)
                .map_err(|error| self.problem(place.key("number"), format!("{error}")))
                .ok()
        });
        self.url(typed.callback_url.as_deref(), place.key("callback_url"));
        self.url(typed.quarantine_url.as_deref(), place.key("quarantine_url"));
        self.secret(typed.access_token.as_ref(), place.key("access_token"));
        if typed.blocked_inbound == BlockedInbound::Quarantine && typed.quarantine_url.is_none() {
            let what = "quarantined messages need a destination; set quarantine_url";
            self.problem(place.key("blocked_inbound"), what);
        }
        if typed.unreadable_inbound == UnreadableInbound::Quarantine && typed.quarantine_url.is_none() {
            let what = "quarantined messages need a destination; set quarantine_url";
            self.problem(place.key("unreadable_inbound"), what);
        }
        Some(SenderConfig {
            id: id?,
            number: number.flatten(),
            bot_id: self.vendor_id(typed.bot_id.as_deref(), place.key("bot_id")),
            phone_number_id: self.vendor_id(typed.phone_number_id.as_deref(), place.key("phone_number_id")),
            waba_id: self.vendor_id(typed.waba_id.as_deref(), place.key("waba_id")),
            tokens: tokens(&typed.tokens, &place.key("tokens"), self.problems),
            active: typed.active,
            callback_url: typed.callback_url.clone(),
            access_token: typed.access_token.clone(),
            blocked_inbound: typed.blocked_inbound,
            unreadable_inbound: typed.unreadable_inbound,
            quarantine_url: typed.quarantine_url.clone(),
        })
    }

    /// Validates an id that a vendor gave. It may be part of a path.
    fn vendor_id(&mut self, text: Option<&str>, place: FieldPath) -> Option<String> {
        let text = text?;
        let is_id = (1..=MAX_VENDOR_ID).contains(&text.len())
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~'));
        if !is_id {
            let what =
                "not an id of 1 to 128 letters, digits and '-', '_', '.', '~'; write it as the vendor does";
            self.problem(place, what);
            return None;
        }
        Some(text.to_owned())
    }
}

/// Whether a value contains a TOML date. JSON has none, and the TOML parser represents it as a table with this key.
fn holds_a_date(value: &serde_json::Value) -> bool {
    match value {
        serde_json::Value::Object(table) => {
            table.contains_key("$__toml_private_datetime") || table.values().any(holds_a_date)
        }
        serde_json::Value::Array(array) => array.iter().any(holds_a_date),
        _ => false,
    }
}
