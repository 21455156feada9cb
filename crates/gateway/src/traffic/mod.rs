//! Messages that pass through the gateway: to Meta's Cloud API, from its webhooks, and between any other two.

mod client;
mod events;
mod keywords;
mod outbound;
mod passing;
mod people;
mod route;
mod shed;
mod verdict;
mod webhook;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;

pub(crate) use client::Unanswered;
pub(crate) use events::run as tell_events;
pub(crate) use keywords::Keywords;
pub(crate) use outbound::{may_pass, pass};
pub(crate) use route::{RouteRequest, Routed, Way, route, status};

use crate::config::{Config, typed};
use crate::http::Front;
use client::Client;
use shed::Shed;
use webhook::Accepted;

/// What messages pass with.
pub(crate) struct Traffic {
    client: Client,
    shed: Shed,
    meta: typed::Meta,
    upstream_patience: Duration,
    callback_patience: Duration,
    accepted: Accepted,
}

impl Traffic {
    pub(crate) fn new(config: &Config) -> Result<Self, rustls::Error> {
        let settings = &config.traffic;
        Ok(Traffic {
            client: Client::new()?,
            shed: Shed::new(settings.max_in_flight, settings.max_in_flight_per_tenant),
            meta: config.meta.clone(),
            upstream_patience: Duration::from_secs(settings.upstream_timeout_seconds),
            callback_patience: Duration::from_secs(settings.callback_timeout_seconds),
            accepted: Accepted::default(),
        })
    }

    /// Whether what is not the gateway's own passes on.
    pub(crate) fn has_upstream(&self) -> bool {
        self.meta.upstream.is_some()
    }
}

/// The routes of Meta's messages and webhooks.
pub(crate) fn router() -> Router<Arc<Front>> {
    Router::new().merge(outbound::router()).merge(webhook::router())
}
