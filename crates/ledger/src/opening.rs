//! How a ledger is opened.

use std::path::PathBuf;

/// How a ledger is opened: what says that it is there already, and what to accept.
///
/// A ledger that was lost must not be taken for one in which nobody is blocked. So a ledger that is missing or empty is
/// created only if nothing says that there was one, and one that is older than what was acknowledged is refused.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    pub(crate) evidence: Vec<PathBuf>,
    pub(crate) new: bool,
    pub(crate) restored: bool,
}

impl Opening {
    /// Names a file or folder that only exists beside a ledger, such as a key file: if it does, so must the ledger.
    ///
    /// The ledger's own witness and log need not be named. Pass nothing that is created before the ledger.
    #[must_use]
    pub fn evidence(mut self, path: impl Into<PathBuf>) -> Self {
        self.evidence.push(path.into());
        self
    }

    /// Creates a new, empty ledger whatever says that there was one. An existing ledger is refused, so that the option
    /// can't stay set: it would hide the next loss.
    #[must_use]
    pub fn new_ledger(mut self, new: bool) -> Self {
        self.new = new;
        self
    }

    /// Accepts a ledger that was restored from a backup: one that is older than its witness says, or another one than
    /// the witness's, or that was copied while it was open. A ledger with which nothing is amiss is refused, so that the
    /// option can't stay set: it would hide the next loss.
    #[must_use]
    pub fn restored(mut self, restored: bool) -> Self {
        self.restored = restored;
        self
    }
}
