//! Who is served: the tenants, found by name and by token.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use portcullis_ledger::Actor;

use crate::tenant::Tenant;
use crate::token::TokenDigest;

/// All tenants at one moment. Never changed: a change makes another one.
#[derive(Default)]
pub(crate) struct Registry {
    tenants: BTreeMap<String, Arc<Tenant>>,
    callers: HashMap<TokenDigest, Caller>,
}

/// Whom a token belongs to.
#[derive(Clone)]
pub(crate) struct Caller {
    pub(crate) tenant: Arc<Tenant>,
    /// The token's name, in the record of who wrote an entry.
    pub(crate) actor: Actor,
}

impl Registry {
    pub(crate) fn new(tenants: impl IntoIterator<Item = Arc<Tenant>>) -> Self {
        let mut registry = Registry::default();
        for tenant in tenants {
            for token in &tenant.config.tokens {
                if let Ok(actor) = Actor::new(&token.name()) {
                    registry.callers.insert(*token, Caller { tenant: Arc::clone(&tenant), actor });
                }
            }
            registry.tenants.insert(tenant.config.id.to_string(), tenant);
        }
        registry
    }

    /// This one with `tenant` in the place of the one that has its name, if any.
    pub(crate) fn with(&self, tenant: Arc<Tenant>) -> Self {
        let others: Vec<_> = self.others(tenant.config.id.as_str()).map(Arc::clone).collect();
        Self::new(others.into_iter().chain([tenant]))
    }

    /// This one without the tenant of this name.
    pub(crate) fn without(&self, name: &str) -> Self {
        Self::new(self.others(name).map(Arc::clone))
    }

    /// Whom the token belongs to.
    pub(crate) fn caller(&self, token: &TokenDigest) -> Option<&Caller> {
        self.callers.get(token)
    }

    pub(crate) fn tenant(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// All tenants, by name.
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// All but the tenant of this name.
    pub(crate) fn others<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Tenant>> + 'a {
        self.tenants.values().filter(move |tenant| tenant.config.id.as_str() != name)
    }
}
