//! The spans of operations, for traces. They name the tenant, the sender and counts, and nobody.

use portcullis_msisdn::Direction;
use portcullis_telemetry::TARGET;
use tracing::field::Empty;
use tracing::{Span, info_span};

use super::target::Target;

/// A check of so many people. Record `blocked` once it is known how many are.
pub fn check(target: &Target, direction: Direction, numbers: usize) -> Span {
    info_span!(
        target: TARGET, "check", tenant = target.tenant.config.id.as_str(), sender = sender(target),
        direction = direction.as_str(), numbers, blocked = Empty
    )
}

/// A write of so many rows.
pub fn write(target: &Target, rows: usize) -> Span {
    info_span!(
        target: TARGET, "write", tenant = target.tenant.config.id.as_str(), sender = sender(target), rows
    )
}

fn sender(target: &Target) -> Option<&str> {
    target.sender_config().map(|sender| sender.id.as_str())
}
