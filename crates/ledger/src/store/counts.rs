//! What gateways that share a ledger count for rules, for each other.

use portcullis_keys::TenantId;

use crate::error::LedgerError;

/// A part of what a gateway has counted for a tenant. The latest version of each part is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountsPart {
    /// The tenant.
    pub tenant: TenantId,
    /// The gateway's name.
    pub node: String,
    /// The number of the part.
    pub part: u8,
    /// Greater than that of every earlier version of the part.
    pub version: u64,
    /// The counts, sealed under the tenant's key.
    pub sealed: Vec<u8>,
}

/// A moment by the clock of the storage, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredAt(pub i64);

/// The counts of all who share a ledger. They are no part of the truth: a ledger that loses them gets them again, and one that is moved
/// leaves them behind.
pub trait Counts: Send + Sync {
    /// Stores parts, in place of earlier versions of them. What was stored a moment ago may be lost with the server.
    fn put_counts(&self, parts: &[CountsPart]) -> Result<(), LedgerError>;

    /// The parts of others than `node` that were stored after this moment, or some seconds before it, as those may not have been seen yet; all
    /// of them without one. Returns the moment to ask with the next time.
    fn counts_after(
        &self,
        after: Option<StoredAt>,
        node: &str,
    ) -> Result<(Vec<CountsPart>, Option<StoredAt>), LedgerError>;

    /// Drops the counts of a tenant.
    fn forget_counts(&self, tenant: &TenantId) -> Result<(), LedgerError>;
}
