//! What every request meets first: whether the gateway is there to answer it.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use axum::http::request::Parts;

use super::error::ApiError;
use super::peer::{self, Peer};
use crate::config::{Config, Dialects};
use crate::gateway::Gateway;
use crate::registry::Caller;
use crate::traffic::Traffic;

/// The state that all handlers share. It is there before the gateway is, so that health can be asked at once.
pub(crate) struct Front {
    gateway: OnceLock<Arc<Gateway>>,
    stopping: AtomicBool,
    pub(crate) max_body_bytes: usize,
    trusted_proxies: Vec<IpAddr>,
    pub(crate) dialects: Dialects,
    traffic: Arc<Traffic>,
}

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Ready,
    Stopping,
}

impl Front {
    pub(crate) fn new(config: &Config, traffic: Arc<Traffic>) -> Self {
        Front {
            gateway: OnceLock::new(),
            stopping: AtomicBool::new(false),
            max_body_bytes: config.max_body_bytes,
            trusted_proxies: config.trusted_proxies.clone(),
            dialects: config.dialects.clone(),
            traffic,
        }
    }

    /// The same caller, with where the request came from, and through which interface, in the record of what it does.
    pub(crate) fn placed(&self, mut caller: Caller, parts: &Parts, interface: &str) -> Caller {
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

    /// What messages pass with.
    pub(crate) fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// From now on requests are answered.
    pub(crate) fn open(&self, gateway: Arc<Gateway>) {
        let _ = self.gateway.set(gateway);
    }

    /// From now on requests are turned away; those under way go on.
    pub(crate) fn close(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    pub(super) fn phase(&self) -> Phase {
        match (self.stopping.load(Ordering::Acquire), self.gateway.get()) {
            (true, _) => Phase::Stopping,
            (false, None) => Phase::Starting,
            (false, Some(_)) => Phase::Ready,
        }
    }

    pub(super) fn gateway(&self) -> Result<&Arc<Gateway>, ApiError> {
        self.open_gateway().map_err(ApiError::unavailable)
    }

    /// The gateway, or why it does not answer.
    pub(crate) fn open_gateway(&self) -> Result<&Arc<Gateway>, &'static str> {
        match (self.phase(), self.gateway.get()) {
            (Phase::Ready, Some(gateway)) => Ok(gateway),
            (Phase::Stopping, _) => Err("the gateway is shutting down: ask another, or again"),
            _ => Err("the gateway is starting: ask again in a moment"),
        }
    }
}
