//! Families of metrics that are written from counters of atomics.

use std::fmt::Error;

use portcullis_ledger_model::Distributed;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

/// The nanoseconds of a second, by which sums and bounds are divided.
pub(crate) const NANOSECONDS: f64 = 1e9;

/// Writes a distribution whose values are `unit`ths of what the metric is in.
#[expect(clippy::cast_precision_loss, reason = "metrics are floating-point numbers")]
pub(crate) fn histogram(mut encoder: MetricEncoder<'_>, read: &Distributed, unit: f64) -> Result<(), Error> {
    let bounds = read.bounds.iter().map(|bound| *bound as f64 / unit).chain([f64::INFINITY]);
    let buckets: Vec<(f64, u64)> = bounds.zip(read.counts).collect();
    encoder.encode_histogram::<NoLabelSet>(read.sum as f64 / unit, read.count(), &buckets, None)
}

/// Writes a family of durations.
pub(crate) fn durations<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    each: impl IntoIterator<Item = (L, Distributed)>,
) -> Result<(), Error> {
    let unit = Unit::Seconds;
    let mut family = encoder.encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
    each.into_iter()
        .try_for_each(|(labels, read)| histogram(family.encode_family(&labels)?, &read, NANOSECONDS))
}

/// Writes a family of counters.
pub(crate) fn counters<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    each: impl IntoIterator<Item = (L, u64)>,
) -> Result<(), Error> {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    each.into_iter().try_for_each(|(labels, count)| {
        family.encode_family(&labels)?.encode_counter::<NoLabelSet, u64, f64>(&count, None)
    })
}

/// Writes a gauge without labels.
pub(crate) fn gauge(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    unit: Option<&Unit>,
    value: impl EncodeGaugeValue,
) -> Result<(), Error> {
    encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?.encode_gauge(&value)
}

/// Writes a counter without labels.
pub(crate) fn counter(
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    count: u64,
) -> Result<(), Error> {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    metric.encode_counter::<NoLabelSet, u64, f64>(&count, None)
}
