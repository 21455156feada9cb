//! Requests for a reload.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_host::ShadowPlan;
use portcullis_plugin_store::Trial;
use portcullis_tenant_settings::{Chosen, PluginRef};
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::error::ReloadError;
use crate::error::TenantError;
use crate::setup::Setup;

/// A request for another plugin, version or options. What it does not name stays; without a version, the newest is loaded.
#[derive(Clone, Debug, Default)]
pub struct ReloadRequest {
    pub(crate) plugin: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) options: Option<Map<String, Value>>,
    pub(crate) shadow: Option<ShadowTerms>,
}

impl ReloadRequest {
    /// Requests the newest version of the tenant's plugin, with the present options.
    pub fn newest() -> Self {
        ReloadRequest::default()
    }

    /// Requests a plugin. If it is not the present one, it gets no options unless [`options`](Self::options) sets some.
    #[must_use]
    pub fn plugin(mut self, name: impl Into<String>) -> Self {
        self.plugin = Some(name.into());
        self
    }

    /// Requests a fixed version, by the digest of its component: `sha256:` and the hexadecimal digits, or at least the first eight
    /// of them.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(version.into());
        self
    }

    /// Requests options.
    #[must_use]
    pub fn options(mut self, options: Map<String, Value>) -> Self {
        self.options = Some(options);
        self
    }

    /// Has the plugin answer live checks beside the present one first, under these terms.
    #[must_use]
    pub fn shadow(mut self, terms: ShadowTerms) -> Self {
        self.shadow = Some(terms);
        self
    }
}

impl From<PluginRef> for ReloadRequest {
    fn from(plugin: PluginRef) -> Self {
        ReloadRequest {
            plugin: Some(plugin.name().to_owned()),
            version: plugin.pinned_version().map(str::to_owned),
            options: Some(plugin.plugin_options().clone()),
            shadow: None,
        }
    }
}

/// The terms of a shadow run, in which a plugin answers live checks before it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShadowTerms {
    /// How many checks to compare, and how many disagreements to allow.
    pub plan: ShadowPlan,
    /// The longest duration of the run.
    pub time: Option<Duration>,
}

/// The result of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reloaded {
    /// The plugin serves.
    Serves,
    /// The plugin answers beside the one that serves: its shadow run began.
    Shadows,
}

/// The goal of a request. Resolved when its turn comes: specs and files may change until then.
#[derive(Clone, Debug)]
pub(crate) enum Goal {
    /// The newest version of the plugin that serves.
    Newest,
    /// What a request says.
    Requested(ReloadRequest),
    /// Exactly this, which has served before.
    Back(Setup),
    /// An uploaded version of the plugin that serves.
    Trial(Arc<Trial>),
    /// The newest version of the plugin that serves the tenant, which its newest one did not, for this reason.
    Earlier(Arc<TenantError>),
    /// What is stored: another engine that shares the ledger has chosen it.
    Stored(Chosen),
}

/// Sends the answer to a request, once. Dropped without an answer if a later request supersedes this one.
#[derive(Clone, Debug)]
pub(crate) struct Reply(Arc<Mutex<Option<oneshot::Sender<Reported>>>>);

pub(crate) type Answer = oneshot::Receiver<Reported>;

type Reported = Result<Reloaded, Arc<ReloadError>>;

impl Reply {
    pub(super) fn new() -> (Self, Answer) {
        let (sender, answer) = oneshot::channel();
        (Reply(Arc::new(Mutex::new(Some(sender)))), answer)
    }

    pub(super) fn send(&self, answer: Reported) {
        if let Some(sender) = self.0.lock().take() {
            // The caller may have stopped waiting.
            let _ = sender.send(answer);
        }
    }
}

/// A request in the queue.
#[derive(Clone, Debug)]
pub(crate) struct Queued {
    pub(crate) goal: Goal,
    pub(crate) shadow: Option<ShadowTerms>,
    pub(crate) reply: Option<Reply>,
}
