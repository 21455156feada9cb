//! Logging to standard error. Logs contain no number, no token, and no text that a client sent.

use std::panic::PanicHookInfo;

use anyhow::Context as _;
use tracing::error;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::LogFormat;

/// The environment variable that filters logs, such as `warn` or `info,portcullis_engine=debug`.
const FILTER: &str = "PORTCULLIS_LOG";

/// Starts logging.
pub(crate) fn start(format: LogFormat) -> anyhow::Result<()> {
    let filter = std::env::var(FILTER).unwrap_or_else(|_| "info".to_owned());
    let filter: Targets = filter.parse().with_context(|| {
        format!("{FILTER} is not a filter; write it like warn or info,portcullis_engine=debug")
    })?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .context("can't start logging")?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Logs the location of a panic, but not its message, which may contain a number.
fn log_panic(panic: &PanicHookInfo<'_>) {
    match panic.location() {
        Some(place) => error!(file = place.file(), line = place.line(), "a thread panicked"),
        None => error!("a thread panicked"),
    }
}
