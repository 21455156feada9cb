//! What a tenant's plugin is wished to be.

use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use portcullis_host::ShadowPlan;

use crate::plugins::Version;

/// A plugin, its version and its options: what a tenant's lists are served by.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) version: Arc<Version>,
    /// A JSON text.
    pub(crate) options: String,
    /// Whether the tenant stays with this version when there is a newer one.
    pub(crate) pinned: bool,
}

impl Setup {
    /// In words: the plugin's name and its version.
    pub(crate) fn name(&self) -> String {
        let Version { name, digest, plugin, .. } = &*self.version;
        format!("{name} {} ({})", plugin.description().version, digest.short())
    }

    pub(crate) fn is(&self, other: &Setup) -> bool {
        self.version.name == other.version.name
            && self.version.digest == other.version.digest
            && self.options == other.options
    }
}

/// What is wished for. Made definite when its turn comes: settings and files may change until then.
#[derive(Debug)]
pub(crate) enum What {
    /// What the tenant's settings say, of the newest version that there is.
    Newest,
    /// Another plugin, version or options. What is left out stays as it is.
    Other { plugin: Option<String>, version: Option<String>, options: Option<String> },
    /// Just this, which has served before.
    Back(Setup),
}

/// How a candidate is to be tried on live checks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shadowing {
    pub(crate) plan: ShadowPlan,
    /// The run is over after this time, if not before.
    pub(crate) time: Option<Duration>,
}

/// A wish, and whom to tell what became of it.
#[derive(Debug)]
pub(crate) struct Wish {
    pub(crate) what: What,
    pub(crate) shadow: Option<Shadowing>,
    /// Told once; dropped untold where a later wish overtakes this one.
    pub(crate) told: Option<Sender<Told>>,
}

/// What became of a wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// It serves.
    Serves,
    /// It answers beside the one that serves.
    Shadows,
    /// It does not serve: why, in one sentence.
    Refused(String),
}
