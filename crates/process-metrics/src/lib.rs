//! What the gateway counts of itself, apart from its tenants: requests, answers of others, commits, reloads of the configuration, and the
//! process. And how metrics are written, for Prometheus and for people.
//!
//! What is counted belongs to the process, because requests are answered before the gateway has started, too. Label values are constants of
//! this program, or patterns of routes: never a telephone number, a token, or a client's text.
#![forbid(unsafe_code)]

pub mod backlog;
pub mod configuration;
pub mod exchanges;
pub mod exposition;
mod families;
pub mod http;
pub mod ledger;
pub mod process;
pub mod tokens;

use prometheus_client::registry::Registry;

/// Registers what is counted of the process. Names begin with the registry's prefix.
pub fn register(registry: &mut Registry) {
    http::register(registry);
    exchanges::register(registry);
    configuration::register(registry);
    backlog::register(registry);
    tokens::register(registry);
}
