//! Spans.

use axum::http::{HeaderMap, HeaderValue};
use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState};
use portcullis_correlation::{TRACE_PARENT, TraceContext};
use tracing::field::Empty;
use tracing::{Span, info_span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of all spans that are exported. The log has none of them.
pub const TARGET: &str = "portcullis_trace";

/// The span of a request of a client, which is part of the client's trace if it has one. Record `http.route` and
/// `http.response.status_code` once they are known, and [name](name) it.
pub fn request(method: &'static str, trace: Option<TraceContext>) -> Span {
    let span = info_span!(
        target: TARGET, parent: None, "request", otel.kind = "server", otel.status_code = Empty,
        http.request.method = method, http.route = Empty, http.response.status_code = Empty,
        tenant = Empty, sender = Empty, direction = Empty, verdict = Empty
    );
    if let Some(trace) = trace
        && !span.is_disabled()
    {
        // Without a layer for it, it is disabled.
        let _ = span.set_parent(Context::new().with_remote_span_context(remote(trace)));
    }
    span
}

/// Names a span that has begun.
pub fn name(span: &Span, name: String) {
    if !span.is_disabled() {
        span.context().span().update_name(name);
    }
}

/// The span of a request that the gateway makes, such as `upstream`.
pub fn outgoing(name: &'static str) -> Span {
    info_span!(
        target: TARGET, "outgoing", otel.name = name, otel.kind = "client", otel.status_code = Empty,
        http.response.status_code = Empty, outcome = Empty
    )
}

/// Says in the headers of a request that it is part of this span, if anybody is interested in that.
pub fn pass_on(span: &Span, headers: &mut HeaderMap) {
    if span.is_disabled() {
        return;
    }
    let context = span.context();
    let span = context.span();
    let context = span.span_context();
    let flags = context.trace_flags().to_u8();
    let text = format!("00-{}-{}-{flags:02x}", context.trace_id(), context.span_id());
    if let (true, Ok(value)) = (context.is_valid(), HeaderValue::from_str(&text)) {
        headers.insert(TRACE_PARENT, value);
    }
}

fn remote(trace: TraceContext) -> SpanContext {
    let flags = if trace.is_sampled() { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (id, parent) = (TraceId::from(trace.trace_id().get()), SpanId::from(trace.parent_id()));
    SpanContext::new(id, parent, flags, true, TraceState::default())
}
