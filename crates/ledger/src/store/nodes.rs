//! The gateways that share a ledger: which are live, what they are, and how far they have followed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use portcullis_ledger_model::{FeedPosition, ListId, Seq};

use crate::error::LedgerError;

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
pub struct Node {
    /// Its name. Two gateways may have the same by mistake.
    pub name: String,
    /// Whether it is the one that asks.
    pub is_self: bool,
    /// Whether it is live: others wait for it.
    pub is_live: bool,
    /// The version of its program. `None` if it is starting and has not said yet what it is.
    pub program: Option<String>,
    /// When it started.
    pub started: Timestamp,
    /// How long ago it was last heard of.
    pub silent_for: Duration,
    /// How long ago it last knew everything that others had written, as it said then.
    pub staleness: Duration,
    /// The names of its settings that differ from those of the one that asks. Of a group that only one of them has, such as `tenants.acme`,
    /// it is the name of the group.
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
    pub nodes: Vec<Node>,
    /// The leases, by name.
    pub leases: Vec<Lease>,
}

impl Fleet {
    /// The number of gateways that are live.
    pub fn live(&self) -> usize {
        self.nodes.iter().filter(|node| node.is_live).count()
    }

    /// The settings in which live gateways differ from the one that asks, with the names of these gateways.
    pub fn differences(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        let mut differences: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for node in self.nodes.iter().filter(|node| node.is_live) {
            for setting in &node.differing {
                differences.entry(setting).or_default().insert(&node.name);
            }
        }
        differences
    }
}

/// What the gateways that share a ledger know of each other. The methods' own bodies are those of a ledger that is not shared.
pub trait Nodes: Send + Sync {
    /// What this process is, from the next [`stay_alive`](Self::stay_alive) on.
    fn describe(&self, description: &Description) {
        let _ = description;
    }

    /// Says that this process is live, for so long, and how far it follows.
    fn stay_alive(&self, lasting: Duration, staleness: Duration) -> Result<(), LedgerError> {
        let _ = (lasting, staleness);
        Ok(())
    }

    /// Says that this process has followed up to a position, all lists but those that are behind.
    fn report_progress(&self, position: &FeedPosition, behind: &[ListId]) -> Result<(), LedgerError> {
        let _ = (position, behind);
        Ok(())
    }

    /// Those of these changes that all other live processes have followed.
    fn followed_by_all(&self, changes: &[(ListId, Seq)]) -> Result<Vec<(ListId, Seq)>, LedgerError> {
        Ok(changes.to_vec())
    }

    /// Says that this process is gone.
    fn leave(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// The processes that share the ledger, and who has which lease.
    fn fleet(&self) -> Result<Fleet, LedgerError> {
        Ok(Fleet::default())
    }
}
