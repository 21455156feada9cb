//! The record of a tenant's reloads.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_host::{Disagreement, ReloadOutcome as Outcome, ShadowTally, Stage};

use super::error::ReloadError;
use super::request::ShadowTerms;
use crate::setup::Setup;

/// One reload.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The requested plugin, for display.
    pub to: String,
    /// When the reload began.
    pub began: Timestamp,
    /// The outcome.
    pub outcome: Outcome,
    /// The error, if it failed.
    pub error: Option<Arc<ReloadError>>,
    /// The duration of each stage, in order.
    pub stages: Vec<(Stage, Duration)>,
}

impl Attempt {
    /// Whether a file was refused that can't be used.
    pub(crate) fn is_of_a_file(&self) -> bool {
        matches!(self.error.as_deref(), Some(ReloadError::NewFile(_)))
    }
}

/// A shadow run in progress, or the last one.
#[derive(Clone, Debug)]
pub struct ShadowReport {
    /// Its terms.
    pub terms: ShadowTerms,
    /// What was compared so far.
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

/// The record of a tenant's reloads.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) serving: Setup,
    pub(crate) before: Option<Setup>,
    pub(crate) last: Option<Attempt>,
    pub(crate) shadow: Option<ShadowReport>,
}

/// A snapshot of a tenant's reloads.
#[derive(Clone, Debug)]
pub struct ReloadStatus {
    /// The stage of the reload in progress.
    pub stage: Stage,
    /// Whether another reload waits for it.
    pub queued: bool,
    /// What serves.
    pub serving: Setup,
    /// Whether that is stored: after a restart it serves again, and other engines that share the ledger follow.
    pub is_stored: bool,
    /// What served before, and can be rolled back to.
    pub before: Option<Setup>,
    /// The reload in progress, or the last one.
    pub last: Option<Attempt>,
    /// The shadow run in progress, or the last one.
    pub shadow: Option<ShadowReport>,
}
