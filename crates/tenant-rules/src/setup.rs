//! A version of a rules plugin, its options, and what it may know.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_host::Pace;
use portcullis_host::rules::{self as host, Need, RuleSet, SENDERS};
use portcullis_ledger::TenantKeys;
use portcullis_plugin_store::{Digest, PluginStoreError, PluginVersion, TrustedBy};
use portcullis_rules::{Rule, strangers};
use portcullis_tenant_settings::{Chosen, Grants, PluginRef, TenantSpec};
use serde_json::{Map, Value};
use tracing::warn;

use crate::error::RuleError;
use crate::surroundings::Surroundings;

/// Rules that stop this share of the messages to strangers are remarked on in the log.
const REMARKABLE_SHARE: f64 = 0.95;

/// A version of a rules plugin, its options, and what it may know.
#[derive(Clone, Debug)]
pub struct RuleSetup {
    pub(crate) name: String,
    /// Or why it can't be loaded, or does not start.
    pub(crate) version: Result<Arc<PluginVersion>, Arc<RuleError>>,
    pub(crate) options: Map<String, Value>,
    pub(crate) pinned: bool,
    pub(crate) grants: Grants,
}

impl RuleSetup {
    /// The plugin's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The plugin's version, or why it can't be loaded, or does not start.
    ///
    /// # Errors
    /// Why it can't be loaded, or does not start.
    pub fn version(&self) -> Result<&PluginVersion, &RuleError> {
        self.version.as_deref().map_err(|error| &**error)
    }

    /// Whether the tenant stays with this version when a newer one appears.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// What the tenant lets it know.
    pub fn grants(&self) -> Grants {
        self.grants
    }

    /// The plugin's name and version, for display.
    pub fn label(&self) -> String {
        match &self.version {
            Ok(version) => format!("{} {} ({})", self.name, version.own_version(), version.digest.short()),
            Err(_) => format!("{} (not loaded)", self.name),
        }
    }

    /// Loads the version that is stored, or else the one that the plugin's name and version mean now.
    pub(crate) fn load(
        chosen: &Chosen,
        grants: Grants,
        plugins: TrustedBy<'_>,
    ) -> Result<Self, PluginStoreError> {
        let Chosen { plugin, at } = chosen;
        let version = match at.as_deref().or(plugin.pinned_version()) {
            Some(version) => plugins.version(plugin.name(), version)?,
            None => plugins.latest_or_before(plugin.name())?,
        };
        // It must be one that decides about messages.
        version.rules()?;
        Ok(RuleSetup::new(Ok(version), plugin, grants))
    }

    /// The newest earlier version that starts.
    pub(crate) fn earlier(
        plugin: &PluginRef,
        grants: Grants,
        plugins: TrustedBy<'_>,
        start: impl Fn(&Self) -> Result<Rule, RuleError>,
    ) -> Option<(Self, Rule)> {
        plugins.before_latest(plugin.name()).find_map(|version| {
            let setup = RuleSetup::new(Ok(version), plugin, grants);
            let rule = start(&setup).ok()?;
            Some((setup, rule))
        })
    }

    /// Stands in for a plugin that can't be loaded, or does not start.
    pub(crate) fn missing(plugin: &PluginRef, grants: Grants, why: impl Into<RuleError>) -> Self {
        RuleSetup::new(Err(Arc::new(why.into())), plugin, grants)
    }

    fn new(version: Result<Arc<PluginVersion>, Arc<RuleError>>, plugin: &PluginRef, grants: Grants) -> Self {
        RuleSetup {
            name: plugin.name().to_owned(),
            version,
            options: plugin.plugin_options().clone(),
            pinned: plugin.pinned_version().is_some(),
            grants,
        }
    }

    /// The version's digest; `None` if it can't be loaded.
    pub(crate) fn digest(&self) -> Option<Digest> {
        self.version.as_ref().ok().map(|version| version.digest)
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        self.name == other.name
            && self.digest().is_some()
            && self.digest() == other.digest()
            && self.options == other.options
            && self.grants == other.grants
    }

    /// Its options.
    pub fn options(&self) -> &Map<String, Value> {
        &self.options
    }

    /// Whether both are versions of one plugin, with the same grants: one can be rolled back to the other.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        self.name == other.name && self.grants == other.grants && self.version.is_ok()
    }

    /// The same as in a spec.
    pub(crate) fn plugin_ref(&self) -> PluginRef {
        let plugin = match &self.version {
            Ok(version) if self.pinned => PluginRef::version(&self.name, version.digest.to_string()),
            _ => PluginRef::latest(&self.name),
        };
        plugin.options(self.options.clone())
    }

    /// Starts the plugin for a tenant, and proves that it is a function of what it is told. One that can't be loaded makes a rule that always fails.
    pub(crate) fn start(
        &self,
        spec: &TenantSpec,
        keys: &TenantKeys,
        around: &Surroundings,
    ) -> Result<Rule, RuleError> {
        let Ok(version) = &self.version else { return Ok(Rule::missing(&self.name)) };
        let plugin = version.rules()?.clone();
        let grants = self.of_host(keys);
        let missing = plugin.description().needs.without(grants.needs());
        if missing.contains(Need::Listed) {
            return Err(RuleError::Listed);
        }
        if !missing.is_empty() {
            let names: Vec<&str> = missing.iter().map(Need::as_str).collect();
            return Err(RuleError::Grants { missing: names.join(", ") });
        }
        let senders = spec.senders.len();
        if plugin.description().needs.contains(Need::Sender) && senders > SENDERS {
            return Err(RuleError::Senders { senders });
        }
        let recipe = host::Recipe {
            plugin,
            options: Value::Object(self.options.clone()).to_string(),
            senders: spec.senders.iter().map(|sender| sender.as_str().to_owned()).collect(),
            grants,
            account: around.memory.account(spec.memory_limit),
            replicas: spec.replicas,
            pace: Arc::<Pace>::default(),
        };
        let set = RuleSet::new(recipe)?;
        let now = unix_millis();
        let proof = set.prove(now, &strangers(keys.permutation(), set.needs(), now))?;
        if proof.share() >= REMARKABLE_SHARE {
            warn!(
                tenant = %spec.id, rule = self.name, stopped = proof.stopped, asked = proof.asked,
                "the rule stops nearly all messages to strangers: make sure that it is to"
            );
        }
        Ok(Rule::new(&self.name, set, proof))
    }

    fn of_host(&self, keys: &TenantKeys) -> host::Grants {
        let Grants { number, country, local_time, sender } = self.grants;
        host::Grants {
            numbers: number.then(|| keys.permutation().clone()),
            country,
            local_time,
            sender,
            listed: false,
        }
    }

    /// Whether a change of the tenant's senders concerns it.
    pub(crate) fn knows_senders(&self) -> bool {
        let rules = self.version.as_ref().ok().and_then(|version| version.rules().ok());
        rules.is_some_and(|rules| rules.description().needs.contains(Need::Sender))
    }
}

/// Milliseconds since 1970, by the system's clock.
fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
