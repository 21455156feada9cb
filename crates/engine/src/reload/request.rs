//! Which plugin a tenant is to have.

use std::sync::Arc;
use std::time::Duration;

use portcullis_host::ShadowPlan;
use portcullis_plugin_store::PluginVersion;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::error::ReloadError;
use crate::spec::PluginRef;

/// A plugin, its version and its options: what a tenant's lists are served by.
#[derive(Clone, Debug)]
pub struct Setup {
    pub(crate) version: Arc<PluginVersion>,
    pub(crate) options: Map<String, Value>,
    pub(crate) pinned: bool,
}

impl Setup {
    /// The plugin's version.
    pub fn version(&self) -> &PluginVersion {
        &self.version
    }

    /// The plugin's options.
    pub fn options(&self) -> &Map<String, Value> {
        &self.options
    }

    /// Whether the tenant stays with this version when there is a newer one.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// The plugin's name and version, for people.
    pub fn name(&self) -> String {
        let PluginVersion { name, digest, plugin, .. } = &*self.version;
        format!("{name} {} ({})", plugin.description().version, digest.short())
    }

    pub(crate) fn is(&self, other: &Setup) -> bool {
        self.version.name == other.version.name
            && self.version.digest == other.version.digest
            && self.options == other.options
    }

    /// How a spec says it.
    pub(crate) fn plugin(&self) -> PluginRef {
        PluginRef {
            name: self.version.name.clone(),
            version: self.pinned.then(|| self.version.digest.to_string()),
            options: self.options.clone(),
        }
    }
}

/// Another plugin, version or options for a tenant. What is left out stays as it is; without a version, the newest is loaded.
#[derive(Clone, Debug, Default)]
pub struct ReloadRequest {
    pub(crate) plugin: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) options: Option<Map<String, Value>>,
    pub(crate) shadow: Option<ShadowTerms>,
}

impl ReloadRequest {
    /// The newest version of the tenant's plugin, with the options it has.
    pub fn newest() -> Self {
        ReloadRequest::default()
    }

    /// Another plugin, without options unless [`options`](Self::options) gives some.
    #[must_use]
    pub fn plugin(mut self, name: impl Into<String>) -> Self {
        self.plugin = Some(name.into());
        self
    }

    /// This version, by its digest: `sha256:` and the digits, or at least the first eight of them.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// These options.
    #[must_use]
    pub fn options(mut self, options: Map<String, Value>) -> Self {
        self.options = Some(options);
        self
    }

    /// Has the new plugin answer beside the old one first, as many checks as the terms say.
    #[must_use]
    pub fn shadow(mut self, terms: ShadowTerms) -> Self {
        self.shadow = Some(terms);
        self
    }
}

impl From<PluginRef> for ReloadRequest {
    fn from(plugin: PluginRef) -> Self {
        let PluginRef { name, version, options } = plugin;
        ReloadRequest { plugin: Some(name), version, options: Some(options), shadow: None }
    }
}

/// How a plugin is tried on live checks before it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowTerms {
    /// How many checks, and how many of them may be answered in another way.
    pub plan: ShadowPlan,
    /// The run is over after this time, if not before.
    pub time: Option<Duration>,
}

/// How far a reload has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The plugin serves.
    Serves,
    /// The plugin answers beside the one that serves.
    Shadows,
}

/// What is asked for. Made definite when its turn comes: settings and files may change until then.
#[derive(Debug)]
pub(crate) enum Goal {
    /// What the tenant's settings say, of the newest version that there is.
    Newest,
    /// What a request says.
    Requested(ReloadRequest),
    /// Just this, which has served before.
    Back(Setup),
}

/// Hears once what became of a request. Dropped unanswered where a later request overtakes it.
pub(crate) type Reply = oneshot::Sender<Result<Reloaded, Arc<ReloadError>>>;
pub(crate) type Answer = oneshot::Receiver<Result<Reloaded, Arc<ReloadError>>>;

/// A request in the queue.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) goal: Goal,
    pub(crate) shadow: Option<ShadowTerms>,
    pub(crate) reply: Option<Reply>,
}
