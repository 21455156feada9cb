//! Periodically saves which webhooks were delivered, and forgets those of long ago.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::warn;

use portcullis_edge::gateway::Gateway;
use portcullis_engine::Engine;

/// The time between two saves. A crash loses at most what was delivered in this period.
const PERIOD: Duration = Duration::from_secs(5);
/// The time between two times of forgetting.
const TRIM: Duration = Duration::from_secs(600);
/// The lease of a gateway that forgets, as two need not do it at once. A longer one would keep `portcullis migrate` waiting for a gateway
/// that was killed.
const LEASE: (&str, Duration) = ("deliveries", Duration::from_secs(4));

/// Saves and forgets periodically. Never returns.
pub(crate) async fn run(gateway: Arc<Gateway>) {
    let mut trimmed: Option<Instant> = None;
    loop {
        let engine = gateway.engine.clone();
        let _ = tokio::task::spawn_blocking(move || keep(&engine)).await;
        if trimmed.is_none_or(|trimmed| trimmed.elapsed() >= TRIM) {
            trimmed = Some(Instant::now());
            if let Ok(true) = gateway.engine.lease(LEASE.0, LEASE.1).await {
                let engine = gateway.engine.clone();
                let _ = tokio::task::spawn_blocking(move || trim(&engine)).await;
            }
        }
        tokio::time::sleep(PERIOD).await;
    }
}

/// Saves which webhooks were delivered.
pub(crate) fn keep(engine: &Engine) {
    if let Err(error) = engine.deliveries().and_then(|deliveries| deliveries.keep_deliveries())
        && !engine.is_shared()
    {
        warn!(%error, "can't save which webhooks were delivered; retrying");
    }
}

fn trim(engine: &Engine) {
    if let Err(error) = engine.deliveries().and_then(|deliveries| deliveries.trim_deliveries()) {
        warn!(%error, "can't delete what is known of webhooks of long ago; retrying in {} s", TRIM.as_secs());
    }
}
