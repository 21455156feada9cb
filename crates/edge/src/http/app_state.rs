//! What every request meets first: whether the gateway is there to answer it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;

use super::error::ApiError;
use super::peer::{self, Peer};
use crate::gateway::Gateway;
use crate::registry::Caller;
use crate::settings::Dialects;

/// The state that all handlers share. It is there before the gateway is, so that health can be asked at once.
pub struct AppState {
    gateway: OnceLock<Arc<Gateway>>,
    stopping: AtomicBool,
    pub max_body_bytes: usize,
    trusted_proxies: Vec<IpAddr>,
    pub dialects: Dialects,
}

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting,
    Ready,
    Stopping,
}

impl AppState {
    pub fn new(max_body_bytes: usize, trusted_proxies: Vec<IpAddr>, dialects: Dialects) -> Self {
        AppState {
            gateway: OnceLock::new(),
            stopping: AtomicBool::new(false),
            max_body_bytes,
            trusted_proxies,
            dialects,
        }
    }

    /// The same caller, with where the request came from, and through which interface, in the record of what it does.
    pub fn placed(&self, mut caller: Caller, parts: &Parts, interface: &str) -> Caller {
        if let Some(peer) = parts.extensions.get::<Peer>() {
            caller.actor = caller.actor.at(peer::address(*peer, &parts.headers, &self.trusted_proxies));
        }
        // The native API's is there already: its checks are asked for every message.
        if caller.actor.interface() != Some(interface)
            && let Ok(actor) = caller.actor.clone().through(interface)
        {
            caller.actor = actor;
        }
        caller
    }

    /// From now on requests are answered.
    pub fn open(&self, gateway: Arc<Gateway>) {
        let _ = self.gateway.set(gateway);
    }

    /// From now on requests are turned away; those under way go on.
    pub fn close(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub fn phase(&self) -> Phase {
        match (self.stopping.load(Ordering::Acquire), self.gateway.get()) {
            (true, _) => Phase::Stopping,
            (false, None) => Phase::Starting,
            (false, Some(_)) => Phase::Ready,
        }
    }

    pub fn gateway(&self) -> Result<&Arc<Gateway>, ApiError> {
        self.open_gateway().map_err(ApiError::unavailable)
    }

    /// The gateway, or why it does not answer.
    pub fn open_gateway(&self) -> Result<&Arc<Gateway>, &'static str> {
        match (self.phase(), self.gateway.get()) {
            (Phase::Ready, Some(gateway)) => Ok(gateway),
            (Phase::Stopping, _) => Err("the gateway is shutting down: ask another, or again"),
            _ => Err("the gateway is starting: ask again in a moment"),
        }
    }
}
