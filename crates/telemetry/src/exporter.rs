//! The exporter, which says when it fails.

use std::time::Duration;

use opentelemetry_otlp::SpanExporter as Otlp;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use portcullis_admission::LogLimit;
use tracing::warn;

/// Lines about spans that could not be exported.
static FAILED: LogLimit = LogLimit::new(1);

/// Exports spans. Those that can't be exported are lost, and a line in the log says how many and why.
#[derive(Debug)]
pub(crate) struct Exporter(pub(crate) Otlp);

impl SpanExporter for Exporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let exported = self.0.export(batch).await;
        if let Err(error) = &exported
            && FAILED.admits()
        {
            let suppressed = FAILED.suppressed();
            warn!(spans, %error, suppressed, "spans could not be sent to the collector of traces, and are lost");
        }
        exported
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.0.set_resource(resource);
    }
}
