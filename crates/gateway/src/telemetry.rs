//! Starts to trace, if the configuration names a collector.

use anyhow::Context as _;
use portcullis_telemetry::{Collector, Tracer};

use crate::config::Config;

/// Starts the tracer. `None` if nothing is traced.
pub(crate) fn start(config: &Config) -> anyhow::Result<Option<Tracer>> {
    let Some(settings) = &config.telemetry else { return Ok(None) };
    let collector = Collector {
        url: settings.traces_url.clone(),
        authorization: settings.authorization.as_ref().map(|secret| secret.0.clone()),
        sample_ratio: settings.sample_ratio,
        service: settings.service_name.clone(),
        node: config.fleet.node.clone(),
        version: env!("CARGO_PKG_VERSION"),
        patience: settings.timeout,
    };
    Tracer::start(&collector).map(Some).context("[telemetry]")
}
