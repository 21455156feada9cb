//! What is delivered once by all processes that share a ledger.

use std::time::Duration;

use portcullis_ledger_model::{ClaimId, Claims, DeliveryKey};

use crate::error::LedgerError;

/// Deliveries that are being made, or were.
///
/// A claim says who makes a delivery. Of several processes that claim one, one is granted it. A claim that is neither finished nor
/// released ends by itself, so that another process takes over what a crashed one had claimed: a delivery is made at least once, and
/// repeated only after a crash.
///
/// None of this waits for the disk: what is remembered may be lost with the last seconds before a crash, of the process or of the
/// server. So may the oldest deliveries, if there are more than the store keeps: a million in a database, 100,000 in a file. Then a
/// delivery may be repeated, too.
pub trait Deliveries: Send + Sync {
    /// Claims deliveries for this time, by the clock that all processes share, each independently of the others.
    fn claim(&self, keys: &[DeliveryKey], lasting: Duration) -> Result<Claims, LedgerError>;

    /// Remembers for [`LONGEST_REDELIVERY`](crate::LONGEST_REDELIVERY) that deliveries were made, claimed or not.
    fn finish(&self, keys: &[DeliveryKey]) -> Result<(), LedgerError>;

    /// Gives up claims of deliveries that were not made. Does nothing to claims of others, and to what was made.
    fn release(&self, keys: &[DeliveryKey], id: ClaimId) -> Result<(), LedgerError>;

    /// Whether a delivery was made.
    fn is_done(&self, key: DeliveryKey) -> Result<bool, LedgerError>;

    /// Stores what is only remembered in memory so far. Call it every few seconds, and before the process ends.
    fn keep_deliveries(&self) -> Result<(), LedgerError> {
        Ok(())
    }

    /// Forgets deliveries that need not be remembered any longer, the oldest of too many, and [confirmations](super::Confirmations) that
    /// ended so long ago that nothing renews them. Call it every few minutes, in one of the processes. Reads all of them.
    fn trim_deliveries(&self) -> Result<(), LedgerError>;
}
