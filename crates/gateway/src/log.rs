//! Logs on standard error. No number, no token, and no text of a client gets into them.

use std::panic::PanicHookInfo;

use anyhow::Context as _;
use tracing::error;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::LogFormat;

/// The variable that filters logs, as `warn` or `info,portcullis=debug`.
const FILTER: &str = "PORTCULLIS_LOG";

/// Starts logging.
pub(crate) fn start(format: LogFormat) -> anyhow::Result<()> {
    let filter = std::env::var(FILTER).unwrap_or_else(|_| "info".to_owned());
    let filter: Targets = filter
        .parse()
        .with_context(|| format!("{FILTER} is not a filter: write it like warn, or info,portcullis=debug"))?;
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .try_init()
        .context("logging can't be started")?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// What a panic says may hold what it was about: so only its place is logged.
fn log_panic(panic: &PanicHookInfo<'_>) {
    match panic.location() {
        Some(place) => error!(file = place.file(), line = place.line(), "a defect ended a thread's work"),
        None => error!("a defect ended a thread's work"),
    }
}
