//! What is known of a tenant's reloads: what serves, what served before, and how the last one went.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_host::{Disagreement, ShadowTally, Stage};

use super::error::ReloadError;
use super::request::{Setup, ShadowTerms};
use crate::outcome::Outcome;

/// One reload.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The plugin that was asked for, for people.
    pub to: String,
    /// When it began.
    pub began: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What was wrong.
    pub error: Option<Arc<ReloadError>>,
    /// How long each stage took, in order.
    pub stages: Vec<(Stage, Duration)>,
}

/// A shadow run that is under way, or the last one.
#[derive(Clone, Debug)]
pub struct ShadowReport {
    /// Its terms.
    pub terms: ShadowTerms,
    /// What was compared.
    pub tally: ShadowTally,
    /// The names of the lists, by their place in the run.
    pub(crate) lists: Vec<String>,
}

impl ShadowReport {
    /// The name of the list that a disagreement is on.
    pub fn list_of(&self, disagreement: &Disagreement) -> &str {
        self.lists.get(disagreement.list).map_or("", String::as_str)
    }
}

/// What is known of a tenant's reloads.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) serving: Setup,
    pub(crate) before: Option<Setup>,
    pub(crate) last: Option<Attempt>,
    pub(crate) shadow: Option<ShadowReport>,
}

/// How a tenant's plugin stands.
#[derive(Clone, Debug)]
pub struct ReloadStatus {
    /// What the reload that is under way does.
    pub stage: Stage,
    /// Whether another reload waits for it.
    pub queued: bool,
    /// What serves.
    pub serving: Setup,
    /// What served before, and can be gone back to.
    pub before: Option<Setup>,
    /// The last reload, or the one under way.
    pub last: Option<Attempt>,
    /// The last shadow run, or the one under way.
    pub shadow: Option<ShadowReport>,
}
