//! Components of plugins in a shared ledger.

use crate::error::LedgerError;
use crate::ledger::Ledger;
use crate::store::Upload;

impl Ledger {
    /// Stores a component as the newest upload of a plugin, so that all who share the ledger can have it. If it was uploaded before, its
    /// bytes are replaced. A component of more than 16 MiB is refused.
    ///
    /// Does nothing if the ledger is not shared. `digest` is the SHA-256 digest of the component, which is not checked here.
    ///
    /// # Errors
    /// An error of the storage; [`LedgerError::OutcomeUnknown`] if it may be stored: repeat the call.
    pub fn put_upload(
        &self,
        name: &str,
        digest: [u8; 32],
        component: &[u8],
        is_released: bool,
    ) -> Result<(), LedgerError> {
        self.store.put_upload(name, digest, component, is_released)
    }

    /// Returns all uploads, without their components, in the order of their numbers. Leaves out what others than the owners of the master
    /// key have written into the database. There are none in a ledger that is not shared. Costs one query.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn uploads(&self) -> Result<Vec<Upload>, LedgerError> {
        self.store.uploads()
    }

    /// Returns the component of an upload; `None` if there is none. **Compare its digest**: the database may have damaged it.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn component(&self, name: &str, digest: [u8; 32]) -> Result<Option<Vec<u8>>, LedgerError> {
        self.store.component(name, digest)
    }

    /// Says that tenants which ask for the newest version may use an upload. Does nothing if there is no such upload.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn release_upload(&self, name: &str, digest: [u8; 32]) -> Result<(), LedgerError> {
        self.store.release_upload(name, digest)
    }

    /// Drops uploads of a plugin.
    ///
    /// # Errors
    /// An error of the storage.
    pub fn drop_uploads(&self, name: &str, digests: &[[u8; 32]]) -> Result<(), LedgerError> {
        self.store.drop_uploads(name, digests)
    }
}
