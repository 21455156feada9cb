//! What can be done with a blacklist, on typed values: check, block, unblock, read. Every interface speaks to this.
//!
//! Everything here but [`check::one`] blocks the thread that calls it: on the disk, or for as long as a plugin may take.

pub mod check;
pub mod read;
mod refusal;
mod target;
pub mod write;

pub use refusal::{Refusal, RowError, RowProblem};
pub use target::Target;
