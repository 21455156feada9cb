//! When the certificate expires that clients are shown. It belongs to the process.

use std::sync::LazyLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    setting: &'static str,
}

/// Without a certificate, there is no value.
static EXPIRES: LazyLock<Family<Labels, Gauge>> = LazyLock::new(Family::default);

/// Sets when the certificate expires, in seconds since 1970.
pub fn expires(second: i64) {
    EXPIRES.get_or_create(&Labels { setting: "server.tls" }).set(second);
}

pub(super) fn register(registry: &mut Registry) {
    registry.register_with_unit(
        "tls_certificate_expiry_timestamp",
        "When the certificate of server.tls expires",
        Unit::Seconds,
        EXPIRES.clone(),
    );
}
