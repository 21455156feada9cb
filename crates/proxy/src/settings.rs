//! The settings of forwarding: `[traffic]` and `[meta]`.

use axum::http::StatusCode;
use portcullis_edge::settings::{FieldPath, Problem, is_http_url};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::allowed_edge::AllowedEdge;
use crate::secrets::Secrets;

const MOST_IN_FLIGHT: usize = 1_000_000;
/// In seconds.
const LONGEST_TIMEOUT: u64 = 3600;

/// `[traffic]`: limits and timeouts of forwarded messages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficSettings {
    /// Maximum number of messages in progress, from 1 to 1,000,000. More are rejected with 503 and `Retry-After`.
    #[schemars(range(min = 1, max = MOST_IN_FLIGHT))]
    pub max_in_flight: usize,
    /// The same, per tenant.
    #[schemars(range(min = 1, max = MOST_IN_FLIGHT))]
    pub max_in_flight_per_tenant: usize,
    /// How long an upstream or next hop may take to start its response, and between parts of its body, from 1 to 3,600.
    #[schemars(range(min = 1, max = LONGEST_TIMEOUT))]
    pub upstream_timeout_seconds: u64,
    /// How long a callback may take to complete its response, from 1 to 3,600.
    #[schemars(range(min = 1, max = LONGEST_TIMEOUT))]
    pub callback_timeout_seconds: u64,
}

impl Default for TrafficSettings {
    fn default() -> Self {
        TrafficSettings {
            max_in_flight: 1024,
            max_in_flight_per_tenant: 128,
            upstream_timeout_seconds: 30,
            callback_timeout_seconds: 10,
        }
    }
}

/// `[meta]`: the connection to Meta's Cloud API and its webhooks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MetaSettings {
    /// Base URL to which requests are forwarded. Without it, nothing is forwarded.
    pub upstream: Option<String>,
    /// The key with which Meta signs webhooks, or several of which any may be it. Without one, webhooks are refused.
    pub app_secret: Option<Secrets>,
    /// The token of the webhook handshake, or several of which any is accepted. Without one, the handshake is refused.
    pub verify_token: Option<Secrets>,
    /// Where webhooks of no configured sender go, and those of senders without a callback of their own.
    pub default_callback_url: Option<String>,
    /// HTTP status of the response to a message that is blocked, from 400 to 499.
    #[schemars(range(min = 400, max = 499))]
    pub blocked_status: u16,
    /// Harmless edges of the Graph API, in addition to the built-in ones.
    #[schemars(with = "Vec<String>", extend("default" = Vec::<String>::new()))]
    pub allowed_edges: Vec<AllowedEdge>,
}

impl Default for MetaSettings {
    fn default() -> Self {
        MetaSettings {
            upstream: None,
            app_secret: None,
            verify_token: None,
            default_callback_url: None,
            blocked_status: 400,
            allowed_edges: Vec::new(),
        }
    }
}

impl MetaSettings {
    /// The settings without the secrets, which are the only ones of them that a running gateway can [exchange](crate::Proxy::exchange_secrets).
    pub fn without_secrets(&self) -> Self {
        MetaSettings { app_secret: None, verify_token: None, ..self.clone() }
    }
}

/// Checks both sections and adds what is wrong to `problems`. `root` is the path of the whole configuration.
pub fn check(proxy: &TrafficSettings, meta: &MetaSettings, root: &FieldPath, problems: &mut Vec<Problem>) {
    let mut problem = |place: FieldPath, what: &str| problems.push(Problem::new(place, what));
    let (in_traffic, in_meta) = (root.key("traffic"), root.key("meta"));
    let counts = [
        ("max_in_flight", proxy.max_in_flight, "1024"),
        ("max_in_flight_per_tenant", proxy.max_in_flight_per_tenant, "128"),
    ];
    for (key, count, default) in counts {
        if !(1..=MOST_IN_FLIGHT).contains(&count) {
            problem(in_traffic.key(key), &format!("not between 1 and 1000000; leave it out for {default}"));
        }
    }
    let times = [
        ("upstream_timeout_seconds", proxy.upstream_timeout_seconds, "30"),
        ("callback_timeout_seconds", proxy.callback_timeout_seconds, "10"),
    ];
    for (key, seconds, default) in times {
        if !(1..=LONGEST_TIMEOUT).contains(&seconds) {
            problem(in_traffic.key(key), &format!("not between 1 and 3600; leave it out for {default}"));
        }
    }
    let urls = [("upstream", &meta.upstream), ("default_callback_url", &meta.default_callback_url)];
    for (key, url) in urls {
        if url.as_deref().is_some_and(|url| !is_http_url(url)) {
            problem(
                in_meta.key(key),
                "not an http:// or https:// URL with a host; write it like https://graph.facebook.com",
            );
        }
    }
    for (key, secret) in [("app_secret", &meta.app_secret), ("verify_token", &meta.verify_token)] {
        if let Some(what) = secret.as_ref().and_then(Secrets::problem) {
            problem(in_meta.key(key), what);
        }
    }
    let status = StatusCode::from_u16(meta.blocked_status);
    if !status.is_ok_and(|status| status.is_client_error()) {
        problem(in_meta.key("blocked_status"), "not a status from 400 to 499; leave it out for 400");
    }
}
