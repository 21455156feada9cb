//! The gateways that share a ledger.

use std::time::Duration;

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::store::{Description, Fleet};

impl Ledger {
    /// Tells the others that share the ledger what this gateway is, and that it is there. Call it every few seconds: one that was not heard
    /// of for 15 seconds counts as gone. `staleness` is how long ago it last knew everything that others had written.
    ///
    /// Does nothing if the ledger is not shared. Costs a commit.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn describe(&self, description: &Description, staleness: Duration) -> Result<(), LedgerError> {
        self.store.describe(description, staleness)
    }

    /// Tells the others that this gateway is no longer there.
    ///
    /// # Errors
    /// An error of the storage: the others then notice by themselves.
    pub fn withdraw(&self) -> Result<(), LedgerError> {
        self.store.withdraw()
    }

    /// Returns the gateways that share the ledger, and who has which lease. Nobody is named if the ledger is not shared. Differences are
    /// those from what this gateway said last with [`describe`](Self::describe). Costs two queries.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn fleet(&self) -> Result<Fleet, LedgerError> {
        self.store.fleet()
    }
}
