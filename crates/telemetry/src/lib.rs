//! Traces of what the gateway does, for a collector that speaks OTLP (OpenTelemetry's protocol) over HTTP.
//!
//! What is traced is a span of the crate `tracing` with the target [`TARGET`]. Without a collector nobody is interested in these spans, and
//! each costs a load and a branch. Attributes are names that the operator chose, constants of this program and counts: never a telephone
//! number, a subject, a token, a path with a number in it, or content.
#![forbid(unsafe_code)]

mod client;
mod exporter;
mod span;
mod tracer;

pub use span::{TARGET, name, outgoing, pass_on, request};
pub use tracer::{Collector, StartError, Tracer, layer};
