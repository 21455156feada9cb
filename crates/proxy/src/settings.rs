//! The settings of messages that pass: `[traffic]` and `[meta]`.

use axum::http::StatusCode;
use portcullis_api::settings::Secret;
use portcullis_edge::settings::{FieldPath, Problem, is_http_url};
use serde::Deserialize;

use crate::allowed_edge::AllowedEdge;

/// `[traffic]`: messages that pass through the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrafficSettings {
    /// How many messages may be under way at once; further ones are turned away.
    pub max_in_flight: usize,
    /// How many of one tenant.
    pub max_in_flight_per_tenant: usize,
    /// How long an upstream or a next hop may take to begin its answer.
    pub upstream_timeout_seconds: u64,
    /// How long a callback may take to answer.
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

/// `[meta]`: where the gateway stands between a platform and Meta's Cloud API.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetaSettings {
    /// Where what passes is sent on to. Without it nothing passes.
    pub upstream: Option<String>,
    /// What Meta signs its webhooks with. Without it none is taken.
    pub app_secret: Option<Secret>,
    /// What Meta proves itself with when a webhook is set up.
    pub verify_token: Option<Secret>,
    /// Where webhooks go that are of no sender.
    pub default_callback_url: Option<String>,
    /// The status of the answer to a message for a blocked recipient.
    pub blocked_status: u16,
    /// Edges of the Graph API that are harmless, besides those that the gateway knows.
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

/// Adds what is wrong with either to `problems`. `root` is the place of the whole file.
pub fn check(proxy: &TrafficSettings, meta: &MetaSettings, root: &FieldPath, problems: &mut Vec<Problem>) {
    let mut problem = |place: FieldPath, what: &str| problems.push(Problem::new(place, what));
    let (in_traffic, in_meta) = (root.key("traffic"), root.key("meta"));
    let counts = [
        ("max_in_flight", proxy.max_in_flight, "1024"),
        ("max_in_flight_per_tenant", proxy.max_in_flight_per_tenant, "128"),
    ];
    for (key, count, default) in counts {
        if !(1..=1_000_000).contains(&count) {
            problem(in_traffic.key(key), &format!("not between 1 and 1000000; leave it out for {default}"));
        }
    }
    let times = [
        ("upstream_timeout_seconds", proxy.upstream_timeout_seconds, "30"),
        ("callback_timeout_seconds", proxy.callback_timeout_seconds, "10"),
    ];
    for (key, seconds, default) in times {
        if !(1..=3600).contains(&seconds) {
            problem(in_traffic.key(key), &format!("not between 1 and 3600; leave it out for {default}"));
        }
    }
    let urls = [("upstream", &meta.upstream), ("default_callback_url", &meta.default_callback_url)];
    for (key, url) in urls {
        if url.as_ref().is_some_and(|url| !is_http_url(url)) {
            problem(
                in_meta.key(key),
                "not an http:// or https:// URL with a host; write it like https://graph.facebook.com",
            );
        }
    }
    for (key, secret) in [("app_secret", &meta.app_secret), ("verify_token", &meta.verify_token)] {
        if secret.as_ref().is_some_and(|secret| secret.0.is_empty()) {
            problem(
                in_meta.key(key),
                "empty: anybody would know it; write what the app has, or leave it out",
            );
        }
    }
    let status = StatusCode::from_u16(meta.blocked_status);
    if !status.is_ok_and(|status| status.is_client_error()) {
        problem(in_meta.key("blocked_status"), "not a status from 400 to 499; leave it out for 400");
    }
}
