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
}

/// The store of components. The methods' own bodies are those of a ledger that is not shared: nobody else needs them.
pub trait Uploads: Send + Sync {
    /// Stores a component as the newest upload of a plugin, also if it is there already.
    fn put_upload(
        &self,
        name: &str,
        digest: [u8; 32],
        component: &[u8],
        is_released: bool,
    ) -> Result<(), LedgerError> {
        let _ = (name, digest, component, is_released);
        Ok(())
    }

    /// All uploads, in the order of their numbers. Leaves out what was not stored under this master key.
    fn uploads(&self) -> Result<Vec<Upload>, LedgerError> {
        Ok(Vec::new())
    }

    /// The component of an upload, which may be damaged; `None` if there is none.
    fn component(&self, name: &str, digest: [u8; 32]) -> Result<Option<Vec<u8>>, LedgerError> {
        let _ = (name, digest);
        Ok(None)
    }

    /// Lets tenants use an upload that ask for the newest version.
    fn release_upload(&self, name: &str, digest: [u8; 32]) -> Result<(), LedgerError> {
        let _ = (name, digest);
        Ok(())
    }

    /// Drops uploads of a plugin.
    fn drop_uploads(&self, name: &str, digests: &[[u8; 32]]) -> Result<(), LedgerError> {
        let _ = (name, digests);
        Ok(())
    }
}
