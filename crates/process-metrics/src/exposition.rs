//! How metrics are written: as OpenMetrics, or as the older text of Prometheus, plain or compressed.

use std::fmt::{Error, Write as _};
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::registry::Registry;

/// A format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's text, version 0.0.4, which all of its tools read.
    Text,
}

impl Format {
    /// The format for a client that accepts these media types, as in the header `Accept`. Prometheus names OpenMetrics; a client that names
    /// neither gets text.
    pub fn accepted(accept: &str) -> Self {
        let named = accept.split(',').map(|one| one.split(';').next().unwrap_or_default().trim());
        let is_open = |name: &str| name.eq_ignore_ascii_case("application/openmetrics-text");
        if named.into_iter().any(is_open) { Format::OpenMetrics } else { Format::Text }
    }

    /// The content type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Format::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Format::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// Writes the metrics of these registries.
    ///
    /// # Errors
    /// If a metric can't be formatted, which does not happen in practice.
    pub fn write(self, registries: &[&Registry]) -> Result<String, Error> {
        let mut text = String::new();
        for registry in registries {
            match self {
                Format::OpenMetrics => encode_registry(&mut text, registry)?,
                Format::Text => encode_registry(&mut Rewriter::new(&mut text), registry)?,
            }
        }
        if self == Format::OpenMetrics {
            encode_eof(&mut text)?;
        }
        Ok(text)
    }
}

/// Whether a client takes gzip, by its header `Accept-Encoding`.
pub fn takes_gzip(accept_encoding: &str) -> bool {
    let mut any = None;
    for one in accept_encoding.split(',') {
        let (name, weight) = one.split_once(';').unwrap_or((one, ""));
        let weight = weight.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f64>);
        let is_taken = weight.is_ok_and(|weight| weight > 0.0);
        match name.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return is_taken,
            "*" => any = Some(is_taken),
            _ => {}
        }
    }
    any.unwrap_or(false)
}

/// Compresses a text with gzip, fast rather than well. Takes about 10 ms of a processor for each megabyte, so it is not for threads of
/// the runtime.
pub fn gzip(text: &str) -> Vec<u8> {
    // Metrics repeat themselves: a tenth to a thirtieth is left.
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(text.as_bytes());
    encoder.finish().unwrap_or_default()
}

/// Turns OpenMetrics into Prometheus's text as it is written, line by line: counters and infos are described by the name of their only
/// sample, and units are left out.
struct Rewriter<'a> {
    to: &'a mut String,
    line: String,
    /// The line `# HELP`, until the type is known.
    help: Option<String>,
}

impl<'a> Rewriter<'a> {
    fn new(to: &'a mut String) -> Self {
        Rewriter { to, line: String::new(), help: None }
    }

    fn end_line(&mut self) {
        let line = std::mem::take(&mut self.line);
        if let Some(help) = line.strip_prefix("# HELP ") {
            self.help = Some(help.to_owned());
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", kind),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                _ => ("", kind),
            };
            let help = self.help.take().unwrap_or_default();
            let help = help.strip_prefix(name).unwrap_or_default().trim_start();
            // Writing to a string does not fail.
            let _ = writeln!(self.to, "# HELP {name}{suffix} {help}\n# TYPE {name}{suffix} {kind}");
        } else if !line.starts_with("# ") {
            self.to.push_str(&line);
            self.to.push('\n');
        }
        // Its memory is used again.
        self.line = line;
        self.line.clear();
    }
}

impl std::fmt::Write for Rewriter<'_> {
    fn write_str(&mut self, text: &str) -> Result<(), Error> {
        for piece in text.split_inclusive('\n') {
            match piece.strip_suffix('\n') {
                Some(end) => {
                    self.line.push_str(end);
                    self.end_line();
                }
                None => self.line.push_str(piece),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;
    use prometheus_client::metrics::info::Info;
    use prometheus_client::registry::Unit;

    use super::*;

    fn registry() -> Registry {
        let mut registry = Registry::with_prefix("p");
        registry.register("checks", "Checks", Counter::<u64>::default());
        registry.register_with_unit("log", "Size", Unit::Bytes, Gauge::<i64>::default());
        registry.register_with_unit("check", "Time", Unit::Seconds, Histogram::new([0.5]));
        registry.register("build", "Version", Info::new([("version", "1")]));
        registry
    }

    #[test]
    fn text_describes_samples_by_their_names() {
        let text = Format::Text.write(&[&registry()]).unwrap();
        assert_eq!(
            text,
            "# HELP p_checks_total Checks.\n# TYPE p_checks_total counter\np_checks_total 0\n\
             # HELP p_log_bytes Size.\n# TYPE p_log_bytes gauge\np_log_bytes 0\n\
             # HELP p_check_seconds Time.\n# TYPE p_check_seconds histogram\np_check_seconds_sum 0.0\n\
             p_check_seconds_count 0\np_check_seconds_bucket{le=\"0.5\"} 0\np_check_seconds_bucket{le=\"+Inf\"} 0\n\
             # HELP p_build_info Version.\n# TYPE p_build_info gauge\np_build_info{version=\"1\"} 1\n"
        );
    }

    #[test]
    fn open_metrics_end_once() {
        let registry = registry();
        let text = Format::OpenMetrics.write(&[&registry, &Registry::default()]).unwrap();
        assert!(text.contains("# TYPE p_checks counter\n") && text.contains("# UNIT p_log_bytes bytes\n"));
        assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
    }

    #[test]
    fn a_client_gets_what_it_accepts() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", Format::OpenMetrics),
        ] {
            assert_eq!(Format::accepted(accept), format, "{accept}");
        }
        for (accept, takes) in [
            ("", false),
            ("gzip", true),
            ("deflate, GZIP;q=0.5", true),
            ("gzip;q=0, *", false),
            ("*", true),
            ("br, *;q=0", false),
            ("gzip;q=x", false),
        ] {
            assert_eq!(takes_gzip(accept), takes, "{accept}");
        }
    }

    #[test]
    fn what_is_compressed_is_the_text() {
        let text = "portcullis_checks_total{tenant=\"acme\"} 1\n".repeat(1000);
        let compressed = gzip(&text);
        assert!(compressed.len() * 10 < text.len());
        let mut read = String::new();
        flate2::read::GzDecoder::new(&compressed[..]).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }
}
