//! How a ledger is opened.

use std::path::PathBuf;

/// How a ledger is opened: what says that it is there already, and what to accept.
///
/// A ledger that was lost must not be taken for one in which nobody is blocked. So a ledger that is missing or empty is
/// created only if nothing says that there was one, and one that is older than what was acknowledged is refused.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Opening {
    evidence: Vec<PathBuf>,
    expected: Option<String>,
    /// See [`new_ledger`](Self::new_ledger).
    pub new: bool,
    /// See [`restored`](Self::restored()).
    pub restored: bool,
    /// See [`is_behind`](Self::is_behind()).
    pub is_behind: bool,
}

/// What was accepted of a ledger when it was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Accepted {
    /// Nothing: it is the ledger that was there, as far as it was written.
    Nothing,
    /// A new, empty ledger was created.
    New {
        /// What says that there was one, if anything does. [`Opening::new_ledger`] was set then.
        despite: Option<String>,
    },
    /// The ledger is, or may be, older than the one that was there. [`Opening::restored`] was set.
    Restored {
        /// Why it is taken to be older.
        because: &'static str,
        /// How many of the commits that were acknowledged are missing, if that is known.
        missing: Option<u64>,
    },
    /// The upgrade of the ledger's database to a newer format of its tables is not finished.
    Upgrading {
        /// The format of the tables.
        format: i64,
        /// The oldest format of gateways that may use them. The upgrade to `format` is finished once it is the same.
        oldest: i64,
    },
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

    /// Says that there should be a ledger, and why: `because` is the subject of "says that there was one". For what is not a file,
    /// such as a key that somebody provides.
    #[must_use]
    pub fn expected(mut self, because: impl Into<String>) -> Self {
        self.expected = Some(because.into());
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
    /// the witness's, or that has no witness, or that was copied while it was open. A ledger with which nothing is amiss is refused, so that the
    /// option can't stay set: it would hide the next loss.
    #[must_use]
    pub fn restored(mut self, restored: bool) -> Self {
        self.restored = restored;
        self
    }

    /// What says that there was a ledger, if anything does: a file or folder that exists, or what
    /// [`expected`](Self::expected) names.
    pub fn evidence_of_one(&self) -> Option<String> {
        let found = self.evidence.iter().find(|path| path.exists());
        found.map(|path| path.display().to_string()).or_else(|| self.expected.clone())
    }

    /// Whether a new ledger is to be created even if something says that there was one.
    pub fn is_new(&self) -> bool {
        self.new
    }

    /// Says that the ledger is older than something else that was written after it, such as a saved state: it is amiss then,
    /// whatever its witness says, and may be accepted by [`restored`](Self::restored).
    #[must_use]
    pub fn is_behind(mut self, behind: bool) -> Self {
        self.is_behind = behind;
        self
    }
}
