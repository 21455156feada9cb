//! State shared by all parts of an engine.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use portcullis_admission::{Lifecycle, Workers};
use portcullis_fleet::{Acknowledgements, Journal, Staleness};
use portcullis_host::MemoryPool;
use portcullis_ledger::{KeyInUse, Ledger};
use portcullis_plugin_store::PluginStore;
use portcullis_residency::Residency;
use portcullis_saved_states::States;
use portcullis_tenant_rules::Surroundings;
use portcullis_tenant_settings::SettingsStore;
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};

use crate::events::Events;

/// State shared by all parts of an engine.
pub(crate) struct Context {
    pub(crate) ledger: Ledger,
    pub(crate) key: Arc<KeyInUse>,
    pub(crate) plugins: Arc<PluginStore>,
    pub(crate) states: States,
    pub(crate) residency: Residency,
    /// What the plugins of all tenants may take together.
    pub(crate) memory: Arc<MemoryPool>,
    /// How far this gateway follows others that write to the ledger.
    pub(crate) staleness: Arc<Staleness>,
    /// Writes that wait until the others have them.
    pub(crate) acknowledgements: Acknowledgements,
    /// What was acknowledged lately, if others write to the ledger.
    pub(crate) journal: Journal,
    pub(crate) settings: Arc<SettingsStore>,
    pub(crate) events: Arc<Events>,
    pub(crate) lifecycle: Arc<Lifecycle>,
    /// Notified after a write of an entry that expires, which may be the next one to do so.
    pub(crate) expiry: Notify,
    /// Set when tenants were put for the first time: until then, the folder of plugins is not followed, so that what is new
    /// there does not delay the start.
    pub(crate) started: watch::Sender<bool>,
    pub(crate) opened: AtomicUsize,
    /// Runs reloads.
    pub(crate) workers: Arc<Workers>,
    /// Runs what is left of a reload once nothing has to be filled: swaps and rollbacks.
    pub(crate) swaps: Arc<Workers>,
    /// Calls slow plugins, at low priority.
    pub(crate) slow: Arc<Workers>,
    /// What the rules of all tenants have in common.
    pub(crate) rules: Arc<Surroundings>,
    /// How long a check waits for a slow plugin before the failure policy answers.
    pub(crate) check_patience: Duration,
    /// The share of a processor that verifies plugins while they serve.
    pub(crate) proof_share: f64,
    /// How long the previous generations stay ready after a reload.
    pub(crate) watch: Duration,
    pub(crate) host: portcullis_host::Engine,
    /// Runs background tasks. Faults are noticed on any thread, also outside of a runtime.
    pub(crate) runtime: Handle,
}
