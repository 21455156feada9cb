//! The state that all handlers share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;

use super::error::ApiError;
use super::peer::{self, Peer};
use crate::gateway::Gateway;
use crate::registry::Caller;
use crate::settings::Dialects;

/// The state that all handlers share. It exists before the gateway has started, so that health checks are answered at once.
pub struct AppState {
    gateway: OnceLock<Arc<Gateway>>,
    stopping: AtomicBool,
    /// The largest request body in bytes.
    pub max_body_bytes: usize,
    trusted_proxies: Vec<IpAddr>,
    /// The settings of the vendors' dialects.
    pub dialects: Dialects,
}

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It is loading the blacklists, and refuses requests.
    Starting,
    /// It answers requests.
    Ready,
    /// It is shutting down, and refuses new requests.
    Stopping,
}

impl AppState {
    /// Creates the state without a gateway: [`Phase::Starting`]. `trusted_proxies` are believed about the address of the client.
    pub fn new(max_body_bytes: usize, trusted_proxies: Vec<IpAddr>, dialects: Dialects) -> Self {
        AppState {
            gateway: OnceLock::new(),
            stopping: AtomicBool::new(false),
            max_body_bytes,
            trusted_proxies,
            dialects,
        }
    }

    /// Adds the address and the interface of a request to the caller's actor, for the audit trail.
    pub fn placed(&self, mut caller: Caller, parts: &Parts, interface: &str) -> Caller {
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

    /// Starts answering requests: [`Phase::Ready`]. Has no effect the second time.
    pub fn open(&self, gateway: Arc<Gateway>) {
        let _ = self.gateway.set(gateway);
    }

    /// Starts refusing new requests: [`Phase::Stopping`]. Requests in progress continue.
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// The current phase.
    pub fn phase(&self) -> Phase {
        match (self.stopping.load(Ordering::Acquire), self.gateway.get()) {
            (true, _) => Phase::Stopping,
            (false, None) => Phase::Starting,
            (false, Some(_)) => Phase::Ready,
        }
    }

    /// Returns the gateway.
    ///
    /// # Errors
    /// [`ApiError::unavailable`] while the gateway is starting or stopping.
    pub fn gateway(&self) -> Result<&Arc<Gateway>, ApiError> {
        self.open_gateway().map_err(ApiError::unavailable)
    }

    /// Returns the gateway.
    ///
    /// # Errors
    /// A message for people while the gateway is starting or stopping.
    pub fn open_gateway(&self) -> Result<&Arc<Gateway>, &'static str> {
        match (self.phase(), self.gateway.get()) {
            (Phase::Ready, Some(gateway)) => Ok(gateway),
            (Phase::Stopping, _) => Err("the gateway is shutting down: retry, or use another gateway"),
            _ => Err("the gateway is starting: retry in a moment"),
        }
    }
}
