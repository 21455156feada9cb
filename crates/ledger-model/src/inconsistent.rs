//! What is stored does not fit together.

/// What is stored does not fit together, so that a write can't be applied to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Inconsistent {
    /// A row that does not fit others.
    #[error("the stored {0} does not fit what else is stored")]
    Stored(
        /// What the row is of.
        &'static str,
    ),
    /// An entry that was not read before it is written. A defect of the program.
    #[error("an entry is written that was not read before")]
    NotRead,
}
