//! When a tenant's writes are acknowledged.

/// When a tenant's writes are acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acknowledge {
    /// Once they are on disk, and the next check of this engine sees them.
    #[default]
    Node,
    /// Once the next check of every engine sees them that shares the ledger and is alive. The same as `Node` for an engine that is alone.
    Fleet,
}
