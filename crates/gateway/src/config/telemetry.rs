//! Traces for a collector: `[telemetry]`.

use std::time::Duration;

use portcullis_api::settings::Secret;
use portcullis_edge::settings::{FieldPath, Problem, is_http_url};
use schemars::JsonSchema;
use serde::Deserialize;

/// The share of traces that are recorded by default: one of a hundred.
const DEFAULT_SAMPLE_RATIO: f64 = 0.01;
/// In milliseconds.
const DEFAULT_TIMEOUT: u64 = 5_000;
const LEAST_TIMEOUT: u64 = 100;
const LONGEST_TIMEOUT: u64 = 60_000;
/// The most characters of a service's name.
const LONGEST_NAME: usize = 128;

/// `[telemetry]`
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Telemetry {
    /// The URL to which traces are posted, by OTLP over HTTP: with its path, such as `http://127.0.0.1:4318/v1/traces`.
    pub(crate) traces_url: String,
    /// The header `Authorization` of these requests.
    pub(crate) authorization: Option<Secret>,
    /// The share of traces that begin here which are recorded. What a client records is recorded, and what it doesn't is not.
    #[schemars(range(min = 0, max = 1), extend("default" = DEFAULT_SAMPLE_RATIO))]
    pub(crate) sample_ratio: Option<f64>,
    /// The name of the service in traces.
    #[schemars(extend("default" = "portcullis"))]
    pub(crate) service_name: Option<String>,
    /// How long a request to the collector may take, in milliseconds.
    #[schemars(range(min = LEAST_TIMEOUT, max = LONGEST_TIMEOUT), extend("default" = DEFAULT_TIMEOUT))]
    pub(crate) timeout_ms: Option<u64>,
}

/// Where traces go, and which.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TelemetrySettings {
    pub(crate) traces_url: String,
    pub(crate) authorization: Option<Secret>,
    pub(crate) sample_ratio: f64,
    pub(crate) service_name: String,
    pub(crate) timeout: Duration,
}

impl TelemetrySettings {
    /// Checks the settings, and adds what is wrong to `problems`. `place` is the path of the table.
    pub(super) fn check(typed: &Telemetry, place: &FieldPath, problems: &mut Vec<Problem>) -> Self {
        let mut wrong =
            |field: &'static str, what: String| problems.push(Problem::new(place.key(field), what));
        if !is_http_url(&typed.traces_url) {
            let what = "must be an http or https URL; write it like http://127.0.0.1:4318/v1/traces";
            wrong("traces_url", what.to_owned());
        }
        let is_header = |secret: &&Secret| secret.0.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        if typed.authorization.as_ref().is_some_and(|secret| secret.0.is_empty() || !is_header(&secret)) {
            wrong("authorization", "must be printable ASCII, such as Bearer and a token".to_owned());
        }
        let sample_ratio = typed.sample_ratio.unwrap_or(DEFAULT_SAMPLE_RATIO);
        if !(0.0..=1.0).contains(&sample_ratio) {
            wrong("sample_ratio", format!("must be from 0 to 1; leave it out for {DEFAULT_SAMPLE_RATIO}"));
        }
        let service_name = typed.service_name.clone().unwrap_or_else(|| "portcullis".to_owned());
        if !(1..=LONGEST_NAME).contains(&service_name.chars().count()) {
            wrong(
                "service_name",
                format!("must have 1 to {LONGEST_NAME} characters; leave it out for portcullis"),
            );
        }
        let timeout = typed.timeout_ms.unwrap_or(DEFAULT_TIMEOUT);
        if !(LEAST_TIMEOUT..=LONGEST_TIMEOUT).contains(&timeout) {
            let what = format!(
                "must be from {LEAST_TIMEOUT} to {LONGEST_TIMEOUT}; leave it out for {DEFAULT_TIMEOUT}"
            );
            wrong("timeout_ms", what);
        }
        TelemetrySettings {
            traces_url: typed.traces_url.clone(),
            authorization: typed.authorization.clone(),
            sample_ratio,
            service_name,
            timeout: Duration::from_millis(timeout),
        }
    }
}
