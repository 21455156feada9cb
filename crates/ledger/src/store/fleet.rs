//! What the gateways that share a ledger say of themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::error::LedgerError;

/// After which time without a word a gateway counts as gone.
const GONE: Duration = Duration::from_secs(15);

/// What a gateway says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// The version of its program.
    pub program: String,
    /// Its settings that should be the same at all gateways, by name, in any form that is the same if they are. Only keyed digests of the
    /// values are stored.
    pub settings: BTreeMap<String, String>,
}

/// A gateway that shares the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name. Two gateways may have the same by mistake.
    pub name: String,
    /// Whether it is the one that asks.
    pub is_self: bool,
    /// The version of its program.
    pub program: String,
    /// When it started.
    pub started: Timestamp,
    /// How long ago it was last heard of.
    pub silent_for: Duration,
    /// How long ago it last knew everything that others had written, as it said then.
    pub staleness: Duration,
    /// The names of its settings that differ from those of the one that asks.
    pub differing: BTreeSet<String>,
}

/// A lease that somebody has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// The name of the lease.
    pub name: String,
    /// The name of the gateway that has it.
    pub holder: String,
}

/// The gateways that share a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fleet {
    /// The gateways, by name and start. Those that were not heard of for a day are left out.
    pub members: Vec<Member>,
    /// The leases, by name.
    pub leases: Vec<Lease>,
}

impl Member {
    /// Whether it was heard of lately.
    pub fn is_there(&self) -> bool {
        self.silent_for < GONE
    }
}

impl Fleet {
    /// The settings in which gateways that are there differ from the one that asks, with the names of these gateways.
    pub fn differences(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut differences: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for member in self.members.iter().filter(|member| member.is_there()) {
            for setting in &member.differing {
                differences.entry(setting).or_default().insert(&member.name);
            }
        }
        differences
    }
}

/// What the gateways say of themselves. The methods' own bodies are those of a ledger that is not shared.
pub trait Members: Send + Sync {
    /// Says what this gateway is, and that it is there.
    fn describe(&self, description: &Description, staleness: Duration) -> Result<(), LedgerError> {
        let _ = (description, staleness);
        Ok(())
    }

    /// Says that this gateway is no longer there.
    fn withdraw(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// The gateways that share the ledger.
    fn fleet(&self) -> Result<Fleet, LedgerError> {
        Ok(Fleet::default())
    }
}
