//! What several processes that share a ledger do once: deliveries, and confirmations of opt-outs.

use std::time::Duration;

use portcullis_ledger_model::DeliveryKey;
use portcullis_msisdn::Subject;

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::list::List;
use crate::store::Deliveries;

impl Ledger {
    /// The deliveries that are made once by all processes that share the ledger.
    pub fn deliveries(&self) -> &dyn Deliveries {
        self.store()
    }
}

impl List {
    /// Allows one message to a person who is blocked, within this time: the confirmation of an opt-out. Durable.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn allow_confirmation(&self, to: Subject, within: Duration) -> Result<(), LedgerError> {
        self.store().allow_confirmation(self.row(), to, within)
    }

    /// Gives a confirmation that was allowed this time anew, also if its time is over. Does nothing if it was taken.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn renew_confirmation(&self, to: Subject, within: Duration) -> Result<(), LedgerError> {
        self.store().renew_confirmation(self.row(), to, within)
    }

    /// Takes the confirmation that is allowed, so that nobody else can. Durable: at most one caller, in all processes that share the
    /// ledger, is told `true`. `false` if none is allowed, or its time is over.
    ///
    /// # Errors
    /// An error of the storage: send nothing then. The confirmation may be taken all the same.
    pub fn take_confirmation(&self, to: Subject) -> Result<bool, LedgerError> {
        self.store().take_confirmation(self.row(), to)
    }

    /// Allows no confirmation any more, because the person has opted in again.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn withdraw_confirmation(&self, to: Subject) -> Result<(), LedgerError> {
        self.store().withdraw_confirmation(self.row(), to)
    }

    /// Remembers that the message with this id from this person was handled, as a [delivery](Deliveries) that was made.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn remember_message(&self, from: Subject, id: &str) -> Result<(), LedgerError> {
        self.store().finish(&[self.message(from, id)])
    }

    /// Whether the message with this id from this person was [handled](Self::remember_message).
    ///
    /// # Errors
    /// An error of the storage.
    pub fn remembers_message(&self, from: Subject, id: &str) -> Result<bool, LedgerError> {
        self.store().is_done(self.message(from, id))
    }

    fn message(&self, from: Subject, id: &str) -> DeliveryKey {
        DeliveryKey(self.keys().digest_of_message(self.scope(), from, id))
    }
}
