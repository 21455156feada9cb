//! The operations on a blacklist: check, block, unblock and read. Every interface uses these.
//!
//! [`check::one`] and [`check::many`] may be called on an async thread. The other functions read or write the ledger, or wait for a
//! plugin: call them through [`blocking`], or on a thread that may block.

mod blocking;
pub mod check;
pub mod read;
mod refusal;
mod target;
pub mod write;

pub use blocking::{Panicked, blocking};
pub use refusal::{Refusal, RowError, RowProblem};
pub use target::Target;
