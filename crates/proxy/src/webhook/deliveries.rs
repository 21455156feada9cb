//! The deliveries of one webhook: each is claimed, so that of all gateways that get the webhook, one makes it.

use std::sync::Arc;
use std::time::Duration;

use portcullis_edge::gateway::Gateway;
use portcullis_edge::http::log_ledger_error;
use portcullis_edge::ops::Refusal;
use portcullis_ledger::store::Deliveries;
use portcullis_ledger::{Claim, ClaimId, Claims, DeliveryKey, LedgerError};

/// How long a claim lasts beyond the time that a delivery may take.
const MARGIN: Duration = Duration::from_secs(2);

/// Deliveries, and what this gateway may do with each.
pub(super) struct Claimed {
    gateway: Arc<Gateway>,
    /// `None` if nothing could be claimed.
    id: Option<ClaimId>,
    /// In the order of the keys.
    pub(super) each: Vec<Claim>,
}

impl Claimed {
    /// Claims deliveries, each of which takes `longest` at most.
    ///
    /// If the ledger can't be asked, all are granted: a message that is delivered twice is better than one that waits for the ledger.
    /// If too many webhooks are under way, none is.
    pub(super) async fn of(gateway: &Arc<Gateway>, keys: &[DeliveryKey], longest: Duration) -> Self {
        if keys.is_empty() {
            return Claimed { gateway: Arc::clone(gateway), id: None, each: Vec::new() };
        }
        let owned = keys.to_vec();
        let claims = blocking(gateway, move |deliveries| deliveries.claim(&owned, longest + MARGIN)).await;
        let all = |claim| vec![claim; keys.len()];
        let (id, each) = match claims {
            Ok(Claims { id, each }) => (Some(id), each),
            Err(Refusal::Ledger(error)) => {
                log_ledger_error(&error);
                (None, all(Claim::Granted))
            }
            Err(_) => (None, all(Claim::Pending)),
        };
        Claimed { gateway: Arc::clone(gateway), id, each }
    }

    /// Says what became of the deliveries that were granted: those that were made are never made again, and the others can be made
    /// at once. If the ledger can't be told, they can be made again when the claims end.
    pub(super) async fn settle(self, made: Vec<DeliveryKey>, failed: Vec<DeliveryKey>) {
        let Claimed { gateway, id, .. } = self;
        if made.is_empty() && (failed.is_empty() || id.is_none()) {
            return;
        }
        let settle = move |deliveries: &dyn Deliveries| {
            if !made.is_empty() {
                deliveries.finish(&made)?;
            }
            match id {
                Some(id) if !failed.is_empty() => deliveries.release(&failed, id),
                _ => Ok(()),
            }
        };
        if let Err(Refusal::Ledger(error)) = blocking(&gateway, settle).await {
            log_ledger_error(&error);
        }
    }
}

async fn blocking<T: Send + 'static>(
    gateway: &Arc<Gateway>,
    work: impl FnOnce(&dyn Deliveries) -> Result<T, LedgerError> + Send + 'static,
) -> Result<T, Refusal> {
    let engine = gateway.engine.clone();
    gateway.pools.webhook(move || Ok::<_, Refusal>(work(engine.deliveries()?)?)).await
}
