//! `/admin/tenants/{tenant}/messages`: the messages that a tenant's rules are asked about, without numbers.

use std::num::NonZeroU16;

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Channel, Purpose, Verdict};

/// Some of the messages that a tenant's rules are asked about.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct RecordingAnswer {
    /// The messages, in order. A line each of these makes a recording.
    pub messages: Vec<RecordedMessage>,
    /// Where the next page begins.
    pub next: u64,
    /// How many messages before these were dropped, as nobody read them in time.
    pub skipped: u64,
}

/// A message that rules were asked about. It has no number.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct RecordedMessage {
    /// When, RFC 3339.
    #[schemars(extend("format" = "date-time"))]
    pub at: String,
    /// Seen from the business.
    pub direction: Direction,
    /// How it goes.
    pub channel: Channel,
    /// What it is for.
    pub purpose: Purpose,
    /// The parts that it is charged as.
    pub segments: NonZeroU16,
    /// The person, as a plugin without the grant `number` sees them: a pseudonym under the tenant's key, below 2^50.
    pub subject: u64,
    /// The pseudonym by which messages to the person are counted, however the number is spelled.
    pub person: u64,
    /// The country of the number, ISO 3166-1. Omitted if it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// The least and the greatest offset from UTC that the person's clock may have had, in minutes.
    pub offsets: [i16; 2],
    /// The sender. Omitted if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Whether it was on its way, rather than only asked about.
    pub sent: bool,
    /// What the rules decided.
    pub verdict: Verdict,
    /// The rules plugin that stopped it. Omitted if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<String>,
    /// The plugin's reason. Omitted if none stopped it, or the plugin failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
