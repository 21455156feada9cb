//! A tenant's lists, and what their plugins are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_host::{MemoryAccount, Recipe, Settings};
use portcullis_ledger::{Scope, SenderId, TenantKeys};
use serde_json::Value;

use crate::live::LiveList;
use crate::reload::Setup;
use crate::spec::{PluginRef, TenantSpec};

/// A tenant's lists at one moment. Never changed: a change makes another one, which takes the lists over.
#[derive(Clone)]
pub(crate) struct Members {
    pub(crate) spec: TenantSpec,
    /// What serves, or is to: the spec's, unless another one was chosen since.
    pub(crate) chosen: PluginRef,
    pub(crate) keys: TenantKeys,
    pub(crate) account: Arc<MemoryAccount>,
    /// The list that holds for all senders.
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

    /// The plugin that serves, or is to.
    pub(crate) fn plugin(&self) -> &PluginRef {
        &self.chosen
    }

    /// The plugin that the spec names.
    pub(crate) fn configured_plugin(&self) -> &PluginRef {
        &self.spec.plugin
    }

    pub(crate) fn with_plugin(&self, plugin: PluginRef) -> Self {
        Members { chosen: plugin, ..self.clone() }
    }

    /// What a list's next generation is made of.
    pub(crate) fn recipe(&self, setup: &Setup, entries: u64) -> Recipe {
        recipe(&self.spec, &self.keys, &self.account, setup, entries)
    }
}

/// What a generation is made of.
pub(crate) fn recipe(
    spec: &TenantSpec,
    keys: &TenantKeys,
    account: &Arc<MemoryAccount>,
    setup: &Setup,
    entries: u64,
) -> Recipe {
    Recipe {
        plugin: setup.version.plugin.clone(),
        settings: Settings { capacity: entries, options: Value::Object(setup.options.clone()).to_string() },
        account: Arc::clone(account),
        numbers: spec.clear_numbers.then(|| keys.permutation().clone()),
        replicas: spec.replicas,
    }
}
