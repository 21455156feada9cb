//! Follows the changes of tenants and plugins that other gateways make, which share the ledger.

use std::sync::Arc;
use std::time::Duration;

use portcullis_edge::gateway::{Gateway, SettingsError};
use portcullis_host::ErrorChain;
use tracing::warn;

/// How often the ledger is asked. So long may another gateway not know a tenant that was added here.
const PERIOD: Duration = Duration::from_secs(1);

/// Follows periodically. Never returns.
pub(crate) async fn follow(gateway: Arc<Gateway>) {
    // Compiling a plugin must not hold up a token that was revoked.
    tokio::join!(
        repeat(&gateway, "what other gateways changed of tenants", Gateway::follow_others),
        repeat(&gateway, "what other gateways uploaded of plugins", Gateway::follow_uploads),
    );
}

/// Does something again and again. Logs an error when it first occurs.
async fn repeat(gateway: &Arc<Gateway>, what: &str, step: fn(&Gateway) -> Result<(), SettingsError>) {
    let mut last = None;
    loop {
        tokio::time::sleep(PERIOD).await;
        let at_work = Arc::clone(gateway);
        let Ok(done) = tokio::task::spawn_blocking(move || step(&at_work)).await else { continue };
        let error = done.err().map(|error| ErrorChain(&error).to_string());
        if let Some(error) = error.as_ref().filter(|_| error != last) {
            warn!(error, "{what} can't be followed; retrying");
        }
        last = error;
    }
}
