//! `/admin/tenants/{tenant}/meters`: what a tenant's rules count.

use portcullis_msisdn::Direction;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Channel, Purpose};

/// What a tenant's rules count.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct MetersAnswer {
    /// The tenant's name.
    pub tenant: String,
    /// The memory of the counters, in bytes.
    pub memory_bytes: u64,
    /// The limit of that, in bytes: the tenant's `meter_memory_bytes`.
    pub memory_limit_bytes: u64,
    /// How many counters there are.
    pub counters: u64,
    /// How many messages were not counted since the gateway started, as there was no room. The failure policy answered them.
    pub uncounted: u64,
    /// How many counts of other gateways found no room since the gateway started. The failure policy answers messages of their like.
    pub unmerged: u64,
    /// The meters, each once.
    pub meters: Vec<MeterAnswer>,
}

/// A meter, and its highest counts.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct MeterAnswer {
    /// The rules plugins that read it.
    pub rules: Vec<String>,
    /// Which messages are counted together: `tenant` (all), `subject` (those of a person), `sender`, `country` or `prefix`.
    pub scope: String,
    /// For `prefix`: of numbers that share how many leading digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<u8>,
    /// What is added up: `messages` or `segments`.
    pub unit: String,
    /// How long a message counts, in seconds, and up to an eighth longer.
    pub window_seconds: u32,
    /// The directions that are counted.
    pub directions: Vec<Direction>,
    /// The channels that are counted.
    pub channels: Vec<Channel>,
    /// The purposes that are counted.
    pub purposes: Vec<Purpose>,
    /// The highest counts, the highest first.
    pub highest: Vec<CountAnswer>,
}

/// A count.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct CountAnswer {
    /// What it is of: a country, a sender, leading digits, or a number with most of its digits masked. `all` for a tenant, `none` for messages
    /// of no sender or country, `others` for those that found no room.
    pub of: String,
    /// How many count now, at all gateways.
    pub count: u32,
}
