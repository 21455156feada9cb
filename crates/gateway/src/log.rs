//! Logging to standard error. Logs contain no number, no token, and no text that a client sent. Text of plugins, and names of files,
//! can't break a line or act on a terminal.

use std::io::{self, Write};
use std::panic::PanicHookInfo;

use anyhow::Context as _;
use portcullis_host::is_obeyed;
use portcullis_telemetry::{TARGET, Tracer};
use tracing::error;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{Layer as _, fmt};

use crate::config::LogFormat;

/// The environment variable that filters logs, such as `warn` or `info,portcullis_engine=debug`.
const FILTER: &str = "PORTCULLIS_LOG";

/// Starts logging, and tracing if there is a tracer.
pub(crate) fn start(format: LogFormat, tracer: Option<&Tracer>) -> anyhow::Result<()> {
    let filter = std::env::var(FILTER).unwrap_or_else(|_| "info".to_owned());
    let filter: Targets = filter.parse().with_context(|| {
        format!("{FILTER} is not a filter; write it like warn or info,portcullis_engine=debug")
    })?;
    let writer = move || Escaped { to: io::stderr(), format };
    let lines = fmt::layer().with_writer(writer).with_ansi(false);
    let lines = match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    // What is traced has spans of its own, which are not those of lines.
    let filter = filter.with_target(TARGET, LevelFilter::OFF);
    tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(tracer.map(portcullis_telemetry::layer))
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

/// Writes lines in which whatever a terminal or a reader would obey is escaped.
struct Escaped<W> {
    to: W,
    format: LogFormat,
}

/// Each call writes one line, as the logger does it.
impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match std::str::from_utf8(line) {
            Ok(text) if text.trim_end_matches('\n').contains(is_obeyed) => {
                self.to.write_all(escaped(text, self.format).as_bytes())?;
            }
            _ => self.to.write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

fn escaped(line: &str, format: LogFormat) -> String {
    let text = line.strip_suffix('\n').unwrap_or(line);
    let mut escaped = String::with_capacity(line.len() + 64);
    for c in text.chars() {
        match (is_obeyed(c), format) {
            (false, _) => escaped.push(c),
            (true, LogFormat::Text) if c == '\n' => escaped.push_str("\\n"),
            (true, LogFormat::Text) => escaped.extend(c.escape_unicode()),
            // As JSON has it.
            (true, LogFormat::Json) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    escaped.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    escaped.push_str(&line[text.len()..]);
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_stays_one_line_and_json_stays_json() {
        let text = "a\u{202e}b\u{e0041}\u{1b}[2J";
        let logged = |line: String, format| {
            let mut written = Vec::new();
            Escaped { to: &mut written, format }.write_all(line.as_bytes()).unwrap();
            String::from_utf8(written).unwrap()
        };
        assert_eq!(logged(format!("x\n{text}\n"), LogFormat::Text), "x\\na\\u{202e}b\\u{e0041}\\u{1b}[2J\n");
        assert_eq!(logged("plain – ö\n".to_owned(), LogFormat::Text), "plain – ö\n");
        // serde_json leaves these as they are.
        let line = logged(format!("{}\n", serde_json::json!({ "error": text })), LogFormat::Json);
        assert!(!line.trim_end().contains(is_obeyed), "{line}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&line).unwrap()["error"], text);
    }
}
