//! The specification of a tenant.

use std::collections::BTreeSet;
use std::iter;
use std::num::NonZeroUsize;

use portcullis_ledger::{NameError, Scope, SenderId, TenantId};
use portcullis_plugin_trust::TrustedKeys;

use crate::acknowledge::Acknowledge;
use crate::on_failure::OnFailure;
use crate::plugin_ref::PluginRef;
use crate::rule::RuleSpec;

/// What putting a tenant with a spec did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It created the tenant.
    Created,
    /// It replaced the tenant's earlier spec.
    Replaced,
}

/// The specification of a tenant: its senders, its plugin, and how the plugin is run.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TenantSpec {
    /// The tenant's name.
    pub id: TenantId,
    /// The plugin that serves the tenant's lists, unless a reload has chosen another one.
    pub plugin: PluginRef,
    /// The rules plugins that are asked about what the list lets pass, in this order.
    pub rules: Vec<RuleSpec>,
    /// The policy that answers checks while the plugin can't.
    pub on_failure: OnFailure,
    /// The senders, each with a blacklist of its own.
    pub senders: BTreeSet<SenderId>,
    /// The most memory of all the tenant's plugin instances together, in bytes.
    pub memory_limit: u64,
    /// The most memory of what the tenant's rules count, in bytes.
    pub meter_memory: u64,
    /// How many instances of the plugin answer for each list.
    pub replicas: NonZeroUsize,
    /// Whether the plugin sees numbers in clear.
    pub clear_numbers: bool,
    /// Whether it is tracked how far each list's changes were passed on.
    pub change_feed: bool,
    /// When writes are acknowledged.
    pub acknowledge: Acknowledge,
    /// The host's data, as JSON.
    pub kept: Option<Vec<u8>>,
    /// The host's data that must be stored, so that `kept` takes its place; `None` if any may be.
    pub kept_over: Option<Vec<u8>>,
    /// Whether what is stored of the tenant stays as it is.
    pub is_stored: bool,
    /// Whether the plugin that a reload chose is dropped.
    pub resets_choice: bool,
    /// Whether a new tenant is put also if its plugin does not start.
    pub starts_regardless: bool,
    /// The keys by one of which the tenant's plugins must be signed.
    pub trusted_keys: TrustedKeys,
}

/// The default of [`TenantSpec::memory_limit()`], in bytes.
const DEFAULT_MEMORY_LIMIT: u64 = 1 << 30;

/// The default of [`TenantSpec::meter_memory()`], in bytes.
const DEFAULT_METER_MEMORY: u64 = 64 << 20;

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
            rules: Vec::new(),
            on_failure: OnFailure::default(),
            senders: BTreeSet::new(),
            memory_limit: DEFAULT_MEMORY_LIMIT,
            meter_memory: DEFAULT_METER_MEMORY,
            replicas: NonZeroUsize::MIN,
            clear_numbers: false,
            change_feed: false,
            acknowledge: Acknowledge::default(),
            kept: None,
            kept_over: None,
            is_stored: false,
            resets_choice: false,
            starts_regardless: false,
            trusted_keys: TrustedKeys::default(),
        }
    }

    /// The tenant's name.
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// The tenant's lists: its own one, and one for each sender.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> {
        iter::once(Scope::Tenant).chain(self.senders.iter().cloned().map(Scope::Sender))
    }

    /// Sets the plugin that serves the tenant's lists.
    ///
    /// A reload may choose another plugin. That choice outlives restarts and further specs, until a spec
    /// names another plugin than the one that it was made over, or calls [`reset_choice`](Self::reset_choice).
    #[must_use]
    pub fn plugin(mut self, plugin: PluginRef) -> Self {
        self.plugin = plugin;
        self
    }

    /// Sets the rules plugins, none by default. They are asked in this order about messages that the lists let pass, and the first one that
    /// stops a message decides. Each plugin may stand once.
    #[must_use]
    pub fn rules(mut self, rules: Vec<RuleSpec>) -> Self {
        self.rules = rules;
        self
    }

    /// Sets the policy that answers checks while the plugin can't: [`OnFailure::Closed`] by default.
    #[must_use]
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Drops the plugin that a reload chose, so that the spec's own plugin serves.
    #[must_use]
    pub fn reset_choice(mut self) -> Self {
        self.resets_choice = true;
        self
    }

    /// Puts a new tenant also if its plugin can't be loaded, does not start with these options, or does not take the entries: its lists
    /// are out of service then, and its failure policy answers, until the plugin starts or another one is
    /// loaded. The last reload of the tenant's status says why.
    ///
    /// For hosts that start many tenants, of which one must not keep the others from being served. By default such a tenant is an
    /// error.
    #[must_use]
    pub fn starts_regardless(mut self, regardless: bool) -> Self {
        self.starts_regardless = regardless;
        self
    }

    /// Sets keys by one of which the tenant's plugins must be signed, unless they are built in: by default, all are trusted that the engine
    /// trusts. A plugin that serves and is not trusted any more is an error.
    #[must_use]
    pub fn trusted_keys(mut self, keys: TrustedKeys) -> Self {
        self.trusted_keys = keys;
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

    /// Limits the memory of what the tenant's rules count, in bytes: 64 MiB by default, which is room for 400,000 to 800,000 counters. Where
    /// there is no room to count a message, the failure policy answers.
    #[must_use]
    pub fn meter_memory(mut self, bytes: u64) -> Self {
        self.meter_memory = bytes;
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

    /// Tracks how far each list's changes were passed on. The feed of a list starts when it is first put with this, without earlier changes.
    #[must_use]
    pub fn change_feed(mut self, change_feed: bool) -> Self {
        self.change_feed = change_feed;
        self
    }

    /// Whether the spec [drops](Self::reset_choice) the choice of this plugin: not if it names the same, of which a version was chosen.
    pub fn drops_choice(&self, chosen: &PluginRef) -> bool {
        self.resets_choice && *chosen != self.plugin
    }

    /// Sets when writes are acknowledged: [`Acknowledge::Node`] by default.
    #[must_use]
    pub fn acknowledge(mut self, acknowledge: Acknowledge) -> Self {
        self.acknowledge = acknowledge;
        self
    }

    /// Whether generations made for one spec also suit the other.
    pub fn runs_like(&self, other: &TenantSpec) -> bool {
        (self.memory_limit, self.replicas, self.clear_numbers)
            == (other.memory_limit, other.replicas, other.clear_numbers)
    }

    /// Stores data of the host with the tenant, as JSON, sealed under the tenant's key. It outlives a restart. `None`, the default, removes what an earlier spec stored.
    #[must_use]
    pub fn kept(mut self, json: Option<Vec<u8>>) -> Self {
        self.kept = json;
        self
    }

    /// Puts the tenant only if exactly this is stored as its [kept](Self::kept()) data until the new data is. Otherwise the
    /// ledger's error is `SettingsChanged`: another engine that shares the ledger was faster, so make the new data from what is stored now.
    #[must_use]
    pub fn kept_over(mut self, json: Vec<u8>) -> Self {
        self.kept_over = Some(json);
        self
    }

    /// Says that the tenant is put as it is stored, such as after a start, or after another engine changed it: nothing of it is written,
    /// neither its [kept](Self::kept()) data nor which plugin was chosen, so that it takes back nothing that others store meanwhile.
    #[must_use]
    pub fn stored(mut self, is_stored: bool) -> Self {
        self.is_stored = is_stored;
        self
    }
}
