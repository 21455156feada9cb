//! A tenant's lists, and the recipe of their generations.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_admission::Lane;
use portcullis_host::{MemoryAccount, Recipe, Settings};
use portcullis_ledger::{Scope, SenderId, TenantKeys};
use portcullis_tenant_settings::{PluginRef, TenantSpec};
use serde_json::Value;

use crate::live::LiveList;
use crate::setup::Setup;

/// A snapshot of a tenant's spec and lists. Immutable: a change makes another snapshot, which shares the lists that stay.
#[derive(Clone)]
pub(crate) struct Members {
    pub(crate) spec: TenantSpec,
    /// The plugin that serves: the spec's, unless a reload chose another one.
    pub(crate) chosen: PluginRef,
    pub(crate) keys: TenantKeys,
    pub(crate) account: Arc<MemoryAccount>,
    pub(crate) lane: Arc<Lane>,
    /// The list that applies to all senders.
    pub(crate) wide: Arc<LiveList>,
    /// The senders' own lists.
    pub(crate) senders: BTreeMap<SenderId, Arc<LiveList>>,
}

impl Members {
    /// All lists, the tenant-wide one first.
    pub(crate) fn lists(&self) -> impl Iterator<Item = &Arc<LiveList>> {
        std::iter::once(&self.wide).chain(self.senders.values())
    }

    pub(crate) fn list(&self, scope: &Scope) -> Option<&Arc<LiveList>> {
        match scope {
            Scope::Tenant => Some(&self.wide),
            Scope::Sender(sender) => self.senders.get(sender),
        }
    }

    /// Whether this very list, not just one of the same scope, is served.
    pub(crate) fn serves(&self, list: &Arc<LiveList>) -> bool {
        self.list(list.list().scope()).is_some_and(|served| Arc::ptr_eq(served, list))
    }

    pub(crate) fn with_plugin(&self, plugin: PluginRef) -> Self {
        Members { chosen: plugin, ..self.clone() }
    }

    pub(crate) fn with_account(&self, account: Arc<MemoryAccount>) -> Self {
        Members { account, ..self.clone() }
    }

    /// The recipe of a list's next generation.
    pub(crate) fn recipe(&self, setup: &Setup, entries: u64) -> Recipe {
        recipe(&self.spec, &self.keys, &self.account, setup, entries)
    }
}

/// The recipe of a generation.
pub(crate) fn recipe(
    spec: &TenantSpec,
    keys: &TenantKeys,
    account: &Arc<MemoryAccount>,
    setup: &Setup,
    entries: u64,
) -> Recipe {
    Recipe {
        plugin: setup.plugin.clone(),
        settings: Settings { capacity: entries, options: Value::Object(setup.options.clone()).to_string() },
        account: Arc::clone(account),
        numbers: spec.clear_numbers.then(|| keys.permutation().clone()),
        replicas: spec.replicas,
        pace: Arc::clone(&setup.pace),
    }
}
