//! The settings of the vendors' block APIs: `[dialects]`.

use std::collections::BTreeSet;
use std::ops::Range;

use axum::http::StatusCode;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{FieldPath, Problem};

const MOST_META_LIMIT: usize = 1000;
const MOST_WHATS91_LIMIT: usize = 10_000;
/// Of responses that may have a body, except 204.
const STATUSES: Range<u16> = 200..600;

/// `[dialects]`: what the vendors' documents leave open, for all tenants.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dialects {
    /// Whether to refuse a cursor of Meta's API (139102) after the list has changed. Default: no.
    pub meta_strict_cursors: bool,
    /// The page size in Meta's API if the client names none, 1 to 1,000. Default: 25.
    #[schemars(range(min = 1, max = MOST_META_LIMIT))]
    pub meta_default_limit: usize,
    /// The largest page in Whats91's API, in entries, 1 to 10,000. Default: 1,000.
    #[schemars(range(min = 1, max = MOST_WHATS91_LIMIT))]
    pub whats91_max_limit: usize,
    /// The HTTP status in Kaleyra's API if some of several users failed: 200 to 599, except 204. Default: 400.
    #[schemars(range(min = STATUSES.start, max = STATUSES.end - 1))]
    pub kaleyra_partial_status: u16,
    /// Settings of 99 Digital's API.
    pub ninety_nine: NinetyNine,
}

/// `[dialects.ninety_nine]`: 99 Digital's API. A path belongs to one operation only.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NinetyNine {
    /// The paths of the block operation.
    pub block_paths: Vec<String>,
    /// The paths of the unblock operation.
    pub unblock_paths: Vec<String>,
    /// The paths of the list operation.
    pub list_paths: Vec<String>,
    /// The HTTP status of a response that says `FAIL`: 200 to 599, except 204. Default: 200.
    #[schemars(range(min = STATUSES.start, max = STATUSES.end - 1))]
    pub fail_status: u16,
    /// The codes of failed blocks.
    pub block_reasons: Reasons,
    /// The codes of failed unblocks.
    pub unblock_reasons: Reasons,
    /// The codes of failed lists.
    pub list_reasons: Reasons,
}

/// The codes of `reason` in 99 Digital's API, in addition to those that it documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reasons {
    /// The number can't be read.
    pub invalid_number: u16,
    /// The person did not write within 24 hours.
    pub outside_window: u16,
    /// The list has reached the tenant's `capacity`.
    pub list_full: u16,
    /// Any other failure.
    pub failed: u16,
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

impl Dialects {
    /// Validates the settings, and adds each mistake to `problems`. `place` is that of `[dialects]`.
    pub fn check(&self, place: &FieldPath, problems: &mut Vec<Problem>) {
        check(self, place, problems);
    }
}

fn check(typed: &Dialects, place: &FieldPath, problems: &mut Vec<Problem>) {
    let mut problem = |place: FieldPath, what: String| problems.push(Problem::new(place, what));
    let limits = [
        ("meta_default_limit", typed.meta_default_limit, MOST_META_LIMIT, 25),
        ("whats91_max_limit", typed.whats91_max_limit, MOST_WHATS91_LIMIT, 1000),
    ];
    for (key, limit, most, default) in limits {
        if !(1..=most).contains(&limit) {
            problem(place.key(key), format!("not between 1 and {most}; leave it out for {default}"));
        }
    }
    let ninety_nine = place.key("ninety_nine");
    let statuses = [
        (place.key("kaleyra_partial_status"), typed.kaleyra_partial_status),
        (ninety_nine.key("fail_status"), typed.ninety_nine.fail_status),
    ];
    for (place, status) in statuses {
        let known = StatusCode::from_u16(status)
            .is_ok_and(|status| STATUSES.contains(&status.as_u16()) && status != StatusCode::NO_CONTENT);
        if !known {
            problem(place, "not a status of a response with a body; use one such as 200 or 400".to_owned());
        }
    }
    let mut taken = BTreeSet::new();
    let paths = [
        ("block_paths", &typed.ninety_nine.block_paths),
        ("unblock_paths", &typed.ninety_nine.unblock_paths),
        ("list_paths", &typed.ninety_nine.list_paths),
    ];
    for (key, paths) in paths {
        for (index, path) in paths.iter().enumerate() {
            let place = ninety_nine.key(key).index(index);
            if !is_path(path) {
                let what = "not a path of letters, digits and '-', '_', '.', '~'; write it like /whatsapp/v2/unblock";
                problem(place, what.to_owned());
            } else if is_native(path) {
                let what = "the gateway reserves this path for itself; use another one";
                problem(place, what.to_owned());
            } else if !taken.insert(path.as_str()) {
                let what = "this path is listed twice, but belongs to one operation; remove one of them";
                problem(place, what.to_owned());
            }
        }
    }
}

fn is_path(text: &str) -> bool {
    let segments = text.strip_prefix('/').filter(|_| text.len() <= 200);
    segments.is_some_and(|segments| segments.split('/').all(is_segment))
}

fn is_segment(segment: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    !segment.is_empty() && segment.bytes().all(is_plain)
}

/// Whether the path is used by another interface, or reserved for one.
fn is_native(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    matches!(first, "portcullis" | "api" | "healthz" | "readyz" | "metrics")
        || path.starts_with("/whatsapp/v1/")
        || path.ends_with("/block_users")
        || ["/messages", "/marketing_messages", "/calls"].iter().any(|edge| path.ends_with(edge))
}
