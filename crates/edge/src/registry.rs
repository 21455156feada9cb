//! The tenants that the gateway serves, by name, by token, and by the ids that vendors give to their senders.

use std::sync::Arc;

use jiff::Timestamp;
use portcullis_admission::{Owner, RateLimit, RateLimited, Unfinished, Work};
use portcullis_api::TokenScope;
use portcullis_ledger::Actor;
use portcullis_msisdn::Msisdn;
use portcullis_tokens::{Scopes, TokenConfig};
use rpds::{HashTrieMapSync, RedBlackTreeMapSync};

use crate::attribution::Attribution;
use crate::settings::{FieldPath, SenderConfig, UniqueIds};
use crate::tenant::Tenant;
use crate::token::TokenDigest;
use crate::useless::{self, Useless};

/// The name of the native API in the audit trail.
pub const NATIVE_INTERFACE: &str = "native";

/// All tenants at one moment. Immutable: each change creates a new registry, which shares with the one before what has not changed.
/// Lookups cost one hash or tree lookup; a change of one tenant, a few for each of its senders.
#[derive(Clone, Default)]
pub struct Registry {
    tenants: RedBlackTreeMapSync<String, Arc<Tenant>>,
    callers: HashTrieMapSync<TokenDigest, Caller>,
    /// By vendors' ids that belong to one sender: all but accounts.
    senders: HashTrieMapSync<SenderName, (Arc<Tenant>, usize)>,
    /// The first sender of each account in each tenant, by the account and the tenant's name.
    accounts: RedBlackTreeMapSync<(String, String), usize>,
    unique_ids: UniqueIds,
}

/// The id by which a vendor's client names a sender.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SenderName {
    /// The telephone number, in 99 Digital's, Whats91's and Kaleyra's APIs.
    Number(Msisdn),
    /// The bot id in Sinch's API.
    BotId(String),
    /// The phone-number-id in Meta's API.
    PhoneNumberId(String),
}

/// The tenant or sender that a token belongs to. Cheap to clone; clones share the rate limit.
#[derive(Clone)]
pub struct Caller {
    /// The tenant.
    pub tenant: Arc<Tenant>,
    /// The author of changes in the audit trail: the token's name, with the address and interface if they are known.
    pub actor: Actor,
    /// The name of the only sender that the token is valid for; `None` if it is valid for the whole tenant.
    pub sender: Option<Arc<str>>,
    limit: Option<Arc<RateLimit>>,
    /// Where it is noted what a request is about.
    attribution: Option<Attribution>,
    scopes: Scopes,
    /// When the token expires.
    expires: Option<Timestamp>,
}

/// Why a request is not accepted from a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The token is nobody's.
    UnknownToken,
    /// The token is nobody's yet, and more tenants are being loaded.
    Loading,
    /// The token is nobody's, and its address has sent too many such tokens.
    TooManyGuesses(RateLimited),
    /// The token has expired.
    Expired,
    /// The token may not be used for this.
    OutOfScope(TokenScope),
    /// The token has sent too many requests.
    RateLimited(RateLimited),
}

impl Caller {
    /// Counts one request against the token's rate limit, unless that is exceeded. Does not wait.
    fn ask(&self) -> Result<(), RateLimited> {
        self.limit.as_ref().map_or(Ok(()), |limit| limit.count())
    }

    /// Notes whom a request is from, and from then on which sender it is about.
    pub fn attribute_to(&mut self, attribution: &Attribution) {
        attribution.caller(self.tenant.config.id.as_str(), self.sender.as_deref(), self.actor.as_str());
        self.attribution = Some(attribution.clone());
    }

    /// The request is about this sender of the tenant.
    pub(crate) fn is_about(&self, sender: &str) {
        if let Some(attribution) = &self.attribution {
            attribution.sender(sender);
        }
    }

    /// Whether the token has expired.
    pub fn has_expired(&self) -> bool {
        // Most tokens don't, and need not know the time.
        self.expires.is_some_and(|expires| expires <= Timestamp::now())
    }

    fn useless(&self, why: Useless) {
        useless::token(why, self.tenant.config.id.as_str(), self.actor.as_str());
    }

    /// Whose memory the caller's requests take.
    pub fn owner(&self) -> Owner<'_> {
        Owner::Client { tenant: &self.tenant.config.id, sender: self.sender.as_deref() }
    }

    /// Runs work when it is the turn of the tenant, and of the sender if the token is the sender's: see
    /// [`Turns::run`](portcullis_admission::Turns::run).
    ///
    /// # Errors
    /// As [`Turns::run`](portcullis_admission::Turns::run).
    pub async fn blocking<T, E>(
        &self,
        kind: Work,
        work: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Unfinished> + Send + 'static,
    {
        let sender = self.sender.as_deref().and_then(|sender| self.tenant.senders.get(sender));
        self.tenant.turns.run(sender.map(|sender| &*sender.share), kind, false, |_| work()).await
    }

    /// Whether the token is valid for this sender.
    pub fn may_use(&self, sender: &str) -> bool {
        self.sender.as_deref().is_none_or(|bound| bound == sender)
    }
}

impl Registry {
    /// Creates a registry of these tenants. Their tokens and ids must not conflict, which [`UniqueIds`] checks.
    pub fn new(tenants: impl IntoIterator<Item = Arc<Tenant>>) -> Self {
        Registry::default().again(tenants)
    }

    /// Creates a registry of these tenants instead. Tokens that are in both registries with the same rate limit keep its state.
    pub fn again(&self, tenants: impl IntoIterator<Item = Arc<Tenant>>) -> Self {
        let mut registry = Registry::default();
        for tenant in tenants {
            registry.add(tenant, self);
        }
        registry
    }

    /// Adds a tenant, of whose name there is none.
    fn add(&mut self, tenant: Arc<Tenant>, before: &Registry) {
        for token in &tenant.config.tokens {
            self.add_caller(token, &tenant, None, before);
        }
        for (index, sender) in tenant.config.senders.iter().enumerate() {
            for token in &sender.tokens {
                self.add_caller(token, &tenant, Some(sender), before);
            }
            for name in names_of(sender) {
                self.senders.insert_mut(name, (Arc::clone(&tenant), index));
            }
            if let Some(account) = &sender.waba_id {
                let key = (account.clone(), tenant.config.id.to_string());
                if !self.accounts.contains_key(&key) {
                    self.accounts.insert_mut(key, index);
                }
            }
        }
        self.unique_ids.claim(&tenant.config, &FieldPath::default());
        self.tenants.insert_mut(tenant.config.id.to_string(), tenant);
    }

    fn remove(&mut self, name: &str) {
        let Some(tenant) = self.tenants.get(name).cloned() else { return };
        let config = &tenant.config;
        for token in config.tokens.iter().chain(config.senders.iter().flat_map(|sender| &sender.tokens)) {
            self.callers.remove_mut(&token.digest);
        }
        for sender in &config.senders {
            for name in names_of(sender) {
                self.senders.remove_mut(&name);
            }
            if let Some(account) = &sender.waba_id {
                self.accounts.remove_mut(&(account.clone(), name.to_owned()));
            }
        }
        self.unique_ids.release(config);
        self.tenants.remove_mut(name);
    }

    fn add_caller(
        &mut self,
        token: &TokenConfig,
        tenant: &Arc<Tenant>,
        sender: Option<&SenderConfig>,
        before: &Registry,
    ) {
        let Ok(actor) = Actor::new(&token.shown_name()).and_then(|actor| actor.through(NATIVE_INTERFACE))
        else {
            return;
        };
        let limit = tenant.config.rate_limit.map(|quota| {
            let known = before.caller(&token.digest).and_then(|caller| caller.limit.as_ref());
            match known.filter(|limit| limit.quota() == quota) {
                Some(limit) => Arc::clone(limit),
                None => Arc::new(RateLimit::new(quota)),
            }
        });
        let sender = sender.map(|sender| sender.id.as_str().into());
        let scopes = token.scopes.unwrap_or(Scopes::CLIENT);
        let caller = Caller {
            tenant: Arc::clone(tenant),
            actor,
            sender,
            limit,
            attribution: None,
            scopes,
            expires: token.expires,
        };
        self.callers.insert_mut(token.digest, caller);
    }

    /// Creates a registry in which `tenant` is added, or replaces the tenant with the same name.
    #[must_use]
    pub fn with(&self, tenant: Arc<Tenant>) -> Self {
        let mut registry = self.without(tenant.config.id.as_str());
        registry.add(tenant, self);
        registry
    }

    /// Creates a registry without the tenant of this name.
    #[must_use]
    pub fn without(&self, name: &str) -> Self {
        let mut registry = self.clone();
        registry.remove(name);
        registry
    }

    /// What is unique to the tenants other than the one of this name.
    pub fn unique_ids_of_others(&self, name: &str) -> UniqueIds {
        let mut unique_ids = self.unique_ids.clone();
        if let Some(tenant) = self.tenant(name) {
            unique_ids.release(&tenant.config);
        }
        unique_ids
    }

    /// Returns the owner of the token that a request of this scope was sent with, and counts the request against the token's rate limit.
    ///
    /// # Errors
    /// If the token is unknown or has expired, or its rate limit is exceeded: the request is not counted then. If the token may not be used
    /// for the scope.
    pub fn authenticate(&self, token: &TokenDigest, scope: TokenScope) -> Result<&Caller, Denied> {
        let caller = self.caller(token).ok_or(Denied::UnknownToken)?;
        if caller.has_expired() {
            caller.useless(Useless::Expired);
            return Err(Denied::Expired);
        }
        caller.ask().map_err(Denied::RateLimited)?;
        if !caller.scopes.has(scope) {
            caller.useless(Useless::OutOfScope);
            return Err(Denied::OutOfScope(scope));
        }
        Ok(caller)
    }

    /// Returns the owner of a token, which may have expired, without counting a request.
    pub fn caller(&self, token: &TokenDigest) -> Option<&Caller> {
        self.callers.get(token)
    }

    /// Returns the sender with a vendor's id, and its tenant.
    pub fn sender(&self, name: &SenderName) -> Option<(&Arc<Tenant>, &SenderConfig)> {
        let (tenant, index) = self.senders.get(name)?;
        Some((tenant, tenant.config.senders.get(*index)?))
    }

    /// Returns the first sender of a WhatsApp business account, and its tenant: of several tenants, the first by name.
    pub fn sender_of_account(&self, account: &str) -> Option<(&Arc<Tenant>, &SenderConfig)> {
        let ((_, name), index) = self.accounts.range((account.to_owned(), String::new())..).next()?;
        let tenant = self.tenant(name)?;
        let sender = tenant.config.senders.get(*index)?;
        (sender.waba_id.as_deref() == Some(account)).then_some((tenant, sender))
    }

    /// Returns the tenant of this name.
    pub fn tenant(&self, name: &str) -> Option<&Arc<Tenant>> {
        self.tenants.get(name)
    }

    /// All tenants, sorted by name.
    pub fn tenants(&self) -> impl Iterator<Item = &Arc<Tenant>> {
        self.tenants.values()
    }
}

/// The names that are this sender's only.
fn names_of(sender: &SenderConfig) -> impl Iterator<Item = SenderName> {
    let names = [
        sender.number.map(SenderName::Number),
        sender.bot_id.clone().map(SenderName::BotId),
        sender.phone_number_id.clone().map(SenderName::PhoneNumberId),
    ];
    names.into_iter().flatten()
}
