//! The outcome of a reload.

/// The outcome of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The reload is still in progress.
    UnderWay,
    /// The requested plugin serves.
    Served,
    /// The requested plugin does not serve; the previous one continues.
    Refused,
    /// The requested plugin served, and was replaced by the previous one again.
    RolledBack,
}

impl Outcome {
    /// Its name: `under_way`, `served`, `refused` or `rolled_back`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::UnderWay => "under_way",
            Outcome::Served => "served",
            Outcome::Refused => "refused",
            Outcome::RolledBack => "rolled_back",
        }
    }
}
