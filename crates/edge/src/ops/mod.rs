//! What can be done with a blacklist, on typed values: check, block, unblock, read. Every interface speaks to this.
//!
//! Everything here but [`check::one`] and [`check::many`] blocks the thread that calls it: on the disk, or for as long as a plugin may take.

mod blocking;
pub mod check;
pub mod read;
mod refusal;
mod target;
pub mod write;

pub use blocking::{Panicked, blocking};
pub use refusal::{Refusal, RowError, RowProblem};
pub use target::Target;
