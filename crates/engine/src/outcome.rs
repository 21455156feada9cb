//! How a reload ended.

/// How a reload ended, or that it has not yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is under way.
    UnderWay,
    /// What was asked for serves.
    Served,
    /// It does not serve: what served before goes on.
    Refused,
    /// It served, and what served before serves again.
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
