//! The changes of tenants that are under way.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::{Condvar, Mutex};

use crate::settings::TenantConfig;
use crate::token::TokenDigest;

/// The changes of tenants that are under way. Each takes as long as the tenant's plugin takes to be filled, so changes of different
/// tenants don't wait for each other.
#[derive(Default)]
pub(super) struct Changes {
    under_way: Mutex<UnderWay>,
    /// Notified when one of them is over.
    over: Condvar,
}

/// What the changes under way are about.
#[derive(Default)]
pub(super) struct UnderWay {
    /// The tenants that are being changed, by name, with the settings that they will have once these are known to be valid.
    tenants: BTreeMap<String, Option<TenantConfig>>,
    /// The administrators' tokens in the file that is being applied.
    admin_tokens: Vec<TokenDigest>,
}

/// A change of some tenants. Until it is dropped, no other one of these tenants begins.
pub(super) struct Change<'a> {
    changes: &'a Changes,
    names: BTreeSet<String>,
    /// Whether it applies the configuration file.
    is_of_file: bool,
}

impl Changes {
    /// Begins a change of one tenant, after those that are under way.
    pub(super) fn begin(&self, name: &str) -> Change<'_> {
        let names = BTreeSet::from([name.to_owned()]);
        self.begin_all(|| names.clone(), Vec::new(), false)
    }

    /// Begins to apply a file with these administrators' tokens. `names` are those of the tenants that this changes, which depends on
    /// what changes before it may begin.
    pub(super) fn begin_file(
        &self,
        names: impl Fn() -> BTreeSet<String>,
        admin_tokens: Vec<TokenDigest>,
    ) -> Change<'_> {
        self.begin_all(names, admin_tokens, true)
    }

    fn begin_all(
        &self,
        names: impl Fn() -> BTreeSet<String>,
        admin_tokens: Vec<TokenDigest>,
        is_of_file: bool,
    ) -> Change<'_> {
        let mut under_way = self.under_way.lock();
        let names = loop {
            let names = names();
            if !names.iter().any(|name| under_way.tenants.contains_key(name)) {
                break names;
            }
            self.over.wait(&mut under_way);
        };
        under_way.tenants.extend(names.iter().map(|name| (name.clone(), None)));
        if is_of_file {
            under_way.admin_tokens = admin_tokens;
        }
        Change { changes: self, names, is_of_file }
    }

    /// Does something that takes moments, while nobody else changes the registry or claims anything.
    pub(super) fn alone<R>(&self, work: impl FnOnce(&mut UnderWay) -> R) -> R {
        work(&mut self.under_way.lock())
    }
}

impl UnderWay {
    /// The settings that tenants will have.
    pub(super) fn claims(&self) -> impl Iterator<Item = &TenantConfig> {
        self.tenants.values().flatten()
    }

    /// The administrators' tokens that will be in force.
    pub(super) fn admin_tokens(&self) -> &[TokenDigest] {
        &self.admin_tokens
    }

    /// Claims the names, tokens and ids of these settings for a tenant that is being changed.
    pub(super) fn claim(&mut self, config: TenantConfig) {
        self.tenants.insert(config.id.to_string(), Some(config));
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        let mut under_way = self.changes.under_way.lock();
        under_way.tenants.retain(|name, _| !self.names.contains(name));
        if self.is_of_file {
            under_way.admin_tokens = Vec::new();
        }
        drop(under_way);
        self.changes.over.notify_all();
    }
}
