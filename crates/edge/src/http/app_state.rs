//! The state that all handlers share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::http::HeaderMap;
use axum::http::request::Parts;
use portcullis_admission::{AddressLimit, Budget, Owner, Shares};

use super::body::Memory;
use super::error::ApiError;
use super::peer::{self, Peer, TrustedProxies};
use crate::attribution::Attribution;
use crate::gateway::Gateway;
use crate::registry::{Caller, Denied};
use crate::settings::{Dialects, Limits};

/// The state that all handlers share. It exists before the gateway has started, so that health checks are answered at once.
pub struct AppState {
    gateway: OnceLock<Arc<Gateway>>,
    /// Whether the gateway has loaded all lists.
    is_loaded: AtomicBool,
    leaving: AtomicBool,
    stopping: AtomicBool,
    ready_when_degraded: bool,
    /// The largest request body in bytes.
    pub max_body_bytes: usize,
    trusted_proxies: TrustedProxies,
    unverified: Arc<Budget>,
    verified: Arc<Budget>,
    guesses: AddressLimit,
    /// The settings of the vendors' dialects.
    pub dialects: Dialects,
}

const STARTING: &str = "the gateway is starting: retry in a moment";

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is loading the blacklists. It refuses requests, except those of tenants whose lists are loaded: see [`AppState::serving`].
    Starting,
    /// It answers requests.
    Ready,
    /// It is about to stop: it answers requests, and tells balancers to send no more.
    Leaving,
    /// It is shutting down, and refuses new requests.
    Stopping,
}

impl AppState {
    /// Creates the state without a gateway: [`Phase::Starting`]. `trusted_proxies` are believed about the address of the client.
    pub fn new(
        max_body_bytes: usize,
        trusted_proxies: TrustedProxies,
        dialects: Dialects,
        limits: &Limits,
    ) -> Self {
        let (unverified, all) = (limits.unverified_body_bytes(), limits.body_bytes(max_body_bytes));
        let verified = Shares {
            all,
            each: (all / 2).max(max_body_bytes),
            sender: (all / 4).max(max_body_bytes),
            operator: 2 * max_body_bytes,
        };
        AppState {
            gateway: OnceLock::new(),
            is_loaded: AtomicBool::new(false),
            leaving: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            ready_when_degraded: true,
            max_body_bytes,
            trusted_proxies,
            unverified: Budget::of_addresses(unverified, unverified / 4),
            verified: Budget::new(verified),
            guesses: AddressLimit::per_minute(limits.wrong_tokens_per_minute()),
            dialects,
        }
    }

    /// The address that a request comes from. An unknown peer counts as one address.
    pub fn address(&self, peer: Option<Peer>, headers: &HeaderMap) -> IpAddr {
        let unknown = Peer::Ip(IpAddr::from([0, 0, 0, 0]));
        peer::address(peer.unwrap_or(unknown), headers, &self.trusted_proxies)
    }

    /// The memory for the body of a request whose author is not known before the body is read.
    pub fn unverified(&self, peer: Option<Peer>, headers: &HeaderMap) -> Memory<'_> {
        let address = peer::network(self.address(peer, headers));
        Memory::unverified(&self.unverified, Owner::Address(address))
    }

    /// The memory for the body of a request of this owner, who has been authenticated.
    pub fn verified<'a>(&'a self, owner: Owner<'a>) -> Memory<'a> {
        Memory::verified(&self.verified, owner)
    }

    /// Counts a request with an unknown token for the address that it comes from, and returns the denial with which it is
    /// answered: [`Denied::TooManyGuesses`] if the address has sent too many, and [`Denied::Loading`] while the token may be that of a
    /// tenant whose lists are yet to be loaded. Other denials stay what they are.
    pub fn denied(&self, denied: Denied, peer: Option<Peer>, headers: &HeaderMap) -> Denied {
        match denied {
            Denied::UnknownToken if self.phase() == Phase::Starting => Denied::Loading,
            Denied::UnknownToken => match self.guesses.count(peer::network(self.address(peer, headers))) {
                Ok(()) => Denied::UnknownToken,
                Err(wait) => Denied::TooManyGuesses(wait),
            },
            other => other,
        }
    }

    /// Sets whether a gateway counts as ready while lists are out of service, or nothing can be written. It does by default.
    #[must_use]
    pub fn ready_when_degraded(mut self, ready: bool) -> Self {
        self.ready_when_degraded = ready;
        self
    }

    /// Whether a degraded gateway counts as ready.
    pub fn is_ready_when_degraded(&self) -> bool {
        self.ready_when_degraded
    }

    /// Adds the address and the interface of a request to the caller's actor, for the audit trail.
    pub fn placed(&self, mut caller: Caller, parts: &Parts, interface: &str) -> Caller {
        if let Some(attribution) = parts.extensions.get::<Attribution>() {
            caller.attribute_to(attribution);
        }
        if let Some(peer) = parts.extensions.get::<Peer>() {
            caller.actor = caller.actor.at(peer::address(*peer, &parts.headers, &self.trusted_proxies));
        }
        // Callers have the native API's name already, because its checks run for every message.
        if caller.actor.interface() != Some(interface)
            && let Ok(actor) = caller.actor.clone().through(interface)
        {
            caller.actor = actor;
        }
        caller
    }

    /// Starts answering requests of the tenants that are loaded, while the gateway goes on loading others. Has no effect the second
    /// time.
    pub fn open_early(&self, gateway: Arc<Gateway>) {
        let _ = self.gateway.set(gateway);
    }

    /// Starts answering all requests: [`Phase::Ready`].
    pub fn open(&self, gateway: Arc<Gateway>) {
        self.open_early(gateway);
        self.is_loaded.store(true, Ordering::Release);
    }

    /// Says that the gateway is about to stop: [`Phase::Leaving`]. Requests are answered as before, once it is ready.
    pub fn leave(&self) {
        self.leaving.store(true, Ordering::Release);
    }

    /// Starts refusing new requests: [`Phase::Stopping`]. Requests in progress continue.
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        match (self.stopping.load(Ordering::Acquire), self.is_loaded.load(Ordering::Acquire)) {
            (true, _) => Phase::Stopping,
            (false, false) => Phase::Starting,
            (false, true) if self.leaving.load(Ordering::Acquire) => Phase::Leaving,
            (false, true) => Phase::Ready,
        }
    }

    /// How long ago the gateway last knew what others of its fleet had written, if it is stale.
    pub fn stale_for(&self) -> Option<Duration> {
        self.gateway.get()?.engine.stale_for()
    }

    /// Returns the gateway.
    ///
    /// # Errors
    /// [`ApiError::not_ready`] while the gateway is starting or stopping.
    pub fn gateway(&self) -> Result<&Arc<Gateway>, ApiError> {
        self.open_gateway().map_err(ApiError::not_ready)
    }

    /// Returns the gateway.
    ///
    /// # Errors
    /// A message for people while the gateway is starting or stopping.
    pub fn open_gateway(&self) -> Result<&Arc<Gateway>, &'static str> {
        let gateway = self.serving()?;
        if self.phase() == Phase::Starting { Err(STARTING) } else { Ok(gateway) }
    }

    /// Returns the gateway, also while it has loaded some of its tenants only. A tenant that is not found then may be found later: this is for
    /// requests that end at an unknown token, which is [denied](Self::denied) as such only once all are loaded.
    ///
    /// # Errors
    /// A message for people before any tenant is loaded, and while the gateway is stopping.
    pub fn serving(&self) -> Result<&Arc<Gateway>, &'static str> {
        match (self.phase(), self.gateway.get()) {
            (Phase::Stopping, _) => Err("the gateway is shutting down: retry, or use another gateway"),
            (_, Some(gateway)) => Ok(gateway),
            (_, None) => Err(STARTING),
        }
    }
}
