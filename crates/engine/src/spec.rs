//! What a tenant is to be.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;

use portcullis_ledger::{NameError, SenderId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a tenant is to be: its senders, its plugin, and how that is run.
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
    pub(crate) kept: Option<Vec<u8>>,
    pub(crate) resets_choice: bool,
}

/// What plugins of a tenant may have of memory unless the spec says otherwise, in bytes.
pub(crate) const DEFAULT_MEMORY_LIMIT: u64 = 1 << 30;

impl TenantSpec {
    /// A tenant without senders, served by the newest version of the built-in plugin `exact`.
    ///
    /// # Errors
    /// Where `id` is no name for a tenant.
    pub fn new(id: &str) -> Result<Self, NameError> {
        Ok(TenantSpec::of(id.parse()?))
    }

    /// As [`new`](Self::new), of a name that was parsed before.
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
            kept: None,
            resets_choice: false,
        }
    }

    /// The tenant's name.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// Which plugin serves the tenant's lists.
    #[must_use]
    pub fn plugin(mut self, plugin: PluginRef) -> Self {
        self.plugin = plugin;
        self
    }

    /// Who answers while the plugin can't.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Has the spec's plugin serve even where another one was chosen over it by a [reload](crate::Engine::reload). Without this,
    /// the choice stays until the spec names another plugin.
    #[must_use]
    pub fn reset_choice(mut self) -> Self {
        self.resets_choice = true;
        self
    }

    /// Adds a sender, with a blacklist of its own beside the tenant-wide one.
    ///
    /// # Errors
    /// Where `id` is no name for a sender.
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

    /// The most memory that all instances of the tenant's plugins may have together, in bytes: 1 GiB unless this is called.
    #[must_use]
    pub fn memory_limit(mut self, bytes: u64) -> Self {
        self.memory_limit = bytes;
        self
    }

    /// How many instances of the plugin answer for each list: 1 unless this is called. More answer more checks at once, for as many
    /// times the memory.
    #[must_use]
    pub fn replicas(mut self, replicas: NonZeroUsize) -> Self {
        self.replicas = replicas;
        self
    }

    /// Lets the plugin know numbers in clear. For plugins that decide by prefix; others work on keyed subjects.
    #[must_use]
    pub fn clear_numbers(mut self, clear_numbers: bool) -> Self {
        self.clear_numbers = clear_numbers;
        self
    }

    /// Remembers how far each list's changes have been passed on: see [`List::passed_on`](crate::List::passed_on). A tenant that
    /// begins with this is not told of changes from before.
    #[must_use]
    pub fn change_feed(mut self, change_feed: bool) -> Self {
        self.change_feed = change_feed;
        self
    }

    /// Whether plugins need not be exchanged to get from one to the other.
    pub(crate) fn runs_like(&self, other: &TenantSpec) -> bool {
        (self.memory_limit, self.replicas, self.clear_numbers)
            == (other.memory_limit, other.replicas, other.clear_numbers)
    }

    /// What the host wants kept with the tenant: handed back by [`Engine::kept`](crate::Engine::kept) after a restart. Sealed
    /// under the tenant's key, and a JSON text.
    #[must_use]
    pub fn kept(mut self, json: Option<Vec<u8>>) -> Self {
        self.kept = json;
        self
    }
}

/// A plugin, which version of it, and with which options.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PluginRef {
    #[serde(rename = "plugin")]
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) options: Map<String, Value>,
}

impl PluginRef {
    /// The newest version of a plugin; newer ones are loaded as they appear.
    pub fn latest(name: impl Into<String>) -> Self {
        PluginRef { name: name.into(), version: None, options: Map::new() }
    }

    /// One version of a plugin, by the SHA-256 digest of its component: `sha256:` and the digits, or at least the first eight of
    /// them.
    pub fn version(name: impl Into<String>, version: impl Into<String>) -> Self {
        PluginRef { name: name.into(), version: Some(version.into()), options: Map::new() }
    }

    /// With these options, which mean something to the plugin only. At most 64 KiB as JSON.
    #[must_use]
    pub fn options(mut self, options: Map<String, Value>) -> Self {
        self.options = options;
        self
    }

    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version that the tenant stays with; `None` where it follows the newest.
    pub fn pinned_version(&self) -> Option<&str> {
        self.version.as_deref()
    }

    /// The plugin's options.
    pub fn plugin_options(&self) -> &Map<String, Value> {
        &self.options
    }
}

/// Who answers while a tenant's plugin can't.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Every message passes.
    Open,
    /// Every message is blocked.
    #[default]
    Closed,
    /// The entries on disk: exact for lists of numbers, slower, and blind to a plugin's own rules.
    Ledger,
}
