//! The one message that may still be sent to a person who has opted out.

use std::time::Duration;

use portcullis_msisdn::Subject;

use super::ListRow;
use crate::error::LedgerError;

/// Confirmations of opt-outs. Of all processes that share a ledger, one can take each.
pub trait Confirmations: Send + Sync {
    /// Allows one message to a person within this time. Fails with [`LedgerError::TenantForgotten`] if the tenant was forgotten.
    fn allow_confirmation(&self, list: ListRow, to: Subject, within: Duration) -> Result<(), LedgerError>;

    /// Gives a message that was allowed, and not taken, this time anew, if it was not [trimmed](super::Deliveries::trim_deliveries).
    fn renew_confirmation(&self, list: ListRow, to: Subject, within: Duration) -> Result<(), LedgerError>;

    /// Takes the message that is allowed. Returns whether there was one, and its time was not over.
    fn take_confirmation(&self, list: ListRow, to: Subject) -> Result<bool, LedgerError>;

    /// Allows no message any more.
    fn withdraw_confirmation(&self, list: ListRow, to: Subject) -> Result<(), LedgerError>;
}
