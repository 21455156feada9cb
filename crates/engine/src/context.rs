//! What the parts of an engine share.

use std::time::Duration;

use portcullis_ledger::Ledger;
use portcullis_plugin_store::PluginStore;
use tokio::runtime::Handle;
use tokio::sync::Notify;

use crate::events::Events;
use crate::kept::KeptSettings;
use crate::residency::Residency;
use crate::slots::Slots;
use crate::states::States;

/// What the parts of an engine share.
pub(crate) struct Context {
    pub(crate) ledger: Ledger,
    pub(crate) plugins: PluginStore,
    pub(crate) states: States,
    pub(crate) residency: Residency,
    pub(crate) kept: KeptSettings,
    pub(crate) events: Events,
    /// Notified when a hold was written that may end before all others.
    pub(crate) expiry: Notify,
    /// How many reloads are at work at once.
    pub(crate) slots: Slots,
    /// For how long what served before stays ready after a reload.
    pub(crate) watch: Duration,
    pub(crate) host: portcullis_host::Engine,
    /// Where background tasks run: faults are noticed on threads of all kinds.
    pub(crate) runtime: Handle,
}
