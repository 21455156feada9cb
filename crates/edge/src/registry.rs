//! Who is served: the tenants, found by name, by token, and by the names that vendors give their senders.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::{DefaultDirectRateLimiter, Quota as Rate, RateLimiter};
use portcullis_ledger::Actor;
use portcullis_msisdn::Msisdn;

use crate::settings::{Quota, SenderConfig};
use crate::tenant::Tenant;
use crate::token::TokenDigest;

/// How the native API is called in the record of who wrote an entry.
pub const NATIVE_INTERFACE: &str = "native";

/// All tenants at one moment. Never changed: a change makes another one.
#[derive(Default)]
pub struct Registry {
    tenants: BTreeMap<String, Arc<Tenant>>,
    callers: HashMap<TokenDigest, Caller>,
    /// By the senders' own names at vendors, which no two senders share.
    senders: HashMap<SenderName, (Arc<Tenant>, usize)>,
}

/// What a vendor calls a sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SenderName {
    Number(Msisdn),
    BotId(String),
    PhoneNumberId(String),
    /// Of which there may be several senders.
    Account(String),
}

/// Whom a token belongs to.
#[derive(Clone)]
pub struct Caller {
    pub tenant: Arc<Tenant>,
    /// The token's name, in the record of who wrote an entry.
    pub actor: Actor,
    /// The sender that the token is good for; none where it is for all.
    pub sender: Option<String>,
    limiter: Option<Arc<Limiter>>,
}

/// How often one token may ask, and has asked.
struct Limiter {
    quota: Quota,
    limiter: DefaultDirectRateLimiter,
}

/// How long a token has to wait until it may ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimited(pub Duration);

impl RateLimited {
    /// In whole seconds, as `Retry-After` has it.
    pub fn seconds(self) -> u64 {
        let rounded = u64::from(self.0.subsec_nanos() > 0) + self.0.as_secs();
        NonZeroU64::new(rounded).map_or(1, NonZeroU64::get)
    }
}

impl Caller {
    /// Counts one request.
    pub fn ask(&self) -> Result<(), RateLimited> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter
            .limiter
            .check()
            .map_err(|until| RateLimited(until.wait_time_from(limiter.limiter.clock().now())))
    }

    /// Whether it may ask about this sender.
    pub fn may_use(&self, sender: &str) -> bool {
        self.sender.as_deref().is_none_or(|bound| bound == sender)
    }
}

impl Registry {
    pub fn new(tenants: impl IntoIterator<Item = Arc<Tenant>>) -> Self {
        Registry::default().again(tenants)
    }

    /// These tenants in the place of those of this one. Tokens that stay have asked as often as they have.
    pub fn again(&self, tenants: impl IntoIterator<Item = Arc<Tenant>>) -> Self {
        let mut registry = Registry::default();
        for tenant in tenants {
            for token in &tenant.config.tokens {
                registry.add_caller(token, &tenant, None, self);
            }
            for (index, sender) in tenant.config.senders.iter().enumerate() {
                for token in &sender.tokens {
                    registry.add_caller(token, &tenant, Some(sender), self);
                }
                let names = [
                    sender.number.map(SenderName::Number),
                    sender.bot_id.clone().map(SenderName::BotId),
                    sender.phone_number_id.clone().map(SenderName::PhoneNumberId),
                ];
                for name in names.into_iter().flatten() {
                    registry.senders.insert(name, (Arc::clone(&tenant), index));
                }
                if let Some(account) = sender.waba_id.clone() {
                    let first = || (Arc::clone(&tenant), index);
                    registry.senders.entry(SenderName::Account(account)).or_insert_with(first);
                }
            }
            registry.tenants.insert(tenant.config.id.to_string(), tenant);
        }
        registry
    }

    fn add_caller(
        &mut self,
        token: &TokenDigest,
        tenant: &Arc<Tenant>,
        sender: Option<&SenderConfig>,
        before: &Registry,
    ) {
        let Ok(actor) = Actor::new(&token.name()).and_then(|actor| actor.through(NATIVE_INTERFACE)) else {
            return;
        };
        let limiter = tenant.config.rate_limit.map(|quota| {
            let known = before.caller(token).and_then(|caller| caller.limiter.as_ref());
            match known.filter(|limiter| limiter.quota == quota) {
                Some(limiter) => Arc::clone(limiter),
                None => {
                    let rate = Rate::per_second(quota.per_second).allow_burst(quota.burst);
                    Arc::new(Limiter { quota, limiter: RateLimiter::direct(rate) })
                }
            }
        });
        let sender = sender.map(|sender| sender.id.to_string());
        self.callers.insert(*token, Caller { tenant: Arc::clone(tenant), actor, sender, limiter });
    }

    /// This one with `tenant` in the place of the one that has its name, if any.
    pub fn with(&self, tenant: Arc<Tenant>) -> Self {
        let others: Vec<_> = self.others(tenant.config.id.as_str()).map(Arc::clone).collect();
        self.again(others.into_iter().chain([tenant]))
    }

    /// This one without the tenant of this name.
    pub fn without(&self, name: &str) -> Self {
        self.again(self.others(name).map(Arc::clone))
    }

    /// Whom the token belongs to.
    pub fn caller(&self, token: &TokenDigest) -> Option<&Caller> {
        self.callers.get(token)
    }

    /// The sender that a vendor calls this, and whose it is.
    pub fn sender(&self, name: &SenderName) -> Option<(&Arc<Tenant>, &SenderConfig)> {
        let (tenant, index) = self.senders.get(name)?;
        Some((tenant, tenant.config.senders.get(*index)?))
    }

    /// The first sender of a WhatsApp business account, and whose it is.
    pub fn sender_of_account(&self, account: &str) -> Option<(&Arc<Tenant>, &SenderConfig)> {
        self.sender(&SenderName::Account(account.to_owned()))
    }

    pub fn tenant(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// All tenants, by name.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }

    /// All but the tenant of this name.
    pub fn others<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Arc<Tenant>> + 'a {
        self.tenants.values().filter(move |tenant| tenant.config.id.as_str() != name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_told_in_whole_seconds_of_at_least_one() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (2000, 2)] {
            assert_eq!(RateLimited(Duration::from_millis(millis)).seconds(), seconds, "{millis}");
        }
    }
}
