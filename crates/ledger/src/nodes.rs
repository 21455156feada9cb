//! The gateways that share a ledger.

use std::time::Duration;

use portcullis_ledger_model::{FeedPosition, ListId, Seq};

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::store::{Description, Fleet};

impl Ledger {
    /// Sets what this process is: others learn it when it says the next time that it is [alive](Self::stay_alive). Costs nothing if it is the
    /// same as before.
    pub fn describe(&self, description: &Description) {
        self.store.describe(description);
    }

    /// Says that this process is live, and will be for `lasting` by the database's clock: others wait for it with
    /// [`followed_by_all`](Self::followed_by_all). Repeat it well before that time ends. Call it before the first list is read that may be
    /// awaited. `staleness` is how long ago this process last knew everything that others had written. Like a lease, it is bound to this
    /// open ledger, and not to the name of the node. Does nothing if the ledger is not shared.
    ///
    /// Costs a commit that waits neither for the disk nor for a standby. A failover may lose it: until it is repeated, others may then not
    /// wait for this process.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn stay_alive(&self, lasting: Duration, staleness: Duration) -> Result<(), LedgerError> {
        self.store.stay_alive(lasting, staleness)
    }

    /// Says that this process has everything that was committed before [`changed_lists`](Self::changed_lists) reached this position, except
    /// for the lists that are `behind`. Costs as much as [`stay_alive`](Self::stay_alive), after which it has an effect.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn report_progress(&self, position: &FeedPosition, behind: &[ListId]) -> Result<(), LedgerError> {
        self.store.report_progress(position, behind)
    }

    /// Returns those of these changes, lists and their sequence numbers, that all other processes have which share the ledger and are
    /// [live](Self::stay_alive), as far as they have [reported](Self::report_progress). All of them if the ledger is not shared. Costs one
    /// query, with a lookup per change.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn followed_by_all(&self, changes: &[(ListId, Seq)]) -> Result<Vec<(ListId, Seq)>, LedgerError> {
        self.store.followed_by_all(changes)
    }

    /// Says that this process answers nothing any more, so that nobody waits for it. Costs as much as [`stay_alive`](Self::stay_alive).
    ///
    /// # Errors
    /// An error of the storage. Others then wait until the process is no longer live by the database's clock.
    pub fn leave(&self) -> Result<(), LedgerError> {
        self.store.leave()
    }

    /// Returns the processes that share the ledger, and who has which lease. Nobody is named if the ledger is not shared. Differences are
    /// those from what this process [is](Self::describe). Costs two queries.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn fleet(&self) -> Result<Fleet, LedgerError> {
        self.store.fleet()
    }
}
