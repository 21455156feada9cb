//! Why work was not done.

use crate::turn::Overdue;

/// Why work on a blocking thread was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// It panicked, which is a bug. The panic message stays out of the log, because it may contain a number or a token.
    #[error("the work was given up because of a defect")]
    Panicked,
    /// Too much of the same kind is under way, for this tenant or for all. Nothing was done.
    #[error("too much of the same kind is under way")]
    Overloaded,
}

impl From<Overdue> for Unfinished {
    fn from(_: Overdue) -> Self {
        Unfinished::Overloaded
    }
}
