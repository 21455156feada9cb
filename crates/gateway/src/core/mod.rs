//! What can be done with a blacklist, on typed values: check, block, unblock, read. Every interface speaks to this.
//!
//! Everything here but [`check::one`] blocks the thread that calls it: on the disk, or for as long as a plugin may take.

pub(crate) mod check;
pub(crate) mod read;
mod refusal;
mod target;
pub(crate) mod write;

pub(crate) use refusal::{Refusal, RowError, RowProblem};
pub(crate) use target::Target;
