//! The outcome of an exchange of plugins.

/// The outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReloadOutcome {
    /// The reload is still in progress.
    UnderWay,
    /// The requested plugin serves.
    Served,
    /// The requested plugin does not serve; the previous one continues.
    Refused,
    /// The requested plugin served, and was replaced by the previous one again.
    RolledBack,
}

impl ReloadOutcome {
    /// Its name: `under_way`, `served`, `refused` or `rolled_back`.
    pub const fn as_str(self) -> &'static str {
        match self {
            ReloadOutcome::UnderWay => "under_way",
            ReloadOutcome::Served => "served",
            ReloadOutcome::Refused => "refused",
            ReloadOutcome::RolledBack => "rolled_back",
        }
    }
}
