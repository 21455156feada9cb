//! The operations on a blacklist: check, block, unblock and read. Every interface uses these.
//!
//! [`check::one`] and [`check::many`] may be called on an async thread. The other functions read or write the ledger, or wait for a
//! plugin: call them through [`Target::blocking`], or on a thread that may block.

pub mod check;
mod patience;
pub mod read;
mod refusal;
pub mod rules;
mod target;
pub mod traced;
pub mod write;

pub use patience::{LONGEST_READ, Patience, Waiter};
pub use portcullis_admission::{Unfinished, Work, blocking};
pub use refusal::{Refusal, RowError, RowProblem};
pub use target::Target;
