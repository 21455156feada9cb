//! What every request meets first: whether the gateway is there to answer it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use super::error::ApiError;
use crate::gateway::Gateway;

/// The state that all handlers share. It is there before the gateway is, so that health can be asked at once.
pub(crate) struct Front {
    gateway: OnceLock<Arc<Gateway>>,
    stopping: AtomicBool,
    pub(super) max_body_bytes: usize,
}

/// What the process is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Starting,
    Ready,
    Stopping,
}

impl Front {
    pub(crate) fn new(max_body_bytes: usize) -> Self {
        Front { gateway: OnceLock::new(), stopping: AtomicBool::new(false), max_body_bytes }
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
        match (self.phase(), self.gateway.get()) {
            (Phase::Ready, Some(gateway)) => Ok(gateway),
            (Phase::Stopping, _) => {
                Err(ApiError::unavailable("the gateway is shutting down: ask another, or again"))
            }
            _ => Err(ApiError::unavailable("the gateway is starting: ask again in a moment")),
        }
    }
}
