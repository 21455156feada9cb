//! What is known of a tenant's exchanges: what serves, what was before, and how the last one went.

use std::time::Duration;

use jiff::Timestamp;
use portcullis_host::{Disagreement, ShadowTally, Stage};

use super::wish::{Setup, Shadowing};

/// How an exchange ended, or where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Outcome {
    /// It is under way.
    UnderWay,
    /// What was wished for serves.
    Served,
    /// It does not: what served before goes on.
    Refused,
    /// It served, and the one before serves again.
    RolledBack,
}

impl Outcome {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Outcome::UnderWay => "under_way",
            Outcome::Served => "served",
            Outcome::Refused => "refused",
            Outcome::RolledBack => "rolled_back",
        }
    }
}

/// One exchange.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// What was wished for, in words.
    pub(crate) to: String,
    pub(crate) began: Timestamp,
    pub(crate) outcome: Outcome,
    /// What was wrong, in one sentence.
    pub(crate) why: Option<String>,
    /// How long each stage took, in order.
    pub(crate) stages: Vec<(Stage, Duration)>,
}

/// A shadow run that is under way, or the last one.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) terms: Shadowing,
    pub(crate) tally: ShadowTally,
    /// The names of the lists, by their place in the run.
    pub(crate) lists: Vec<String>,
}

impl Run {
    /// The name of the list that a disagreement is on.
    pub(crate) fn list_of(&self, disagreement: &Disagreement) -> &str {
        self.lists.get(disagreement.list).map_or("", String::as_str)
    }
}

/// What is known of a tenant's exchanges.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) serving: Setup,
    pub(crate) before: Option<Setup>,
    pub(crate) last: Option<Attempt>,
    pub(crate) shadow: Option<Run>,
}
