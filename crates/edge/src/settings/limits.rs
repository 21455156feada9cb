//! What clients may take of the gateway: `[limits]`.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{FieldPath, Problem};

/// `[limits]`: how much memory, how many connections and how much patience clients get.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory for the bodies of requests whose author is not known yet, in bytes, over all connections: 16 MiB to 64 GiB.
    /// Default: 64 MiB. One address gets at most a quarter.
    #[schemars(range(min = LEAST_UNVERIFIED, max = MOST_MEMORY))]
    pub unverified_body_bytes: u64,
    /// Memory for bodies over 64 KiB of requests whose author is known, in bytes: `server.max_body_bytes` to 64 GiB.
    /// Default: 256 MiB, or `server.max_body_bytes` if that is more. One tenant gets at most half, and the administrator has twice
    /// `server.max_body_bytes` besides.
    #[schemars(range(max = MOST_MEMORY))]
    pub body_bytes: Option<u64>,
    /// Memory for answers over 64 KiB that clients have not read yet, in bytes: 64 MiB to 64 GiB. Default: 256 MiB. One tenant gets
    /// at most a quarter.
    #[schemars(range(min = LEAST_ANSWERS, max = MOST_MEMORY))]
    pub answer_bytes: u64,
    /// The most connections of clients, 16 to 1,000,000. Default, and maximum: what the limit of open files allows.
    #[schemars(range(min = LEAST_CONNECTIONS, max = MOST_CONNECTIONS))]
    pub max_connections: Option<u32>,
    /// The most connections of one address, 4 to 1,000,000. Default: half of the connections.
    #[schemars(range(min = LEAST_PER_ADDRESS, max = MOST_CONNECTIONS))]
    pub max_connections_per_address: Option<u32>,
    /// How long a client may take none of a response, in seconds: 1 to 3,600. Default: 30.
    #[schemars(range(min = 1, max = LONGEST_RESPONSE_TIMEOUT))]
    pub response_timeout_seconds: u64,
    /// How many requests with an unknown token one address may send in a minute before they get 429: 1 to 1,000,000.
    /// Default: 60.
    #[schemars(range(min = 1, max = MOST_WRONG_TOKENS))]
    pub wrong_tokens_per_minute: u32,
}

const LEAST_UNVERIFIED: u64 = 16 << 20;
const LEAST_ANSWERS: u64 = 64 << 20;
const LEAST_CONNECTIONS: u32 = 16;
const LEAST_PER_ADDRESS: u32 = 4;
const LONGEST_RESPONSE_TIMEOUT: u64 = 3600;
const MOST_WRONG_TOKENS: u32 = 1_000_000;
const DEFAULT_UNVERIFIED: u64 = 64 << 20;
const DEFAULT_BODIES: u64 = 256 << 20;
const DEFAULT_ANSWERS: u64 = 256 << 20;
const MOST_MEMORY: u64 = 64 << 30;
const MOST_CONNECTIONS: u32 = 1_000_000;
const DEFAULT_RESPONSE_TIMEOUT: u64 = 30;
const DEFAULT_WRONG_TOKENS: u32 = 60;

impl Default for Limits {
    fn default() -> Self {
        Limits {
            unverified_body_bytes: DEFAULT_UNVERIFIED,
            body_bytes: None,
            answer_bytes: DEFAULT_ANSWERS,
            max_connections: None,
            max_connections_per_address: None,
            response_timeout_seconds: DEFAULT_RESPONSE_TIMEOUT,
            wrong_tokens_per_minute: DEFAULT_WRONG_TOKENS,
        }
    }
}

impl Limits {
    /// Validates the settings, and adds each mistake to `problems`. `place` is that of `[limits]`; `max_body_bytes` is the
    /// largest request body.
    pub fn check(&self, max_body_bytes: u64, place: &FieldPath, problems: &mut Vec<Problem>) {
        let mut problem = |key, what: &str| problems.push(Problem::new(place.key(key), what));
        if !(LEAST_UNVERIFIED..=MOST_MEMORY).contains(&self.unverified_body_bytes) {
            let what = "must be between 16777216 (16 MiB) and 68719476736 (64 GiB); leave it out for 67108864 (64 MiB)";
            problem("unverified_body_bytes", what);
        }
        if self.body_bytes.is_some_and(|bytes| !(max_body_bytes..=MOST_MEMORY).contains(&bytes)) {
            let what = "must be between server.max_body_bytes and 68719476736 (64 GiB); leave it out for \
                268435456 (256 MiB)";
            problem("body_bytes", what);
        }
        if !(LEAST_ANSWERS..=MOST_MEMORY).contains(&self.answer_bytes) {
            let what = "must be between 67108864 (64 MiB) and 68719476736 (64 GiB); leave it out for 268435456 (256 MiB)";
            problem("answer_bytes", what);
        }
        if self.max_connections.is_some_and(|most| !(LEAST_CONNECTIONS..=MOST_CONNECTIONS).contains(&most)) {
            let what =
                "must be between 16 and 1000000; leave it out for as many as the limit of open files allows";
            problem("max_connections", what);
        }
        if self
            .max_connections_per_address
            .is_some_and(|most| !(LEAST_PER_ADDRESS..=MOST_CONNECTIONS).contains(&most))
        {
            let what = "must be between 4 and 1000000; leave it out for half of the connections";
            problem("max_connections_per_address", what);
        }
        if !(1..=LONGEST_RESPONSE_TIMEOUT).contains(&self.response_timeout_seconds) {
            problem("response_timeout_seconds", "must be between 1 and 3600; leave it out for 30");
        }
        if !(1..=MOST_WRONG_TOKENS).contains(&self.wrong_tokens_per_minute) {
            problem("wrong_tokens_per_minute", "must be between 1 and 1000000; leave it out for 60");
        }
    }

    /// The memory for large bodies of requests whose author is known, in bytes.
    pub fn body_bytes(&self, max_body_bytes: usize) -> usize {
        let bytes = self.body_bytes.unwrap_or(DEFAULT_BODIES);
        usize::try_from(bytes).unwrap_or(usize::MAX).max(max_body_bytes)
    }

    /// The memory for bodies of requests whose author is not known, in bytes.
    pub fn unverified_body_bytes(&self) -> usize {
        usize::try_from(self.unverified_body_bytes).unwrap_or(usize::MAX)
    }

    /// The memory for large answers that clients have not read yet, in bytes.
    pub fn answer_bytes(&self) -> usize {
        usize::try_from(self.answer_bytes).unwrap_or(usize::MAX)
    }

    /// How many requests with an unknown token an address may send in a minute.
    pub fn wrong_tokens_per_minute(&self) -> NonZeroU32 {
        NonZeroU32::new(self.wrong_tokens_per_minute).unwrap_or(NonZeroU32::MIN)
    }
}
