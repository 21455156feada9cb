//! Components of plugins in a shared ledger, for all who share it.

use crate::error::LedgerError;

/// A version of a plugin in a shared ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The plugin's name.
    pub name: String,
    /// The SHA-256 digest of the component.
    pub digest: [u8; 32],
    /// Greater than that of every upload before it, of this plugin or others.
    pub number: u64,
    /// Whether it may be used by tenants that ask for the newest version.
    pub is_released: bool,
    /// How it was admitted, as those who stored it say. Nobody without the master key can have written it.
    pub admission: String,
}

/// The components that all who share a ledger can have.
pub trait Uploads: Send + Sync {
    /// Stores a component as the newest upload of a plugin. If it was uploaded before, its bytes are replaced. A component of more than
    /// 16 MiB is refused. `digest` is the SHA-256 digest of the component, which is not checked here.
    /// `admission` is kept with it, sealed under the master key.
    ///
    /// With [`LedgerError::OutcomeUnknown`] it may be stored: repeat the call.
    fn put_upload(
        &self,
        name: &str,
        digest: [u8; 32],
        component: &[u8],
        admission: &str,
        is_released: bool,
    ) -> Result<(), LedgerError>;

    /// All uploads, without their components, in the order of their numbers. Leaves out what others than the owners of the master key have
    /// written into the database. Costs one query.
    fn uploads(&self) -> Result<Vec<Upload>, LedgerError>;

    /// The component of an upload; `None` if there is none. **Compare its digest**: the database may have damaged it.
    fn component(&self, name: &str, digest: [u8; 32]) -> Result<Option<Vec<u8>>, LedgerError>;

    /// Lets tenants use an upload that ask for the newest version. Does nothing if there is no such upload.
    fn release_upload(&self, name: &str, digest: [u8; 32]) -> Result<(), LedgerError>;

    /// Drops uploads of a plugin.
    fn drop_uploads(&self, name: &str, digests: &[[u8; 32]]) -> Result<(), LedgerError>;
}
