//! What is wrong with the settings of messages that pass.

use axum::http::StatusCode;

use super::problem::{Place, Problem};
use super::tenant::is_http_url;
use super::typed::File;

pub(super) fn check(typed: &File, root: &Place, problems: &mut Vec<Problem>) {
    let mut problem = |place: Place, what: &str| problems.push(Problem::new(place, what));
    let (traffic, meta) = (root.key("traffic"), root.key("meta"));
    let counts = [
        ("max_in_flight", typed.traffic.max_in_flight, "1024"),
        ("max_in_flight_per_tenant", typed.traffic.max_in_flight_per_tenant, "128"),
    ];
    for (key, count, default) in counts {
        if !(1..=1_000_000).contains(&count) {
            problem(traffic.key(key), &format!("not between 1 and 1000000; leave it out for {default}"));
        }
    }
    let times = [
        ("upstream_timeout_seconds", typed.traffic.upstream_timeout_seconds, "30"),
        ("callback_timeout_seconds", typed.traffic.callback_timeout_seconds, "10"),
    ];
    for (key, seconds, default) in times {
        if !(1..=3600).contains(&seconds) {
            problem(traffic.key(key), &format!("not between 1 and 3600; leave it out for {default}"));
        }
    }
    let urls =
        [("upstream", &typed.meta.upstream), ("default_callback_url", &typed.meta.default_callback_url)];
    for (key, url) in urls {
        if url.as_ref().is_some_and(|url| !is_http_url(url)) {
            problem(
                meta.key(key),
                "not an http:// or https:// URL with a host; write it like https://graph.facebook.com",
            );
        }
    }
    for (key, secret) in [("app_secret", &typed.meta.app_secret), ("verify_token", &typed.meta.verify_token)]
    {
        if secret.as_ref().is_some_and(|secret| secret.0.is_empty()) {
            problem(meta.key(key), "empty: anybody would know it; write what the app has, or leave it out");
        }
    }
    let status = StatusCode::from_u16(typed.meta.blocked_status);
    if !status.is_ok_and(|status| status.is_client_error()) {
        problem(meta.key("blocked_status"), "not a status from 400 to 499; leave it out for 400");
    }
}
