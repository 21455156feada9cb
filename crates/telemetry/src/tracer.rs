//! The tracer: which traces are recorded, and where they go.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider, SpanLimits,
};
use tokio::runtime::Handle;
use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;

use crate::client::Client;
use crate::exporter::Exporter;
use crate::span::TARGET;

/// The most spans that wait to be exported. More are dropped.
const MOST_WAITING: usize = 4096;
/// The most spans in one request.
const MOST_AT_ONCE: usize = 512;
/// How long spans wait for others.
const DELAY: Duration = Duration::from_secs(1);
/// The most attributes of a span, and of events of it, which spans here have none of.
const MOST_ATTRIBUTES: u32 = 32;
/// How long the last spans may take at the end.
const LAST: Duration = Duration::from_secs(5);

/// Where traces go, and which.
#[derive(Clone, Debug)]
pub struct Collector {
    /// The URL to which traces are posted, with its path.
    pub url: String,
    /// The header `Authorization`.
    pub authorization: Option<String>,
    /// The share of traces that begin here which are recorded, from 0 to 1. What a client records is recorded, and what it doesn't is not.
    pub sample_ratio: f64,
    /// The name of the service.
    pub service: String,
    /// The name of the node, if it has one.
    pub node: Option<String>,
    /// The version of the program.
    pub version: &'static str,
    /// How long a request to the collector may take.
    pub patience: Duration,
}

/// Records traces until it is [ended](Self::end).
#[derive(Debug)]
pub struct Tracer {
    provider: SdkTracerProvider,
    runtime: Arc<OnceLock<Handle>>,
}

/// Why no traces can be recorded.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There are no root certificates.
    #[error("can't set up TLS for the collector of traces")]
    Tls(#[from] rustls::Error),
    /// The URL or the header is of no use.
    #[error("can't send traces to the collector: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
}

impl Tracer {
    /// Starts a thread that sends what is recorded, once it knows the [runtime](Self::run_on).
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn start(collector: &Collector) -> Result<Self, StartError> {
        let runtime = Arc::<OnceLock<Handle>>::default();
        let client = Client::new(Arc::clone(&runtime), collector.patience)?;
        let headers = collector.authorization.clone().map(|value| ("authorization".to_owned(), value));
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&collector.url)
            .with_timeout(collector.patience)
            .with_headers(headers.into_iter().collect::<HashMap<_, _>>())
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(MOST_WAITING)
            .with_max_export_batch_size(MOST_AT_ONCE)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(Exporter(exporter)).with_batch_config(batches).build();
        let node = collector.node.clone().map(|node| KeyValue::new("service.instance.id", node));
        let resource = Resource::builder()
            .with_service_name(collector.service.clone())
            .with_attribute(KeyValue::new("service.version", collector.version))
            .with_attributes(node)
            .build();
        let limits = SpanLimits {
            max_events_per_span: 0,
            max_links_per_span: 0,
            max_attributes_per_span: MOST_ATTRIBUTES,
            ..SpanLimits::default()
        };
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(collector.sample_ratio))))
            .with_span_limits(limits)
            .with_resource(resource)
            .build();
        Ok(Tracer { provider, runtime })
    }

    /// Sends on this runtime from now on.
    pub fn run_on(&self, runtime: Handle) {
        let _ = self.runtime.set(runtime);
    }

    /// Sends what is left. Blocks for at most five seconds. Returns whether all was sent.
    pub fn end(&self) -> bool {
        self.provider.shutdown_with_timeout(LAST).is_ok()
    }
}

/// The layer that records spans of [`TARGET`] with a tracer.
pub fn layer<S>(tracer: &Tracer) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer.provider.tracer("portcullis"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_filter(Targets::new().with_target(TARGET, LevelFilter::TRACE))
}
