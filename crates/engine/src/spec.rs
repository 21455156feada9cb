//! The specification of a tenant.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use portcullis_ledger::{NameError, SenderId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::acknowledgements::Acknowledge;

/// The specification of a tenant: its senders, its plugin, and how the plugin is run.
#[derive(Clone, Debug, PartialEq)]
pub struct TenantSpec {
    pub(crate) id: TenantId,
    pub(crate) plugin: PluginRef,
    pub(crate) on_failure: OnFailure,
    pub(crate) senders: BTreeSet<SenderId>,
    pub(crate) memory_limit: u64,
    pub(crate) replicas: NonZeroUsize,
    pub(crate) clear_numbers: bool,
    pub(crate) change_feed: bool,
    pub(crate) acknowledge: Acknowledge,
    pub(crate) kept: Option<Vec<u8>>,
    pub(crate) resets_choice: bool,
    pub(crate) starts_regardless: bool,
}

/// The default of [`TenantSpec::memory_limit`], in bytes.
pub(crate) const DEFAULT_MEMORY_LIMIT: u64 = 1 << 30;

impl TenantSpec {
    /// Creates a spec without senders, served by the newest version of the built-in plugin `exact`.
    ///
    /// # Errors
    /// If `id` is not a valid tenant name: 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub fn new(id: &str) -> Result<Self, NameError> {
        Ok(TenantSpec::of(id.parse()?))
    }

    /// Like [`new`](Self::new), with a parsed name.
    pub fn of(id: TenantId) -> Self {
        TenantSpec {
            id,
            plugin: PluginRef::latest("exact"),
            on_failure: OnFailure::default(),
            senders: BTreeSet::new(),
            memory_limit: DEFAULT_MEMORY_LIMIT,
            replicas: NonZeroUsize::MIN,
            clear_numbers: false,
            change_feed: false,
            acknowledge: Acknowledge::default(),
            kept: None,
            resets_choice: false,
            starts_regardless: false,
        }
    }

    /// The tenant's name.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// Sets the plugin that serves the tenant's lists.
    ///
    /// A [reload](crate::Engine::reload) may choose another plugin. That choice outlives restarts and further specs, until a spec
    /// names another plugin than the one that it was made over, or calls [`reset_choice`](Self::reset_choice).
    #[must_use]
    pub fn plugin(mut self, plugin: PluginRef) -> Self {
        self.plugin = plugin;
        self
    }

    /// Sets the policy that answers checks while the plugin can't: [`OnFailure::Closed`] by default.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Drops the plugin that a [reload](crate::Engine::reload) chose, so that the spec's own plugin serves.
    #[must_use]
    pub fn reset_choice(mut self) -> Self {
        self.resets_choice = true;
        self
    }

    /// Puts a new tenant also if its plugin can't be loaded, does not start with these options, or does not take the entries: its lists
    /// are out of service then, and its failure policy answers, until the plugin starts or another one is
    /// [loaded](crate::Engine::reload). The last reload of the [status](crate::Engine::tenant_status) says why.
    ///
    /// For hosts that start many tenants, of which one must not keep the others from being served. By default such a tenant is an
    /// error.
    #[must_use]
    pub fn starts_regardless(mut self, regardless: bool) -> Self {
        self.starts_regardless = regardless;
        self
    }

    /// Adds a sender. It has a blacklist of its own beside the tenant-wide one.
    ///
    /// # Errors
    /// If `id` is not a valid sender name: 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub fn sender(mut self, id: &str) -> Result<Self, NameError> {
        self.senders.insert(id.parse()?);
        Ok(self)
    }

    /// Adds senders.
    #[must_use]
    pub fn senders(mut self, senders: impl IntoIterator<Item = SenderId>) -> Self {
        self.senders.extend(senders);
        self
    }

    /// Limits the memory of all the tenant's plugin instances together, in bytes: 1 GiB by default.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// Sets how many instances of the plugin answer for each list: 1 by default. Each further instance answers checks in
    /// parallel, and takes the memory of the whole list.
    #[must_use]
    pub fn replicas(mut self, replicas: NonZeroUsize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Shows numbers to the plugin in clear. Required by plugins that decide by prefix; others see keyed subjects only.
    #[must_use]
    pub fn clear_numbers(mut self, clear_numbers: bool) -> Self {
        self.clear_numbers = clear_numbers;
        self
    }

    /// Tracks how far each list's changes were passed on: see [`List::passed_on`](crate::List::passed_on). The feed of a list
    /// starts when it is first put with this, without earlier changes.
    #[must_use]
    pub fn change_feed(mut self, change_feed: bool) -> Self {
        self.change_feed = change_feed;
        self
    }

    /// Sets when writes are acknowledged: [`Acknowledge::Node`] by default.
    #[must_use]
    pub fn acknowledge(mut self, acknowledge: Acknowledge) -> Self {
        self.acknowledge = acknowledge;
        self
    }

    /// Whether generations made for one spec also suit the other.
    pub(crate) fn runs_like(&self, other: &TenantSpec) -> bool {
        (self.memory_limit, self.replicas, self.clear_numbers)
            == (other.memory_limit, other.replicas, other.clear_numbers)
    }

    /// Stores data of the host with the tenant, as JSON, sealed under the tenant's key. [`Engine::kept`](crate::Engine::kept)
    /// returns it, also after a restart. `None`, the default, removes what an earlier spec stored.
    #[must_use]
    pub fn kept(mut self, json: Option<Vec<u8>>) -> Self {
        self.kept = json;
        self
    }
}

/// A plugin, its version, and its options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRef {
    #[serde(rename = "plugin")]
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) options: Map<String, Value>,
}

impl PluginRef {
    /// The newest version of a plugin. Newer versions are loaded as they appear.
    pub fn latest(name: impl Into<String>) -> Self {
        PluginRef { name: name.into(), version: None, options: Map::new() }
    }

    /// A fixed version of a plugin, by the SHA-256 digest of its component: `sha256:` and the hexadecimal digits, or at least
    /// the first eight of them.
    pub fn version(name: impl Into<String>, version: impl Into<String>) -> Self {
        PluginRef { name: name.into(), version: Some(version.into()), options: Map::new() }
    }

    /// Sets the plugin's options, at most 64 KiB as JSON. Only the plugin interprets them.
    #[must_use]
    pub fn options(mut self, options: Map<String, Value>) -> Self {
        self.options = options;
        self
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The fixed version; `None` if the tenant follows the newest.
    pub fn pinned_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The plugin's options.
    pub fn plugin_options(&self) -> &Map<String, Value> {
        &self.options
    }
}

/// The policy that answers checks while a tenant's plugin can't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Allow every message.
    Open,
    /// Block every message.
    #[default]
    Closed,
    /// Fall back to the entries in the ledger: exact, slower, and without the plugin's own rules.
    Ledger,
}
