//! What a ledger has of its master key.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::ring::{Fingerprint, Rewrap, Ring};
use crate::seal::SealError;

/// Encryption under the master key in use, which may be exchanged meanwhile. Cheap to clone: all clones, and the
/// [`MasterKey`](crate::MasterKey) that they are of, use the same key.
#[derive(Clone)]
pub struct MasterSeal(pub(crate) Arc<Ring>);

impl MasterSeal {
    /// Encrypts a text under the key in use. See [`Seal::seal`](crate::Seal::seal).
    ///
    /// # Errors
    /// [`SealError::NoRandomness`] or [`SealError::TooLong`].
    pub fn seal(&self, context: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        self.0.seal(context, plain)
    }

    /// Decrypts a text that was encrypted under the key in use, or under the one before or after it, if that is known.
    ///
    /// # Errors
    /// [`SealError::Broken`]
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.0.open(context, sealed)
    }

    /// What a new ledger says of its key, which is the one in use. The ledger may be a copy of one that was opened with this key.
    ///
    /// # Errors
    /// [`SealError::NoRandomness`].
    pub fn check_of_new(&self) -> Result<Vec<u8>, SealError> {
        self.0.check_of_new()
    }

    /// Uses the key that a ledger says it is of, if it is known. Returns whether it is.
    pub fn adopt(&self, check: &[u8]) -> bool {
        self.0.adopt(check)
    }

    /// What the ledger says of its key, as [`adopt`](Self::adopt) was last told.
    pub fn check(&self) -> Vec<u8> {
        self.0.check()
    }

    /// What the key in use is called.
    pub fn in_use(&self) -> Fingerprint {
        self.0.in_use()
    }

    /// What the keys are called that the source of the key has now: the one in use, and the one before or after it.
    pub fn held(&self) -> Vec<Fingerprint> {
        self.0.held()
    }

    /// Prepares to exchange the key in use for another one; `None` if that is not known.
    pub fn rewrap_to(&self, key: Fingerprint) -> Option<Rewrap> {
        self.0.rewrap_to(key, SystemTime::now())
    }

    /// The key of the sums over stored rows, by which a ledger notices damage. It does not change with the master key.
    pub fn sums(&self) -> [u64; 2] {
        let sums = self.0.lasting().sums;
        let (halves, _) = sums.as_chunks::<8>();
        [0, 1].map(|half| halves.get(half).map_or(0, |half| u64::from_le_bytes(*half)))
    }
}

impl fmt::Debug for MasterSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterSeal(…)")
    }
}
