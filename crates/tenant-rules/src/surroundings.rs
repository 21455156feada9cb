//! What the rules of all tenants of an engine have in common.

use std::path::PathBuf;
use std::sync::Arc;

use portcullis_admission::{Lifecycle, Workers};
use portcullis_host::MemoryPool;
use portcullis_ledger::{Ledger, TenantId};
use portcullis_meters::Clock;
use portcullis_plugin_store::PluginStore;
use portcullis_tenant_settings::SettingsStore;

/// Called with the tenant, the rule, and the kind of each fault of a rule.
pub type OnRuleFault = Box<dyn Fn(&TenantId, &str, &'static str) + Send + Sync>;

/// What the rules of all tenants of an engine have in common.
pub struct Surroundings {
    /// The ledger.
    pub ledger: Ledger,
    /// The tenants' stored settings.
    pub settings: Arc<SettingsStore>,
    /// The plugins.
    pub plugins: Arc<PluginStore>,
    /// What the plugins of all tenants may take together.
    pub memory: Arc<MemoryPool>,
    /// Whether the engine is open.
    pub lifecycle: Arc<Lifecycle>,
    /// Runs exchanges that nobody waits for.
    pub workers: Arc<Workers>,
    /// By which messages are counted.
    pub clock: Clock,
    /// Where it is saved what rules count.
    pub dir: PathBuf,
    /// The name of this engine among those that share the ledger; empty if it is not shared.
    pub node: String,
    /// Hears of faults.
    pub on_fault: OnRuleFault,
}
